"""The studies, each in a file of its own: written down before its runs."""

from __future__ import annotations

from benchmark.study.definition import Study
from benchmark.study.studies import table4, table9

_ALL: tuple[Study, ...] = (table4.STUDY, table9.STUDY)
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}
