"""The studies, each in a file of its own: written down before its runs."""

from __future__ import annotations

from benchmark.study.definition import Study
from benchmark.study.studies import (
    figure7,
    figure8,
    figure9,
    table1,
    table3,
    table4,
    table5,
    table6,
    table8,
    table9,
)

_ALL: tuple[Study, ...] = (
    table1.STUDY,
    table3.STUDY,
    table4.STUDY,
    table5.STUDY,
    table6.STUDY,
    table8.STUDY,
    table9.STUDY,
    figure7.STUDY,
    figure8.STUDY,
    figure9.STUDY,
)
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}
