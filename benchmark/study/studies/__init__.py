"""The studies, each in a file of its own: written down before its runs."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.study.definition import Study

_ALL: tuple[Study, ...] = ()
STUDIES: Mapping[str, Study] = {study.name: study for study in _ALL}
