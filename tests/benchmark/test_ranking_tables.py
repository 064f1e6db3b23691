"""Tables of ranking studies: differences seed by seed, combined rankings, other truth."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from synthetic import write_run

from benchmark.records.load import load_predictions
from benchmark.study.definition import Row, StudyData
from benchmark.study.figures import copies
from benchmark.study.file import data_of
from benchmark.study.paired import Difference
from benchmark.study.studies import STUDIES
from benchmark.study.tables import differences, measures, transfer
from benchmark.study.tables.combined import PARAMETERS, Combinations
from kshot_core.metrics.correlation import kendall_tau_b, summary
from kshot_core.spaces.nasbench201 import NASBench201

ROWS = {"K1": 1, "K8": 8}
SEEDS = (0, 1, 2)


@pytest.fixture
def data(tmp_path: Path) -> StudyData:
    """Table 9 on made-up runs: three seeds of K = 1, and of K = 8 one more."""
    listed = []
    for row, K in ROWS.items():
        for seed in (*SEEDS, 3) if K == 8 else SEEDS:
            config = {"K": K, "seed": seed, "sharing": "simplex" if K > 1 else "one-shot"}
            folder = write_run(tmp_path, config)
            place = folder.relative_to(tmp_path).as_posix()
            listed.append({"kind": "records", "row": row, "seed": seed, "folder": place})
    return data_of(STUDIES["table9"], "tiny", tmp_path, {}, listed)


def taus(data: StudyData, row: str, loss: bool) -> list[float]:
    """Tau-b of each of the seeds that both rows have, computed from predictions."""
    runs = data.runs[data.runs["row"] == row].set_index("seed")
    values = []
    for seed in SEEDS:
        scores = load_predictions(Path(runs.loc[seed, "path"]))
        values.append(
            kendall_tau_b(-scores["loss"] if loss else scores["accuracy"], scores["true"])
        )
    return values


def test_differences_are_those_of_equal_seeds(data: StudyData) -> None:
    table = differences.table(data).set_index("name")
    line = table.loc["K = 8"]
    for score in differences.SCORES:
        pair = [taus(data, row, score == "loss") for row in ("K8", "K1")]
        expected = stats.ttest_rel(*pair)
        assert line[score] == pytest.approx(100 * np.subtract(*pair).mean())
        assert line[f"{score}_p"] == pytest.approx(expected.pvalue)
        low, high = (100 * one for one in expected.confidence_interval())
        assert line[f"{score}_interval"] == f"{low:+.1f} to {high:+.1f}"
    assert line["n"] == 3, "the fourth seed has no partner"
    assert line["loss_q"] == line["loss_p"], "one comparison alone"
    assert table.loc["K = 4", "n"] == 0


def test_verdicts_are_by_the_interval(data: StudyData, monkeypatch: pytest.MonkeyPatch) -> None:
    base = np.array([50.0, 52.0, 51.0])
    gains = {"K2": [9.0, 10.0, 11.0], "K4": [-9.0, -10.0, -11.0], "K8": [3.0, -2.0, 1.0]}
    rows = {row.name: row for row in data.rows}
    monkeypatch.setattr(
        differences,
        "differences",
        lambda _, __, row, ___: (
            dict.fromkeys(differences.SCORES, Difference.of(base + gains[row], base))
            if row in gains
            else {}
        ),
    )
    answer = differences.answer(data)
    assert f"Better: {rows['K2'].label} +10.0 (+7.5 to +12.5, n = 3)." in answer
    assert f"Worse: {rows['K4'].label} -10.0 (-12.5 to -7.5, n = 3)." in answer
    assert f"Not told apart from it: {rows['K8'].label} +0.7 (-5.6 to +6.9, n = 3)." in answer
    assert answer.count("K = 8") == 1 + answer.count("above it by −loss: K = 8")
    table = differences.table(data).set_index("name")
    expected = stats.false_discovery_control(table["loss_p"].dropna())
    assert table["loss_q"].dropna().to_numpy() == pytest.approx(expected)


def test_the_answer_gives_interval_and_number_of_pairs(data: StudyData) -> None:
    answer = differences.answer(data)
    assert answer.startswith("On digits K = 1 ranks to ")
    line = differences.table(data).set_index("name").loc["K = 8"]
    told = f"K = 8 {line['loss']:+.1f} ({line['loss_interval']}, n = 3)."
    low, high = (float(end) for end in line["loss_interval"].split(" to "))
    kind = "Better" if low > 0 else "Worse" if high < 0 else "Not told apart from it"
    assert f"{kind}: {told}" in answer
    assert "Counting parameters reaches" in answer
    empty = dataclasses.replace(data, runs=data.runs.iloc[:0])
    assert differences.answer(empty) == "No pair of runs yet."
    alone = dataclasses.replace(data.study.sizes[data.scale], rows=(data.rows[0].name,))
    rows = tuple(dataclasses.replace(row, paper={}) for row in data.study.rows)
    study = dataclasses.replace(data.study, rows=rows, sizes={data.scale: alone})
    assert not len(differences.table(dataclasses.replace(data, study=study)))


def test_table_9_answers_at_equal_time_where_that_was_run(data: StudyData) -> None:
    assert "for as long" not in data.study.answer(data)
    # Runs of K = 1 in the place of those that train for as long as K = 8.
    timed = dataclasses.replace(data.study, sizes={})
    runs = data.runs.assign(row=data.runs["row"].replace("K1", "K1-time"))
    answer = timed.answer(dataclasses.replace(data, study=timed, runs=runs))
    line = differences.table(data).set_index("name").loc["K = 8"]
    assert f"K = 8 less K = 1 for as long: {line['loss']:+.2f} points" in answer
    assert f"by accuracy {line['accuracy']:+.1f} ({line['accuracy_interval']}, n = 3)." in answer


def test_combined_rankings_are_means_of_ranks(data: StudyData) -> None:
    combined = Combinations(
        {"loss": ("K1",), "params": (PARAMETERS,), "both": ("K1", PARAMETERS)}, ("both",), "params"
    )
    table = combined.table(data).set_index("name")
    space = NASBench201(channels=16, cells=5, num_classes=10)
    expected = []
    for path in data.runs[data.runs["row"] == "K1"].sort_values("seed")["path"]:
        scores = load_predictions(Path(path))
        counts = [space.live_params(space.from_index(int(one))) for one in scores["index"]]
        ranks = stats.rankdata(-scores["loss"].astype(float)) + stats.rankdata(counts)
        expected.append(100 * kendall_tau_b(ranks, scores["true"]))
    assert table.loc["both", "tau"] == pytest.approx(np.mean(expected))
    assert table.loc["both", "n"] == 3
    assert table.loc["loss", "tau"] == pytest.approx(100 * np.mean(taus(data, "K1", loss=True)))
    assert table.loc["params", "n"] == 1
    answer = combined.answer(data)
    assert f"reaches {np.mean(expected):.1f}" in answer
    assert "n = 3 pairs" in answer


def test_a_combination_without_its_runs_has_none(data: StudyData) -> None:
    combined = Combinations({"a": ("K4", PARAMETERS), "b": (PARAMETERS,)}, ("a",), "b")
    assert combined.table(data)["n"].tolist() == [0, 1]
    assert combined.answer(data) == "No run yet."


def test_figure_4_tells_the_seeds_of_the_rows_that_it_shows(data: StudyData) -> None:
    assert copies.figure(data).axes[0].get_title().endswith(", 3 to 4 seeds")
    # The second row is a control, which has no place on an axis of K.
    of_K, control = data.study.rows[:1], Row("K8", "fixed", {"K": 8, "sharing": "fixed"})
    study = dataclasses.replace(data.study, rows=(*of_K, control), sizes={})
    shown = copies.figure(dataclasses.replace(data, study=study)).axes[0]
    assert shown.get_title().endswith(", 3 seeds")


def test_a_scale_without_a_row_has_no_line_with_it(data: StudyData) -> None:
    rankers = {"a": ("not a row", PARAMETERS), "b": ("K1", PARAMETERS), "c": (PARAMETERS,)}
    combined = Combinations(rankers, ("a", "b"), "c")
    assert combined.table(data)["name"].tolist() == ["b", "c"]
    assert combined.answer(data).startswith("On digits the mean rank of b reaches ")


def test_transfer_names_the_truth_that_was_compared_with(data: StudyData) -> None:
    for path in data.runs["path"]:
        record = json.loads((Path(path) / "record.json").read_text(encoding="utf-8"))
        record["also"] = {"cifar100/test/200ep/mean": {"kendall_tau_b": 0.25}}
        (Path(path) / "record.json").write_text(json.dumps(record), encoding="utf-8")
    listed = [
        {"kind": "records", "row": row, "seed": seed, "folder": folder}
        for row, seed, folder in data.runs[["row", "seed", "folder"]].itertuples(index=False)
    ]
    table = transfer.table(data_of(data.study, "tiny", data.results, {}, listed))
    assert table["column"].tolist() == 2 * ["digits/valid/10ep/mean", "cifar100/test/200ep/mean"]
    other = table[table["column"] == "cifar100/test/200ep/mean"]
    assert other["tau"].tolist() == pytest.approx([25.0, 25.0])
    assert other["n"].tolist() == [3, 4]


def test_records_without_metrics_by_loss_have_them_from_their_predictions(data: StudyData) -> None:
    # Made-up records are like those written before metrics by loss were recorded.
    for _, run in data.runs.iterrows():
        record = json.loads((Path(run["path"]) / "record.json").read_text())
        assert "metrics_by_loss" not in record
        scores = load_predictions(Path(run["path"]))
        expected = summary(-scores["loss"].astype(np.float64), scores["true"])
        for name in ("kendall_tau_b", "kendall_tau_a", "spearman", "pearson", "high_low_tau"):
            assert run[f"metrics_by_loss.{name}"] == expected[name]
        assert run["metrics_by_loss.regret"] == expected["regret"]
        assert run["metrics_by_loss.p_at_top.0.05"] == expected["p_at_top"]["0.05"]


def test_every_metric_is_shown_by_accuracy_and_by_loss(data: StudyData) -> None:
    table = measures.table(data).set_index(["name", "score"])
    for row, label in (("K1", "K = 1"), ("K8", "K = 8")):
        own = data.runs[data.runs["row"] == row]
        for score, prefix in (("acc.", "metrics"), ("−loss", "metrics_by_loss")):
            for metric, scale in measures.MEASURES.items():
                values = scale * own[f"{prefix}.{metric}"].astype(float)
                assert table.loc[(label, score), metric] == pytest.approx(values.mean())
                assert table.loc[(label, score), f"{metric}_sd"] == pytest.approx(values.std())
        assert table.loc[(label, "acc."), "n"] == len(own)
    assert table.loc[("K = 4", "−loss"), "n"] == 0
    counted = 100 * data.runs["controls.params.p_at_top.0.05"].iloc[0]
    assert table.loc[("parameters", "–"), "p_at_top.0.05"] == pytest.approx(counted)
