"""Tables of records for the pages: runs, searches and retrainings, a line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from benchmark.study.definition import StudyData
from benchmark.study.site.archs import rows_of
from benchmark.study.site.cells import Cell, Grid, number, plain
from benchmark.views.values import MISSING

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Mention:
    """Where a record stands in a study: the study, and the row's label."""

    data: StudyData
    label: str


def slug(folder: str) -> str:
    """The file name of a record's page: its folder below the kind of record, ``--`` for ``/``."""
    return "--".join(PurePosixPath(folder).parts[1:]) + ".html"


Columns = Mapping[str, Callable[[Row], Cell]]
"""Heading of a column -> what it has of a record."""

_RUN_COLUMNS: Columns = {
    "archs": lambda row: plain(row["num_archs"]),
    "tau-b (%)": lambda row: number(row["metrics.kendall_tau_b"], 1, 100.0),
    "parameters' tau-b (%)": lambda row: number(row.get("controls.params.kendall_tau_b"), 1, 100.0),
    "training (s)": lambda row: number(row.get("seconds.training"), 0),
}
_SEARCH_COLUMNS: Columns = {
    "archs scored": lambda row: plain(row["num_scored"]),
    "best accuracy (%)": lambda row: number(row["best.accuracy"], 2),
    "its M multiply-adds": lambda row: number(row["best.flops"], 3, 1e-6),
    "search (s)": lambda row: number(row["seconds.search"], 0),
}


def runs_grid(
    runs: pd.DataFrame,
    root: str,
    labels: Mapping[str, str] | None = None,
    mentions: Mapping[str, Sequence[Mention]] | None = None,
) -> Grid:
    """Runs; with the rows' ``labels`` in a study, or the ``mentions`` of each in any."""
    return _records_grid("runs", "run", runs, run_title, _RUN_COLUMNS, root, labels, mentions)


def searches_grid(
    searches: pd.DataFrame,
    root: str,
    labels: Mapping[str, str] | None = None,
    mentions: Mapping[str, Sequence[Mention]] | None = None,
) -> Grid:
    """Searches, likewise."""
    return _records_grid(
        "searches", "search", searches, search_title, _SEARCH_COLUMNS, root, labels, mentions
    )


def _records_grid(
    place: str,
    kind: str,
    records: pd.DataFrame,
    title: Callable[[Row], str],
    columns: Columns,
    root: str,
    labels: Mapping[str, str] | None,
    mentions: Mapping[str, Sequence[Mention]] | None,
) -> Grid:
    """A line per record, with a link to its page."""
    rows = []
    for row in rows_of(records):
        link = f"{root}{place}/{slug(str(row['folder']))}"
        rows.append(
            [
                Cell(labels[row["row"]] if labels else title(row), link=link),
                *(plain(row[name]) for name in ("config.dataset", "space", "config.seed")),
                *(column(row) for column in columns.values()),
                *_where(row, mentions),
            ]
        )
    headings = [kind, "data set", "space", "seed", *columns, *_where_heading(mentions)]
    return Grid(place.capitalize(), headings, rows)


def _where(row: Row, mentions: Mapping[str, Sequence[Mention]] | None) -> list[Cell]:
    """In which studies a record stands, if that is asked for."""
    if mentions is None:
        return []
    found = mentions.get(str(row["folder"]), ())
    names = [f"{one.data.study.name} ({one.data.scale}): {one.label}" for one in found]
    return [Cell("; ".join(names) or MISSING)]


def _where_heading(mentions: Mapping[str, Sequence[Mention]] | None) -> list[str]:
    return [] if mentions is None else ["study: row"]


def retrained_grid(retrained: pd.DataFrame, labels: Mapping[str, str]) -> Grid:
    """Architectures that were trained by themselves."""
    rows = [
        [
            plain(labels.get(str(row.get("row")), row["config.seed"])),
            number(row["top1"], 2),
            number(row["top5"], 2),
            number(row["flops"], 3, 1e-6),
            number(row["params"], 4, 1e-6),
            Cell(str(row["config.arch"])),
        ]
        for row in rows_of(retrained)
    ]
    first = "row" if labels else "seed"
    headings = [first, "top-1 (%)", "top-5 (%)", "M multiply-adds", "M parameters", "arch"]
    return Grid("Trained by itself", headings, rows)


def run_title(row: Row) -> str:
    """A run in a few words."""
    sharing = str(row["config.sharing"])
    name = sharing if sharing.startswith("scores-") else f"{sharing} K = {row['config.K']}"
    return f"{row['config.dataset']}, {name}, seed {row['config.seed']}"


def search_title(row: Row) -> str:
    """A search in a few words."""
    name = row["config.ensemble"] or row["config.sharing"]
    how = f"{name} K = {row['config.K']}"
    return f"Search on {row['config.dataset']}, {how}, seed {row['config.seed']}"
