"""Records of supernets, searches and retrainings: read as tables, or refused with one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic_searches import change, write_retrained, write_search, write_supernet

from benchmark.cli.errors import UserError
from benchmark.records.load import load_codes
from benchmark.records.load_searches import (
    load_evaluated,
    load_front,
    load_retrained,
    load_searches,
    load_supernets,
)

LOADERS = {
    "supernets": load_supernets,
    "searches": load_searches,
    "retrained": load_retrained,
}
WRITERS: dict[str, Callable[[Path], Path]] = {
    "supernets": write_supernet,
    "searches": write_search,
    "retrained": lambda results: write_retrained(results, write_search(results), 70.0),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_a_row_for_each_finished_one(kind: str, tmp_path: Path) -> None:
    folder = WRITERS[kind](tmp_path)
    unfinished = folder.with_name("seed9-unfinished")
    unfinished.mkdir()
    frame = LOADERS[kind](tmp_path)
    assert len(frame) == 1
    row = frame.iloc[0]
    assert row["path"] == str(folder)
    assert tmp_path / row["folder"] == folder
    assert row["folder"].startswith(kind)
    assert row["space"] == row["config.space"] == "mobilenetv2"
    assert row["config.dataset"] == "digits"


@pytest.mark.parametrize("kind", LOADERS)
def test_none_is_an_empty_table_with_its_columns(kind: str, tmp_path: Path) -> None:
    empty = LOADERS[kind](tmp_path)
    assert empty.empty
    WRITERS[kind](tmp_path)
    assert set(empty.columns) <= set(LOADERS[kind](tmp_path).columns)


def test_values_keep_their_places(tmp_path: Path) -> None:
    search = write_search(tmp_path, K=2, ensemble="max", max_flops=3e7)
    write_retrained(tmp_path, search, 71.5)
    write_retrained(tmp_path, None, 60.0, arch="k3e3,id,k3e3,id,id|" + ",".join(["1.0"] * 8))
    found = load_searches(tmp_path).iloc[0]
    assert found["supernets"] == '["supernets/0", "supernets/1"]'
    assert found["config.max_flops"] == 3e7
    # Without a truth table these are there, and missing.
    assert pd.isna(found[["best.true", "optimum.true", "truth.column"]]).all()
    by_hand, of_search = load_retrained(tmp_path).sort_values("top1").to_dict("records")
    assert of_search["search.record"] == found["folder"]
    assert of_search["search.config.ensemble"] == "max"
    assert of_search["config.arch"] == found["best.arch"]
    assert pd.isna(by_hand["search.record"])


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"schema": 1, "seconds": NaN}', "NaN is not a number"),
        ("[]", "should be a JSON object"),
        ('{"schema": 3}', "should have schema 1 to 2, got 3"),
        ('{"schema": 1, "kind": "search"}', "should have config.dataset as text"),
        ("\x00", "not valid JSON"),
    ],
)
def test_malformed_record_is_named(kind: str, text: str, message: str, tmp_path: Path) -> None:
    folder = WRITERS[kind](tmp_path)
    (folder / "record.json").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        LOADERS[kind](tmp_path)
    assert str(folder / "record.json") in str(error.value)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("supernets", "seconds_per_epoch", None),
        ("supernets", "peak_memory_bytes", 1.5),
        ("searches", "num_scored", True),
        ("searches", "best__accuracy", "80"),
        ("searches", "config__max_flops", None),
        ("retrained", "top1", None),
        ("retrained", "config__arch", 3),
    ],
)
def test_wrongly_typed_value_is_named(kind: str, name: str, value: Any, tmp_path: Path) -> None:
    folder = WRITERS[kind](tmp_path)
    change(folder, **{name: value})
    with pytest.raises(UserError, match=name.replace("__", r"\.")):
        LOADERS[kind](tmp_path)


def test_a_resumed_search_has_no_time_per_architecture(tmp_path: Path) -> None:
    write_search(tmp_path, {"seconds_per_arch": None})
    assert load_searches(tmp_path)["seconds_per_arch"].isna().all()


@pytest.mark.parametrize("kind", LOADERS)
def test_a_copied_record_is_not_counted_twice(kind: str, tmp_path: Path) -> None:
    folder = WRITERS[kind](tmp_path)
    shutil.copytree(folder, folder.with_name("seed0-copied"))
    with pytest.raises(UserError, match="counted twice"):
        LOADERS[kind](tmp_path)


def test_record_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = write_supernet(tmp_path)
    change(folder, kind="search")
    with pytest.raises(UserError, match="should be of kind supernet, got 'search'"):
        load_supernets(tmp_path)


def test_files_of_a_search(tmp_path: Path) -> None:
    search = write_search(tmp_path, K=4)
    row = load_searches(tmp_path).iloc[0]
    evaluated = load_evaluated(search, int(row["num_scored"]))
    assert list(evaluated["number"]) == list(range(60))
    best = evaluated.set_index("arch").loc[row["best.arch"]]
    assert best["accuracy"] == row["best.accuracy"] == evaluated["accuracy"].max()
    assert load_codes(search).shape == (60, 4)
    front = load_front(search)
    assert front["flops"].is_monotonic_increasing
    assert front["accuracy"].is_monotonic_increasing
    assert front["accuracy"].iloc[-1] == best["accuracy"]
    assert "true" not in evaluated.columns


def test_architectures_that_the_truth_lacks_have_none(tmp_path: Path) -> None:
    search = write_search(tmp_path, space="nasbench201")
    path = search / "evaluated.csv"
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rpartition(",")[0] + ","
    path.write_text("\n".join(lines) + "\n")
    true = load_evaluated(search)["true"]
    assert list(np.flatnonzero(true.isna())) == [2]


def damage(path: Path, how: str) -> None:
    """Make a CSV file unreadable in one of several ways."""
    lines = path.read_text().splitlines()
    if how == "absent":
        path.unlink()
        return
    changed = {
        "empty": [],
        "heading": lines[:1],
        "row cut short": [*lines[:5], lines[5][:12]],
        "no number": [*lines[:5], lines[5].rpartition(",")[0] + ",many"],
        "not finite": [*lines[:5], lines[5].rpartition(",")[0] + ",nan"],
        "too many cells": [lines[0], *(line + ",1" for line in lines[1:])],
        "column renamed": [lines[0].replace("accuracy", "score"), *lines[1:]],
        "column added": [lines[0] + ",more", *(line + ",1" for line in lines[1:])],
    }[how]
    path.write_text("".join(line + "\n" for line in changed))


@pytest.mark.parametrize(
    "how",
    [
        "absent", "empty", "heading", "row cut short", "no number", "not finite",
        "too many cells", "column renamed", "column added",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["evaluated.csv", "front.csv"])
def test_damaged_table_is_named(name: str, how: str, tmp_path: Path) -> None:
    search = write_search(tmp_path, max_flops=3e7)
    damage(search / name, how)
    load = load_evaluated if name == "evaluated.csv" else load_front
    with pytest.raises(UserError, match="delete its folder and search again") as error:
        load(search)
    assert str(search / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_rows_are_seen(tmp_path: Path) -> None:
    search = write_search(tmp_path)
    path = search / "evaluated.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UserError, match="should have 60 rows, got 59"):
        load_evaluated(search, 60)
    path.write_text("\n".join([*lines[:4], *lines[6:]]) + "\n")
    with pytest.raises(UserError, match="should count its rows in number"):
        load_evaluated(search)


def test_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    search = write_search(tmp_path)
    (search / "front.csv").write_bytes(b"arch,accuracy,flops,params\n\xff\xfe,1,2,3\n")
    with pytest.raises(UserError, match=r"cannot read the table .*front\.csv"):
        load_front(search)
