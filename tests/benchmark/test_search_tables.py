"""Tables of searches and retrainings: hand-computed cells, the paper beside, gaps as dashes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_searches import change, write_retrained, write_search, write_supernet

from benchmark.records.load_searches import load_retrained, load_searches, load_supernets
from benchmark.views.groups import MISSING
from benchmark.views.tables import TABLES, as_text, table3, table5, to_csv, to_latex, to_markdown

LIMIT = 3e7
TIGHT = 2e7
CELL = {"space": "nasbench201", "channels": 8, "cells": 1}
LOADERS = {
    "supernets": load_supernets,
    "searches": load_searches,
    "retrained": load_retrained,
}
OF_SEARCHES = [name for name, table in TABLES.items() if table.reads != ("records",)]


def build(name: str, results: Path) -> pd.DataFrame:
    return TABLES[name].build(*(LOADERS[kind](results) for kind in TABLES[name].reads))


def markdown(name: str, results: Path) -> str:
    frames = [LOADERS[kind](results) for kind in TABLES[name].reads]
    return to_markdown(TABLES[name].entitled(*frames), TABLES[name].build(*frames))


def retrain(results: Path, top1: Sequence[float], **search: Any) -> Path:
    """A search, and its architecture retrained with several seeds."""
    folder = write_search(results, **{"max_flops": LIMIT, **search})
    for seed, value in enumerate(top1):
        write_retrained(results, folder, value, seed=seed)
    return folder


def only(frame: pd.DataFrame, **wanted: Any) -> dict[str, Any]:
    """The one row with these values."""
    rows = [
        row
        for row in frame.to_dict("records")
        if all(row[name] == value for name, value in wanted.items())
    ]
    assert len(rows) == 1, rows
    return {str(name): value for name, value in rows[0].items()}


def test_table1_by_hand(tmp_path: Path) -> None:
    for seed, seconds in enumerate((4.0, 6.0)):
        one = {"seconds_per_epoch": seconds, "peak_memory_bytes": 100 * 2**20}
        write_supernet(tmp_path, one, K=1, seed=seed)
        eight = {"seconds_per_epoch": 1.1 * seconds, "peak_memory_bytes": 125 * 2**20}
        write_supernet(tmp_path, eight, K=8, seed=seed)
    write_search(tmp_path, {"seconds_per_arch": 0.2}, K=1)
    write_search(tmp_path, {"seconds_per_arch": 0.21}, K=8)
    write_search(tmp_path, {"seconds_per_arch": 0.8}, K=2, ensemble="max")
    frame = build("table1", tmp_path)
    assert set(frame["sharing"]) == {"one-shot", "simplex"}
    row = only(frame, stage="training", K="8")
    assert row["value"] == pytest.approx(5.5)
    assert row["value_sd"] == pytest.approx(1.1 * math.sqrt(2))
    assert row["relative"] == pytest.approx(1.1)
    assert row["paper_relative"] == pytest.approx(2.37 / 2.27)
    assert row["paper"] == "2.37 GPU hours"
    assert row["num_seeds"] == "2"
    search = only(frame, stage="search", K="8")
    assert search["relative"] == pytest.approx(1.05)
    assert search["paper_relative"] == pytest.approx(0.242 / 0.233)
    memory = only(frame, stage="training memory", K="8")
    assert (memory["value"], memory["relative"]) == (125.0, 1.25)
    assert memory["paper"] == "18.4 GB"
    assert only(frame, stage="search memory", K="8")["paper"] == MISSING


def test_costs_of_different_machines_or_settings_are_not_compared(tmp_path: Path) -> None:
    write_supernet(tmp_path, K=1)
    change(write_supernet(tmp_path, K=8), environment__processor="another")
    frame = build("table1", tmp_path)
    assert math.isnan(only(frame, stage="training", K="8")["relative"])
    assert "processor" in frame.columns


def test_table1_of_a_resumed_search_has_dashes(tmp_path: Path) -> None:
    write_search(tmp_path, {"seconds_per_arch": None}, K=1)
    row = only(build("table1", tmp_path), stage="search")
    assert math.isnan(row["value"])
    assert math.isnan(row["relative"])


def test_table2_by_hand(tmp_path: Path) -> None:
    arch = "k3e3,id,k3e3,id,id|" + ",".join(["1.0"] * 8)
    for K, method in ((8, "nsga2"), (1, "random")):
        folder = write_search(tmp_path, best={"arch": arch}, K=K, method=method, max_flops=LIMIT)
    for seed, top1 in enumerate((70.0, 72.0)):
        record = {"flops": 12_340_000.0, "params": 56_700}
        write_retrained(tmp_path, folder, top1, record, seed=seed)
    write_retrained(tmp_path, None, 60.0, arch=arch.replace("e3", "e6"), factors="1.0")
    frame = build("table2", tmp_path)
    # An architecture is one row, however many searches found it.
    ours = frame[frame["dataset"] == "digits"]
    assert len(ours) == 2
    row = only(ours, num_retrained="2")
    assert row["top1"] == 71.0
    assert row["top1_sd"] == pytest.approx(math.sqrt(2))
    assert (row["top5"], row["top1_raw"], row["top5_raw"]) == (76.0, 70.0, 75.0)
    assert (row["flops"], row["params"]) == (12.34, 0.0567)
    assert (row["sharing"], row["K"]) == ("one-shot; simplex", "1; 8")
    assert (row["method"], row["searches_widths"]) == ("random; nsga2", "yes")
    assert (row["limits"], row["num_scored"]) == ("≤ 30 MFLOPs", "60")
    assert row["arch"] == arch
    by_hand = only(ours, num_retrained="1")
    assert (by_hand["sharing"], by_hand["limits"]) == (MISSING, MISSING)
    # Cheapest first.
    assert ours["flops"].is_monotonic_increasing


def test_the_papers_architectures_cannot_be_mistaken_for_ours(tmp_path: Path) -> None:
    retrain(tmp_path, [70.0])
    frame = build("table2", tmp_path)
    paper = frame[frame["dataset"] != "digits"]
    assert set(paper["dataset"]) == {"ImageNet (paper)"}
    assert len(paper) == 9
    star = only(frame, name="K-shot-NAS-A*")
    assert (star["top1"], star["flops"], star["params"]) == (77.9, 412.0, 7.8)
    assert only(frame, name="MobileNetV2 1.0")["top1"] == 72.0
    text = markdown("table2", tmp_path)
    assert text.startswith("# Found architectures, retrained (paper table 2): digits (mobilenetv2)")
    assert "k3" not in text
    assert "arch" in to_csv(frame).splitlines()[0].split(",")


def test_table2_says_what_sets_searches_apart(tmp_path: Path) -> None:
    retrain(tmp_path, [70.0])
    retrain(tmp_path, [71.0], num_groups=4)
    frame = build("table2", tmp_path)
    assert set(frame.loc[frame["dataset"] == "digits", "num_groups"]) == {"4", "16"}


def test_table3_by_hand(tmp_path: Path) -> None:
    for seed, true in enumerate((80.0, 84.0)):
        write_search(tmp_path, best={"true": true}, K=8, seed=seed, **CELL)
    record = {"optimum": {"arch": "x", "true": 91.0}}
    write_search(tmp_path, record, {"true": 70.0}, K=1, dataset="cifar10", **CELL)
    write_search(tmp_path, K=8)
    change_truth(tmp_path)
    frame = build("table3", tmp_path)
    row = only(frame, source="this work", sharing="simplex")
    assert row["digits"] == 82.0
    assert row["digits_sd"] == pytest.approx(4 / math.sqrt(2))
    assert (row["num_seeds"], row["num_scored"], row["K"]) == ("2", "60", "8")
    assert math.isnan(row["cifar10"])
    assert row["truth"] == "valid/10ep/mean"
    assert only(frame, source="this work", sharing="one-shot")["cifar10"] == 70.0
    best = only(frame, source="optimum")
    assert (best["digits"], best["cifar10"]) == (90.0, 91.0)
    assert only(frame, source="paper", sharing="K-shot")["cifar100"] == 73.45
    assert "digits (nasbench201)" in markdown("table3", tmp_path)
    assert len(table3.PAPER) == 6


def change_truth(results: Path) -> None:
    """Columns named after their data set, as real ones are."""
    for path in results.glob("searches/cifar10/*/*/*/record.json"):
        change(path.parent, truth__column="cifar10/valid/10ep/mean")


def test_truths_are_never_averaged(tmp_path: Path) -> None:
    first, second = (write_search(tmp_path, K=1, seed=seed, **CELL) for seed in (0, 1))
    change(second, truth__sha256="f" * 64)
    frame = build("table3", tmp_path)
    assert list(frame.loc[frame["source"] == "this work", "num_seeds"]) == ["1", "1"]
    assert first != second


PARTS: list[dict[str, Any]] = [
    {"K": 1, "factors": "1.0"},
    {"K": 1},
    {"K": 8, "sharing": "fixed", "factors": "1.0"},
    {"K": 8, "factors": "1.0"},
    {"K": 8, "regularisation": 0.0},
    {"K": 8},
]


def test_table5_rows_follow_from_the_searchs_config(tmp_path: Path) -> None:
    for number, part in enumerate(PARTS, start=1):
        retrain(tmp_path, [70.0 + number], **part)
    # None of these is in the paper's table.
    retrain(tmp_path, [1.0], K=8, sharing="random", factors="1.0")
    retrain(tmp_path, [2.0], K=8, sharing="fixed")
    retrain(tmp_path, [3.0], K=2, ensemble="max")
    frame = build("table5", tmp_path)
    assert frame["number"].tolist() == list("123456")
    assert frame["top1"].tolist() == [71.0, 72.0, 73.0, 74.0, 75.0, 76.0]
    assert frame["top5"].tolist() == [76.0, 77.0, 78.0, 79.0, 80.0, 81.0]
    assert frame["paper_top1"].tolist() == [77.0, 77.1, 77.2, 77.5, 77.6, 77.9]
    marks = frame[["K-shot", "one-shot", "simplex-net", "channel", "r_c"]].eq("yes").astype(int)
    assert marks.to_numpy().tolist() == [
        [0, 1, 0, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0],
        [1, 0, 1, 0, 0], [1, 0, 1, 1, 0], [1, 0, 1, 1, 1],
    ]  # fmt: skip
    # Widths and r_c have columns of their own.
    assert not {"factors", "regularisation"} & set(frame.columns)
    shown = as_text(TABLES["table5"], frame)
    assert shown["paper, ImageNet: top-1 (%)"].tolist()[0] == "77.0"


def test_means_are_over_searches_of_means_over_retrainings(tmp_path: Path) -> None:
    retrain(tmp_path, [70.0, 72.0, 74.0], seed=0)
    retrain(tmp_path, [76.0], seed=1)
    row = only(build("table5", tmp_path), number="6")
    assert row["top1"] == (72.0 + 76.0) / 2
    assert row["top1_sd"] == pytest.approx(4 / math.sqrt(2))
    assert (row["num_seeds"], row["num_retrained"]) == ("2", "4")


def test_rows_without_records_have_dashes(tmp_path: Path) -> None:
    retrain(tmp_path, [70.0])
    frame = build("table5", tmp_path)
    assert frame["number"].tolist() == list("123456")
    assert frame["top1"].isna().tolist() == [True] * 5 + [False]
    assert frame["paper_top1"].notna().all()
    assert frame["dataset"].eq("digits").all()


@pytest.mark.parametrize(
    "other", [{"epochs": 5}, {"sampler": "balanced"}, {"population": 12}, {"stem": 4}]
)
def test_settings_are_never_averaged(other: dict[str, Any], tmp_path: Path) -> None:
    retrain(tmp_path, [70.0])
    retrain(tmp_path, [80.0], seed=1, **other)
    frame = build("table5", tmp_path)
    rows = frame[frame["number"] == "6"]
    assert sorted(rows["top1"]) == [70.0, 80.0]
    assert rows[next(iter(other))].nunique() == 2


def test_ways_of_retraining_are_never_averaged(tmp_path: Path) -> None:
    search = retrain(tmp_path, [70.0])
    write_retrained(tmp_path, search, 80.0, epochs=9)
    frame = build("table5", tmp_path)
    rows = frame[frame["number"] == "6"]
    assert dict(zip(rows["retraining_epochs"], rows["top1"], strict=True)) == {"6": 70, "9": 80}


def test_side_studies_do_not_crowd_a_table(tmp_path: Path) -> None:
    for number, part in enumerate(PARTS):
        retrain(tmp_path, [70.0 + number], **part)
    retrain(tmp_path, [60.0], num_groups=4)
    retrain(tmp_path, [61.0], epochs=5)
    assert build("table5", tmp_path)["top1"].min() == 70.0
    assert build("table6", tmp_path)["top1"].min() == 70.0
    assert build("table8", tmp_path)["top1"].min() == 70.0
    assert build("table2", tmp_path)["top1"].min() == 60.0


def test_table6_by_hand(tmp_path: Path) -> None:
    for place, sharing in enumerate(("random", "fixed", "simplex")):
        for limit in (TIGHT, LIMIT):
            top1 = 70 + place + limit / LIMIT
            retrain(tmp_path, [top1], sharing=sharing, factors="1.0", max_flops=limit)
    frame = build("table6", tmp_path)
    assert frame["sharing"].tolist() == ["one-shot"] + [
        name for name in ("random", "fixed", "simplex") for _ in range(2)
    ]
    row = only(frame, sharing="fixed", limits="≤ 30 MFLOPs")
    assert row["top1"] == 72.0
    assert (row["paper_330"], row["paper_420"]) == (76.4, 77.2)
    assert only(frame, sharing="fixed", limits="≤ 20 MFLOPs")["top1"] == pytest.approx(71 + 2 / 3)
    missing = only(frame, sharing="one-shot")
    assert math.isnan(missing["top1"])
    assert (missing["paper_330"], missing["limits"]) == (76.2, MISSING)


def test_table8_by_hand(tmp_path: Path) -> None:
    def search(top1: float, seconds: float, megabytes: int, **changes: Any) -> None:
        record = {"seconds": {"search": 1.0, "supernets": seconds}}
        record |= {"peak_memory_bytes": megabytes * 2**20}
        folder = write_search(tmp_path, record, **changes)
        if top1:
            write_retrained(tmp_path, folder, top1)

    search(70.0, 50.0, 100, K=1)
    search(71.0, 100.0, 190, K=2, ensemble="max")
    search(72.0, 101.0, 200, K=2, ensemble="average")
    search(73.0, 51.0, 105, K=2)
    search(0.0, 52.0, 110, K=8)
    frame = build("table8", tmp_path)
    assert list(zip(frame["sharing"], frame["K"], strict=True)) == [
        ("one-shot", "1"), ("ensemble-max", "2"), ("ensemble-average", "2"),
        ("simplex", "2"), ("simplex", "4"), ("simplex", "8"),
    ]  # fmt: skip
    assert frame["relative"].tolist()[:4] == [1.0, 2.0, 2.02, 1.02]
    assert frame["relative_memory"].tolist()[:4] == [1.0, 1.9, 2.0, 1.05]
    assert frame["paper_top1"].tolist() == [77.12, 77.58, 77.64, 77.56, 77.79, 77.92]
    assert only(frame, K="1")["paper_relative_memory"] == 1.0
    assert only(frame, sharing="ensemble-max")["paper_relative"] == pytest.approx(2.0)
    # A search that was not retrained has its costs; one that is not there has dashes.
    last = only(frame, K="8")
    assert math.isnan(last["top1"])
    assert (last["relative"], last["num_retrained"]) == (1.04, "0")
    assert math.isnan(only(frame, K="4")["seconds"])


@pytest.mark.parametrize("name", OF_SEARCHES)
def test_nothing_gives_no_rows(name: str, tmp_path: Path) -> None:
    assert build(name, tmp_path).empty


@pytest.mark.parametrize("name", ["table2", "table5", "table6"])
def test_searches_that_were_not_retrained_give_no_rows(name: str, tmp_path: Path) -> None:
    write_search(tmp_path)
    assert build(name, tmp_path).empty


@pytest.mark.parametrize("name", OF_SEARCHES)
def test_tables_are_the_same_bytes_and_readable_as_latex(name: str, tmp_path: Path) -> None:
    texts = []
    for order in (1, -1):
        results = tmp_path / str(order)
        for K in (1, 8)[::order]:
            write_supernet(results, K=K)
            retrain(results, [70.0, 71.0 + K], K=K)
            write_search(results, K=K, **CELL)
        frames = [LOADERS[kind](results) for kind in TABLES[name].reads]
        table, values = TABLES[name].entitled(*frames), TABLES[name].build(*frames)
        texts.append((to_csv(values), to_markdown(table, values), to_latex(table, values)))
    assert texts[0] == texts[1]
    csv, text, latex = texts[0]
    assert MISSING not in csv
    assert "digits (" in text.splitlines()[0]
    assert "All rows of this work have in common: " in text
    assert latex.isascii()


def test_the_parts_of_table_5_are_all_different() -> None:
    parts = {(part.sharing, part.widths, part.regularised) for part in table5.PAPER}
    assert len(parts) == len(table5.PAPER) == 6
