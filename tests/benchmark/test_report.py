"""The report: everything rebuilt, byte for byte the same, and one line for what is missing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from synthetic import write_records

from benchmark import report
from benchmark.errors import UserError, exit_with
from benchmark.figures import FIGURES
from benchmark.report import build_report, main
from benchmark.tables import TABLES


def test_report_writes_every_table_and_figure_and_repeats_itself(tmp_path: Path) -> None:
    write_records(tmp_path, copies=(8,), num_seeds=2)
    notices: list[str] = []
    written = build_report(tmp_path, notices.append)
    expected = {
        tmp_path / "tables" / f"{name}.{kind}" for name in TABLES for kind in ("csv", "md", "tex")
    }
    expected |= {
        tmp_path / "figures" / f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")
    }
    assert set(written) == expected
    assert notices == []
    first = {path: path.read_bytes() for path in written}
    assert {path: path.read_bytes() for path in build_report(tmp_path)} == first
    left_over = [path for path in tmp_path.rglob("*") if path.name.startswith(".part")]
    assert left_over == []


def test_figure_that_cannot_be_drawn_is_skipped_with_its_reason(tmp_path: Path) -> None:
    stale = tmp_path / "figures" / "codes.png"
    stale.parent.mkdir()
    stale.write_bytes(b"of records that are gone")
    write_records(tmp_path, copies=(1,), num_seeds=1)
    notices: list[str] = []
    written = build_report(tmp_path, notices.append)
    assert notices == [
        "figure codes skipped: no run with K > 1 and codes that vary has a codes.npy"
    ]
    assert stale not in written
    assert not stale.exists()


def test_main_prints_the_table_and_where_everything_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(tmp_path, copies=(1, 8), num_seeds=1)
    # Drawing is the slow part, and another test's.
    monkeypatch.setattr(report, "FIGURES", {"tau_against_k": FIGURES["tau_against_k"]})
    written = main(["--results", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "digits: 400 archs against digits/valid/10ep/mean" in printed
    assert "control: parameters" in printed
    assert "no: parameters" in printed
    assert "tau_against_k" in printed
    assert len(written) == 3 * len(TABLES) + 2


def test_unwritable_folder_is_one_clear_line(tmp_path: Path) -> None:
    write_records(tmp_path, copies=(1,), num_seeds=1)
    (tmp_path / "tables").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot write"):
        build_report(tmp_path)


def test_no_records_exits_with_code_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        exit_with(partial(main, ["--results", str(tmp_path / "none")]))
    assert left.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("error: no finished run found")
    assert not (tmp_path / "none").exists()
