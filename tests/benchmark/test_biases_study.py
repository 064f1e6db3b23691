"""Tables and figures of a ranking's biases, on made-up runs whose bias was planted."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import write_run

from benchmark.records.load import load_predictions
from benchmark.records.load_details import GRADIENTS, TRACKED
from benchmark.study.definition import StudyData
from benchmark.study.figures import biases as bias_figures
from benchmark.study.figures import sharing
from benchmark.study.file import data_of
from benchmark.study.scored import scored
from benchmark.study.studies import STUDIES
from benchmark.study.tables import biases, questions
from benchmark.study.watched import watched
from benchmark.views.style import FigureUnavailableError
from kshot_core.metrics.correlation import kendall_tau_b, p_at_top
from kshot_core.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
SEEDS = (0, 1, 2)
EPOCHS = (2, 4, 6, 8)
NUM_TRACKED = 60


def _predictions(folder: Path, preference: float, seed: int) -> None:
    """Scores that are truth and noise and, planted, a taste for parameters or 3×3 at edge 0→3."""
    scores = load_predictions(folder)
    archs = [SPACE.from_index(int(one)) for one in scores["index"]]
    counts = np.array([SPACE.live_params(arch) for arch in archs], dtype=np.float64)
    # Good architectures have more of them, as in a real space.
    true = stats.zscore(counts) + 1.5 * np.random.default_rng(11).normal(size=len(archs))
    noise = np.random.default_rng([12, seed]).normal(size=len(archs))
    merit = true + noise + preference * stats.zscore(counts)
    scores["true"], scores["loss"] = 80 + true, -merit
    np.save(folder / "predictions.npy", scores)
    places = np.arange(0, len(archs), len(archs) // NUM_TRACKED)[:NUM_TRACKED]
    tracked = np.zeros((len(EPOCHS), NUM_TRACKED), TRACKED)
    for row, epoch in zip(tracked, EPOCHS, strict=True):
        more = np.random.default_rng([13, seed, epoch]).normal(size=NUM_TRACKED)
        row["epoch"], row["place"] = epoch, places
        # Better trained: less noise, and less loss.
        row["loss"] = -(true[places] + 8 / epoch * more) + 5 / epoch
    np.save(folder / "tracked.npy", tracked)
    pairs = np.zeros(30, GRADIENTS)
    pairs["first"], pairs["second"] = np.arange(30), np.arange(1, 31)
    pairs["in_common"] = np.linspace(0, 1, 30)
    pairs["cosine"] = np.where(pairs["in_common"] > 0, 0.5 - pairs["in_common"], np.nan)
    np.save(folder / "gradients.npy", pairs)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> StudyData:
    """Table 9 on made-up runs: K = 1 prefers nothing, K = 8 prefers parameters; three seeds."""
    results, listed = tmp_path_factory.mktemp("results"), []
    for row, K, preference in (("K1", 1, 0.0), ("K8", 8, 1.0)):
        for seed in SEEDS:
            config = {"K": K, "seed": seed, "sharing": "simplex" if K > 1 else "one-shot"}
            folder = write_run(results, config)
            _predictions(folder, preference, seed)
            place = folder.relative_to(results).as_posix()
            listed.append({"kind": "records", "row": row, "seed": seed, "folder": place})
    return data_of(STUDIES["table9"], "tiny", results, {}, listed)


def test_true_scores_are_negated_where_lower_ones_are_better(data: StudyData) -> None:
    lower = data.runs.assign(**{"task.higher_is_better": False})
    # As it is read: of numpy's own kind, or Python's where some records do not say it.
    for runs in (lower, lower.astype({"task.higher_is_better": object})):
        found = scored(dataclasses.replace(data, runs=runs))
        for name, one in scored(data).items():
            np.testing.assert_array_equal(found[name].true, -one.true)
            np.testing.assert_array_equal(found[name].predicted, one.predicted)


def _by_name(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {
        str(line["name"]): {str(key): value for key, value in line.items()}
        for line in table.to_dict("records")
    }


def test_the_planted_preference_is_found_in_its_row_alone(data: StudyData) -> None:
    lines = biases.table(data).to_dict("records")
    fair, biased = (
        next(line for line in lines if (line["name"], line["trait"]) == (name, "parameters"))
        for name in ("K = 1", "K = 8")
    )
    assert abs(fair["preference"]) < 8
    assert biased["preference"] > 40
    low, high = (float(end) for end in biased["preference_interval"].split(" to "))
    assert 30 < low < biased["preference"] < high
    low, high = (float(end) for end in fair["preference_interval"].split(" to "))
    assert low < 0 < high
    # Rank errors alone would have called the fair one biased.
    low, high = (float(end) for end in fair["errors_interval"].split(" to "))
    assert high < 0
    assert (fair["n"], fair["archs"]) == (3, 400)
    assert biases.table(data, "K8")["name"].unique().tolist() == ["K = 8"]


def test_findings_are_those_of_the_predictions(data: StudyData) -> None:
    table = _by_name(questions.finding_table(data))
    for row, label in (("K1", "K = 1"), ("K8", "K = 8")):
        runs = data.runs[data.runs["row"] == row]
        pairs = [load_predictions(Path(path)) for path in runs["path"]]
        found = [p_at_top(-one["loss"].astype(float), one["true"], 0.1) for one in pairs]
        assert table[label]["found_10"] == pytest.approx(100 * np.mean(found))
        chance = stats.hypergeom(400, 40, 40).sf(round(40 * max(found)) - 1)
        assert table[label]["p_10"] == pytest.approx(min(1, 3 * chance))
        assert table[label]["pruned"] > 0
    assert "K = 4" not in table


def test_training_is_told_by_epoch(data: StudyData) -> None:
    line = _by_name(questions.training_table(data))["K = 1"]
    assert line["epochs"] == "2, 8"
    one = scored(data)["K = 1"]
    seen = watched(one)
    assert seen is not None
    expected = [kendall_tau_b(run[0], seen.true) for run in seen.merit]
    assert line["first"] == pytest.approx(100 * np.mean(expected))
    assert line["last"] > line["first"] + 20
    # Loss and noise fall together in what was planted.
    assert line["better"] > 0.7
    low, high = (float(end) for end in line["better_interval"].split(" to "))
    assert -1 <= low <= line["better"] + 0.005
    assert line["better"] <= high + 0.005 <= 1.005
    assert 0 < line["checkpoints"] < 100
    # Noise of 1 beside a truth of variance 1 + 1.5 squared.
    assert line["seeds"] == pytest.approx(100 / (1 + 1 + 2.25), abs=6)
    shares = np.linspace(0, 1, 30)
    assert line["in_common"] == pytest.approx(100 * shares.mean())
    assert line["cosine"] == pytest.approx(float((0.5 - shares[1:]).mean()), abs=1e-6)


def test_what_is_the_space_stands_beside_the_supernet(data: StudyData) -> None:
    line = _by_name(questions.space_table(data))["K = 1"]
    one = scored(data)["K = 1"]
    assert line["mean"] == pytest.approx(one.true.mean())
    assert line["best"] == pytest.approx(one.true.max())
    assert line["mean"] < line["drawn"] < line["best"]
    assert line["count"] in ("parameters", "FLOPs")
    counted = kendall_tau_b(one.traits["parameters"], one.true)
    assert line["count_tau"] == pytest.approx(100 * counted)
    assert line["apart"] == pytest.approx(line["tau"] - line["count_tau"])


def test_figures_show_what_was_planted(data: StudyData) -> None:
    figure = bias_figures.of_counts(data)
    assert [panel.get_title().splitlines()[0] for panel in figure.axes] == ["K = 1", "K = 8"]
    assert next(text.get_text() for text in figure.axes[0].get_yticklabels()) == "parameters"
    for equal in (False, True):
        maps = bias_figures.of_choices(data, at_equal_truth=equal)
        images = [panel.images[0].get_array() for panel in maps.axes]
        assert all(image is not None and image.shape == (6, 5) for image in images)
    # At equal truth only the biased row puts 3×3 convolutions too high.
    fair, biased = (np.asarray(image)[:, 3].mean() for image in images)
    assert abs(fair) < 3
    assert biased > 5
    training = sharing.while_training(data, "K1")
    (panel,) = training.axes
    drawn = {str(line.get_label()): line for line in panel.lines}
    # That the last ranking agrees with itself is not shown.
    agrees = np.asarray(drawn["tau-b with the last ranking"].get_ydata(), dtype=np.float64)
    assert np.isfinite(agrees).tolist() == [True, True, True, False]
    truth = drawn["tau-b with the truth"]
    assert np.asarray(truth.get_xdata()).tolist() == list(EPOCHS)
    assert np.ptp(np.asarray(truth.get_ydata(), dtype=np.float64)) > 20
    (panel, _) = sharing.order(data).axes
    assert {line.get_label() for line in panel.lines} >= {"all pairs", "at equal gaps of the truth"}
    (panel, _) = sharing.gradients(data).axes
    means = next(line for line in panel.lines if line.get_label() == "mean of a fifth")
    assert np.diff(np.asarray(means.get_ydata(), dtype=np.float64)).max() < 0
    assert "87 pairs, 3 share no searched weight" in panel.get_title()
    for figure in (maps, training):
        assert figure.get_figheight() <= 16


def test_without_runs_nothing_is_shown(data: StudyData) -> None:
    for build in (
        biases.table,
        questions.finding_table,
        questions.training_table,
        questions.space_table,
    ):
        empty = build(data, "no such row")
        assert len(empty) == 0
        assert "n" in empty
    for figure in (
        bias_figures.of_counts,
        bias_figures.of_choices,
        sharing.while_training,
        sharing.order,
        sharing.gradients,
    ):
        with pytest.raises(FigureUnavailableError):
            figure(data, "no such row")


def test_runs_that_were_not_watched_say_what_it_needs(tmp_path: Path) -> None:
    folder = write_run(tmp_path, {"K": 1, "sharing": "one-shot"})
    place = folder.relative_to(tmp_path).as_posix()
    listed = [{"kind": "records", "row": "K1", "seed": 0, "folder": place}]
    data = data_of(STUDIES["table9"], "tiny", tmp_path, {}, listed)
    with pytest.raises(FigureUnavailableError, match="track_every 1"):
        sharing.while_training(data)
    with pytest.raises(FigureUnavailableError, match="gradient_archs"):
        sharing.gradients(data)
    line = questions.training_table(data).iloc[0]
    assert line["epochs"] == "–"
    assert math.isnan(line["first"])
    assert math.isnan(line["seeds"])
