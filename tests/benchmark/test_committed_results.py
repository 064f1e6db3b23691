"""The tables that are committed are those that the committed records give, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.report import command as report
from benchmark.report.command import KINDS, build_report

RESULTS = Path(__file__).resolve().parents[2] / "results"
FOLDERS = [name for name in ("records", *KINDS) if (RESULTS / name).is_dir()]
COMMITTED = sorted((RESULTS / "tables").glob("*")) if FOLDERS else []


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the records, with tables made from them now."""
    if not COMMITTED:
        pytest.skip("no records and tables are committed in results/")
    results = tmp_path_factory.mktemp("results")
    # What a run on the way writes is no part of the records, and may vanish while copied.
    for name in FOLDERS:
        shutil.copytree(
            RESULTS / name,
            results / name,
            ignore=shutil.ignore_patterns(".lock", ".part-*", "*.safetensors", "scores.npy"),
        )
    with pytest.MonkeyPatch.context() as patch:
        # Pictures differ from one version of matplotlib or freetype to the next; tables do not.
        patch.setattr(report, "FIGURES", {})
        build_report(results)
    return results


def test_every_table_is_committed(rebuilt: Path) -> None:
    now = {path.name for path in (rebuilt / "tables").iterdir()}
    assert {path.name for path in COMMITTED} == now, "run: python -m benchmark.report"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_table_is_what_its_records_give(path: Path, rebuilt: Path) -> None:
    # As text, so that a failure shows the line.
    now = (rebuilt / "tables" / path.name).read_text(encoding="utf-8")
    assert now == path.read_text(encoding="utf-8"), "run: python -m benchmark.report"
    assert (rebuilt / "tables" / path.name).read_bytes() == path.read_bytes()
