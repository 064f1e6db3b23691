"""The report: everything rebuilt, byte for byte the same, and one line for what is missing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from synthetic import write_records
from synthetic_searches import write_retrained, write_search, write_supernet

from benchmark.cli.errors import UserError, exit_with
from benchmark.report import command as report
from benchmark.report.command import KINDS, build_report, load_all, main
from benchmark.views.figures import FIGURES, Plot
from benchmark.views.tables import TABLES

OF_RUNS = [name for name, table in TABLES.items() if table.reads == ("records",)]
DRAWN_FROM_RUNS = [name for name, draw in FIGURES.items() if not isinstance(draw, Plot)]


def test_report_writes_every_table_and_figure_and_repeats_itself(tmp_path: Path) -> None:
    write_records(tmp_path, copies=(8,), num_seeds=2)
    notices: list[str] = []
    written = build_report(tmp_path, notices.append)
    expected = {
        tmp_path / "tables" / f"{name}.{kind}" for name in OF_RUNS for kind in ("csv", "md", "tex")
    }
    expected |= {
        tmp_path / "figures" / f"{name}.{kind}"
        for name in DRAWN_FROM_RUNS
        for kind in ("png", "pdf")
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
    assert len(written) == 3 * len(OF_RUNS) + 2


@pytest.fixture
def searched(tmp_path: Path) -> Path:
    """A supernet, its search, and what was found, retrained; and a search of a cell."""
    write_supernet(tmp_path, K=4)
    write_retrained(tmp_path, write_search(tmp_path, K=4, max_flops=3e7), 77.0)
    write_search(tmp_path, K=1, space="nasbench201", channels=8, cells=1)
    return tmp_path


def test_searches_alone_are_reported(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each is drawn in its own test; saving is the slow part.
    names = ("cells", "groups", "tau_against_k")
    monkeypatch.setattr(report, "FIGURES", {name: FIGURES[name] for name in names})
    notices: list[str] = []
    written = build_report(searched, notices.append)
    tables = set(TABLES) - set(OF_RUNS)
    assert {path.stem for path in written} == tables | {"cells"}
    # Nothing is said of runs, of which there are none.
    assert notices == ["figure groups skipped: no retrained searches differ in num groups alone"]
    first = {path: path.read_bytes() for path in written}
    assert {path: path.read_bytes() for path in build_report(searched, notices.append)} == first


def test_table_without_rows_is_removed_with_its_reason(
    searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FIGURES", {})
    old = [searched / "tables" / f"{name}.md" for name in ("table2", "table9")]
    for path in old:
        path.parent.mkdir(exist_ok=True)
        path.write_text("of records that are gone")
    for record in searched.glob("retrained/**/record.json"):
        record.unlink()
    notices: list[str] = []
    written = build_report(searched, notices.append)
    assert not any(path.exists() for path in old)
    assert not set(old) & set(written)
    assert "table table2 skipped: no retrained architecture" in notices
    assert "table table9 skipped: no finished run" in notices
    # Table 4 has no record either, but left nothing to remove.
    assert not any("table4" in notice for notice in notices)


def test_runs_and_searches_are_reported_together(searched: Path) -> None:
    write_records(searched, copies=(1,), num_seeds=1)
    frames = load_all(searched)
    assert {name: len(frame) for name, frame in frames.items()} == {
        "records": 1, "supernets": 1, "searches": 2, "retrained": 1,
    }  # fmt: skip
    reads = [table.reads for table in TABLES.values()]
    reads += [draw.reads for draw in FIGURES.values() if isinstance(draw, Plot)]
    assert {kind for kinds in reads for kind in kinds} == {"records", *KINDS}


def test_main_shows_searches_without_runs(
    searched: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FIGURES", {})
    main(["--results", str(searched)])
    printed = capsys.readouterr().out
    assert "table5" in printed
    assert "archs against" not in printed


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
