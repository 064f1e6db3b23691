"""Scores from elsewhere: the same metrics as a run's, a row in a study, refusals in one line."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import write_truth

from benchmark.cli.errors import UserError
from benchmark.records.load import load_predictions
from benchmark.run.command import main
from benchmark.study.command import plan_lines
from benchmark.study.definition import Row
from benchmark.study.file import load_study, write_study
from benchmark.study.plan import plan
from benchmark.study.studies import STUDIES
from benchmark.truth.table import TruthTable
from kshot_core.metrics.correlation import summary


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_truth(tmp_path / "truth.csv")


def archs_of(truth: Path) -> list[str]:
    return list(TruthTable.load(truth).frame.index)


def write_scores(path: Path, rows: list[tuple[str, Any]], header: str = "arch,score") -> Path:
    path.write_text("\n".join([header, *(f"{arch},{score}" for arch, score in rows)]) + "\n")
    return path


def rank(scores: Path, truth: Path, *more: str) -> list[dict[str, Any]]:
    results = str(truth.parent / "results")
    return main(["--scores", str(scores), "--truth", str(truth), "--results", results, *more])


def test_a_record_has_the_metrics_of_the_scores(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archs = archs_of(truth)
    # A tie, and in another order than the table's.
    values = [float(place // 2) for place in range(len(archs))]
    path = write_scores(tmp_path / "depth.csv", list(zip(archs, values, strict=True))[::-1])
    (record,) = rank(path, truth)
    assert record["num_archs"] == len(archs)
    assert record["controls"].keys() >= {"params", "flops", "live_convolutions"}
    assert record["intervals"]["kendall_tau_b"][0] <= record["metrics"]["kendall_tau_b"]
    (folder,) = (tmp_path / "results" / "records").glob("*/*/scores-depth/*")
    predictions = load_predictions(folder)
    by_index = dict(zip(archs, values, strict=True))
    assert sorted(predictions["accuracy"]) == sorted(by_index.values())
    again = summary(predictions["accuracy"], predictions["true"])
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(record["metrics"]))
    assert np.isnan(predictions["loss"]).all()
    assert "scores-depth" in capsys.readouterr().out
    # Done once; other scores of the same name are another record.
    before = (folder / "record.json").stat().st_mtime_ns
    assert rank(path, truth) == [record]
    assert (folder / "record.json").stat().st_mtime_ns == before


def test_some_architectures_are_enough(truth: Path, tmp_path: Path) -> None:
    archs = archs_of(truth)[:5]
    path = write_scores(tmp_path / "few.csv", [(arch, place) for place, arch in enumerate(archs)])
    (record,) = rank(path, truth)
    assert record["num_archs"] == 5


def test_a_study_has_a_row_of_scores_it_names(truth: Path, tmp_path: Path) -> None:
    archs = archs_of(truth)
    results = tmp_path / "results"
    size = dataclasses.replace(STUDIES["table9"].size("tiny"), rows=("depth",))
    rows = (*STUDIES["table9"].rows, Row("depth", "depth", {"scores": "depth"}))
    study = dataclasses.replace(STUDIES["table9"], rows=rows, sizes={"tiny": size})
    assert plan_lines(plan(study, "tiny", results), 1)[0] == "scores depth, digits, seed 0: 0 s"
    rank(write_scores(tmp_path / "depth.csv", [(a, n) for n, a in enumerate(archs)]), truth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STUDIES, "table9", study)
        data = load_study(write_study(results, study, "tiny"))
    table = study.tables[0].build(data).set_index("name")
    assert table.loc["depth", "n"] == 1
    assert table.loc["depth", "tau"] == pytest.approx(100 * data.runs["metrics.kendall_tau_b"][0])
    # No loss, no ranking by it.
    assert math.isnan(table.loc["depth", "tau_by_loss"])
    rank(write_scores(tmp_path / "depth.csv", [(a, -n) for n, a in enumerate(archs)]), truth)
    with pytest.raises(UserError, match="2 files of the same name; keep one"):
        write_study(results, study, "tiny")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("header", "should have a column arch and a column score, got arch, value"),
        ("no arch", r"1 rows are no nasbench201 arch like .*: line 2 'fast'; correct"),
        ("twice", r"lists 1 archs more than once, again in line 4 "),
        ("empty", r"1 scores are missing or no finite number: line 3 ''"),
        ("nan", r"1 scores are missing or no finite number: line 3 'nan'"),
        ("absent", r"1 archs have no value of digits/.* name another --truth"),
        ("one", "has 1 archs; at least 2"),
        ("close", "become equal or infinite; give their ranks instead"),
        ("huge", "become equal or infinite; give their ranks instead"),
    ],
)
def test_bad_scores_are_one_line(how: str, message: str, truth: Path, tmp_path: Path) -> None:
    archs = archs_of(truth)
    known = set(archs)
    other = next(
        text
        for text in (f"|{a}~0|+|none~0|none~1|+|none~0|none~1|{b}~2|" for a in OPS for b in OPS)
        if text not in known
    )
    rows: list[tuple[str, Any]] = [(archs[0], 1.0), (archs[1], 2.0)]
    changed: dict[str, list[tuple[str, Any]]] = {
        "no arch": [("fast", 1.0)],
        "twice": [*rows, (archs[0], 3.0)],
        "empty": [rows[0], (archs[1], "")],
        "nan": [rows[0], (archs[1], "nan")],
        "absent": [*rows, (other, 1.0)],
        "one": rows[:1],
        "close": [rows[0], (archs[1], 1.0 + 1e-12)],
        "huge": [rows[0], (archs[1], 1e300)],
    }
    header = "arch,value" if how == "header" else "arch,score"
    path = write_scores(tmp_path / "scores.csv", changed.get(how, rows), header)
    with pytest.raises(UserError, match=message):
        rank(path, truth)


OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def test_settings_of_a_training_have_no_part_in_it(truth: Path, tmp_path: Path) -> None:
    path = write_scores(tmp_path / "scores.csv", [(arch, 1) for arch in archs_of(truth)])
    with pytest.raises(UserError, match="--scores trains nothing, so --epochs has no part"):
        rank(path, truth, "--epochs", "3")
    with pytest.raises(UserError, match="rename it"):
        rank(path.rename(tmp_path / "a b.csv"), truth)
