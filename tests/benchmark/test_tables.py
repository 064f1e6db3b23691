"""Tables: protocols kept apart, controls always there, paper's figures right, failures visible."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import write_records, write_run

from benchmark.cli.errors import UserError
from benchmark.records.load import load_codes, load_log, load_predictions, load_records
from benchmark.views import tables
from benchmark.views.groups import MISSING, baseline, groups, settings
from benchmark.views.tables import (
    TABLES,
    as_text,
    table4,
    table7,
    table9,
    to_csv,
    to_latex,
    to_markdown,
)
from benchmark.views.tables.table9 import PAPER


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    results = tmp_path_factory.mktemp("results")
    write_records(results)
    write_records(results, copies=(1, 8), num_seeds=1, datasets=("cifar10",))
    return load_records(results)


def change(run: Path, **changes: Any) -> None:
    """Overwrite entries of a record; names with a dot reach inside."""
    record = json.loads((run / "record.json").read_text())
    for name, value in changes.items():
        *parents, last = name.split("__")
        place = record
        for parent in parents:
            place = place[parent]
        place[last] = value
    (run / "record.json").write_text(json.dumps(record))


# Those of runs; the others have tests of their own.
OF_RUNS = [name for name, table in TABLES.items() if table.reads == ("records",)]


def test_every_table_file_is_registered() -> None:
    folder = Path(tables.__file__).parent
    assert set(TABLES) == {path.stem for path in folder.glob("[!_]*.py")}


def test_records_are_flat_and_complete(records: pd.DataFrame) -> None:
    assert len(records) == 11
    row = records.iloc[-1]
    record = json.loads((Path(row["path"]) / "record.json").read_text())
    assert row["config.K"] == record["config"]["K"]
    assert row["metrics.high_low_tau_by_size.100"] == pytest.approx(
        record["metrics"]["high_low_tau_by_size"]["100"]
    )
    assert row["controls.params.spearman"] == record["controls"]["params"]["spearman"]
    assert set(records["space"]) == {"nasbench201"}


def test_unfinished_runs_do_not_count(tmp_path: Path) -> None:
    finished, unfinished = write_records(tmp_path, copies=(1,), num_seeds=2)
    (unfinished / "record.json").unlink()
    assert list(load_records(tmp_path)["path"]) == [str(finished)]


def test_no_records_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished run found under .*benchmark\.run --results"):
        load_records(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"schema": 1, "num_archs": NaN}', "NaN is not a number"),
        ("[1, 2]", "should be a JSON object, got list"),
        ('{"schema": 2}', "should have schema 1, got 2"),
        ('{"schema": 1, "config": {"K": 8}}', "should have config.dataset as text, got 'nothing'"),
        ("\x00\x01", "not valid JSON"),
    ],
)
def test_malformed_record_is_named(tmp_path: Path, text: str, message: str) -> None:
    [run] = write_records(tmp_path, copies=(1,), num_seeds=1)
    (run / "record.json").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        load_records(tmp_path)
    assert str(run / "record.json") in str(error.value)


@pytest.mark.parametrize("value", ["8", 8.5, True, None])
def test_wrongly_typed_value_is_named(tmp_path: Path, value: object) -> None:
    [run] = write_records(tmp_path, copies=(1,), num_seeds=1)
    change(run, config__K=value)
    with pytest.raises(UserError, match=r"should have config\.K as a whole number"):
        load_records(tmp_path)


def test_a_copied_record_is_not_counted_twice(tmp_path: Path) -> None:
    [run] = write_records(tmp_path, copies=(1,), num_seeds=1)
    copy = run.with_name("seed0-copied")
    copy.mkdir()
    (copy / "record.json").write_bytes((run / "record.json").read_bytes())
    with pytest.raises(UserError, match="counted twice"):
        load_records(tmp_path)


def test_damaged_arrays_and_logs_are_named(tmp_path: Path) -> None:
    [run] = write_records(tmp_path, copies=(2,), num_seeds=1)
    assert load_predictions(run).dtype.names == ("index", "accuracy", "loss", "true")
    assert load_codes(run).shape == (400, 2)
    assert len(load_log(run)) == 20
    for name, load in (("predictions.npy", load_predictions), ("codes.npy", load_codes)):
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=name):
            load(run)
        np.save(run / name, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(UserError, match=name):
            load(run)
        np.save(run / name, np.arange(3))
        with pytest.raises(UserError, match="run again"):
            load(run)
        (run / name).unlink()
        with pytest.raises(UserError, match=name):
            load(run)
    (run / "log.jsonl").write_text('{"epoch": 1}\n{"epoch": 2')
    with pytest.raises(UserError, match="line 2"):
        load_log(run)


def test_table9_by_hand(records: pd.DataFrame) -> None:
    frame = table9.table(records)
    digits = frame[frame["dataset"] == "digits"].set_index("K")
    chosen = records[records["config.dataset"] == "digits"]
    taus = {
        K: 100 * chosen.loc[chosen["config.K"] == K, "metrics.kendall_tau_b"].astype(float)
        for K in (1, 2, 8)
    }
    for copies, values in taus.items():
        row: dict[Any, Any] = digits.loc[str(copies)].to_dict()
        assert row["kendall_tau_b"] == pytest.approx(values.mean())
        assert row["kendall_tau_b_sd"] == pytest.approx(values.std(ddof=1))
        assert row["num_seeds"] == "3"
        assert row["num_archs"] == 400
        assert math.isnan(row["paper"])
    expected = stats.ttest_ind(taus[8], taus[1], equal_var=False).pvalue
    assert digits.loc["8", "p_value"] == pytest.approx(expected)
    assert digits["p_value"].isna()["1"]


def test_paper_stands_beside_ours_and_single_seeds_have_a_dash(records: pd.DataFrame) -> None:
    table = TABLES["table9"]
    shown = as_text(table, table.build(records))
    row = shown[(shown["data set"] == "cifar10") & (shown["K"] == "8")].iloc[0]
    assert row["paper (%)"] == "62.64 ± 0.17"
    assert row["p against K = 1"] == MISSING
    assert "±" not in row["Kendall tau-b (%)"]
    assert len(PAPER) == 15


@pytest.mark.parametrize("name", OF_RUNS)
def test_controls_and_ceiling_are_in_every_table(records: pd.DataFrame, name: str) -> None:
    text = to_markdown(TABLES[name], TABLES[name].build(records))
    for row in ("control: parameters", "control: FLOPs", "control: live convolutions"):
        assert row in text
    assert "two truth seeds" in text


def test_a_method_below_a_control_is_seen(tmp_path: Path) -> None:
    good, bad, collapsed = (write_run(tmp_path, {"K": K}) for K in (1, 2, 4))
    change(good, metrics__kendall_tau_b=0.9)
    change(bad, metrics__kendall_tau_b=0.5)
    change(collapsed, metrics__kendall_tau_b=None)
    for run in (good, bad, collapsed):
        for name, tau in (("params", 0.6), ("flops", 0.5), ("live_convolutions", 0.4)):
            change(run, **{f"controls__{name}__kendall_tau_b": tau})
    frame = table9.table(load_records(tmp_path)).set_index("K")
    assert frame.loc["1", "beats_controls"] == "yes"
    # A tie is not a win.
    assert frame.loc["2", "beats_controls"] == "no: parameters, FLOPs"
    assert frame.loc["4", "beats_controls"] == "no: undefined"
    assert frame["kendall_tau_b"].isna()["4"]


@pytest.mark.parametrize(
    "other",
    [
        {"preset": "proxy"},
        {"epochs": 10},
        {"sharing": "fixed"},
        {"schedule": "joint"},
        {"sampler": "balanced"},
        {"batch_norm": "running"},
    ],
)
def test_protocols_are_never_averaged(tmp_path: Path, other: dict[str, Any]) -> None:
    write_records(tmp_path, copies=(8,), num_seeds=2)
    write_records(tmp_path, copies=(8,), num_seeds=3, **other)
    frame = table9.table(load_records(tmp_path))
    trained = frame[frame["K"] == "8"]
    assert sorted(trained["num_seeds"]) == ["2", "3"]
    name = next(iter(other))
    assert trained["method" if name == "sharing" else name].nunique() == 2
    for wide in (table4, table7):
        ours = wide.table(load_records(tmp_path)).query("source == 'this work'")
        assert set(ours["num_seeds"]) == {"2", "3"}


@pytest.mark.parametrize(
    "changes",
    [{"truth__column": "digits/valid/5ep/mean"}, {"truth__sha256": "f" * 64}, {"num_archs": 300}],
)
def test_settings_are_never_averaged(tmp_path: Path, changes: dict[str, Any]) -> None:
    first, second = write_records(tmp_path, copies=(8,), num_seeds=2)
    change(second, **changes)
    records = load_records(tmp_path)
    assert len(settings(records)) == 2
    assert list(table9.table(records).query("K == '8'")["num_seeds"]) == ["1", "1"]
    for wide in (table4, table7):
        assert set(wide.table(records).query("source == 'this work'")["num_seeds"]) == {"1"}
    assert first != second


def test_baseline_may_differ_in_what_has_no_effect_at_k_1(tmp_path: Path) -> None:
    write_records(tmp_path, copies=(1,), num_seeds=2, sharing="one-shot")
    write_records(tmp_path, copies=(8,), num_seeds=2, encoding="canonical")
    write_records(tmp_path, copies=(4,), num_seeds=2, epochs=10)
    every = groups(load_records(tmp_path))
    by_k = {group.K: group for group in every}
    assert baseline(by_k[8], every) is by_k[1]
    assert baseline(by_k[4], every) is None


def test_weight_steps_show_a_range_where_seeds_differ(tmp_path: Path) -> None:
    _, second = write_records(tmp_path, copies=(8,), num_seeds=2)
    change(second, num_weight_steps=1500)
    frame = table9.table(load_records(tmp_path))
    assert frame["num_weight_steps"].iloc[0] == "1500 to 1600"


def test_wide_tables_hold_the_papers_rows_and_every_data_set(records: pd.DataFrame) -> None:
    frame = table4.table(records)
    assert frame[frame["source"] == "paper"]["imagenet16-120"].tolist() == [54.0, 54.45, 56.33]
    ours = frame[(frame["source"] == "this work") & (frame["K"] == "8")].iloc[0]
    assert not math.isnan(ours["cifar10"])
    assert not math.isnan(ours["digits"])
    assert ours["num_seeds"] == "cifar10: 1; digits: 3"
    metrics = table7.table(records)
    assert list(dict.fromkeys(metrics["metric"])) == ["Kendall tau-b", "Spearman rho", "Pearson"]
    pearson = metrics[(metrics["metric"] == "Pearson") & (metrics["source"] == "paper")].iloc[0]
    assert pearson["cifar10"] == 0.92


@pytest.mark.parametrize("name", OF_RUNS)
def test_tables_are_the_same_bytes_for_the_same_records(tmp_path: Path, name: str) -> None:
    table = TABLES[name]
    texts = []
    for order in (1, -1):
        results = tmp_path / str(order)
        for copies in (1, 8)[::order]:
            write_records(results, copies=(copies,), num_seeds=2)
        values = table.build(load_records(results))
        texts.append((to_csv(values), to_markdown(table, values), to_latex(table, values)))
    # The records differ in nothing but the order of writing and the truth file's place.
    assert texts[0] == texts[1]


def test_csv_holds_numbers_for_programs(records: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "table9.csv"
    path.write_text(to_csv(table9.table(records)))
    read = pd.read_csv(path)
    assert read["kendall_tau_b"].dtype == np.float64
    assert read["kendall_tau_b"].notna().all()
    assert MISSING not in path.read_text()


def test_latex_escapes_what_it_must(records: pd.DataFrame) -> None:
    frame = table9.table(records).assign(sampler="a_b & 50 %")
    text = to_latex(TABLES["table9"], frame)
    assert r"a\_b \& 50 \%" in text
    assert r"$\pm$" in text
    assert text.isascii()
