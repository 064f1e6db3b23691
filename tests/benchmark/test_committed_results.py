"""The tables that are committed are those that the committed records give, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.study.file import load_study
from benchmark.study.write import list_text, table_texts

RESULTS = Path(__file__).resolve().parents[2] / "results"
STUDIES = sorted((RESULTS / "studies").glob("*/study.json"))
AGAIN = "run: python -m benchmark.report"


def test_studies_are_committed() -> None:
    assert STUDIES


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.parent.name)
def test_committed_tables_are_what_their_records_give(path: Path) -> None:
    data = load_study(path)
    for table in data.study.tables:
        for suffix, now in table_texts(data, table.name, table.build(data)).items():
            file = path.parent / f"{table.name}.{suffix}"
            assert now == file.read_text(encoding="utf-8"), AGAIN
    page = (path.parent / "README.md").read_text(encoding="utf-8")
    assert data.study.answer(data) in page, AGAIN


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.parent.name)
def test_committed_tables_can_be_read(path: Path) -> None:
    for table in load_study(path).study.tables:
        text = (path.parent / f"{table.name}.md").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert max(map(len, lines)) <= 100
        assert lines[0].count("|") - 1 <= 10


def test_the_list_of_studies_is_what_the_records_give() -> None:
    now = list_text(RESULTS, {path: load_study(path) for path in STUDIES})
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == now, AGAIN
