"""Tables of pages: text for people, the value that a column is sorted by, and links."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from benchmark.study.definition import Table
from benchmark.study.render import as_text, shown_columns
from benchmark.views.values import MISSING, text


@dataclass(frozen=True)
class Cell:
    """A cell.

    Args:
        text: what is read.
        value: what its column is sorted by, where that is a number.
        link: where it leads, if anywhere.
        drawing: SVG shown in place of the text, which stays for sorting.
    """

    text: str
    value: float | None = None
    link: str = ""
    drawing: str = ""


@dataclass(frozen=True)
class Grid:
    """A table.

    Args:
        caption: one line.
        headings: of its columns.
        rows: cells, as many in each as there are headings.
        notes: sentences below it.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())


def number(value: object, decimals: int, scale: float = 1.0) -> Cell:
    """A measured value, times ``scale``; a dash where there is none."""
    if value is None or isinstance(value, str) or math.isnan(float(value)):  # type: ignore[arg-type]
        return Cell(MISSING)
    scaled = scale * float(value)  # type: ignore[arg-type]
    return Cell(f"{scaled:,.{decimals}f}", scaled)


def plain(value: object) -> Cell:
    """A setting, a name or a count as text."""
    isnumber = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(text(value), float(value) if isnumber else None)  # type: ignore[arg-type]


def table_grid(table: Table, values: pd.DataFrame) -> Grid:
    """A study's built table."""
    shown = as_text(table, values)
    names = [name for _, name in shown_columns(table, values)]
    rows = [
        [
            Cell(cell, float(value) if isinstance(value, (int, float)) else None)
            for cell, value in zip(
                shown.iloc[at].tolist(), values[names].iloc[at].tolist(), strict=True
            )
        ]
        for at in range(len(shown))
    ]
    return Grid(table.title, list(shown.columns), rows, table.notes)


def facts(caption: str, values: Mapping[str, object] | Iterable[tuple[str, object]]) -> Grid:
    """Names and values, a row each."""
    pairs = values.items() if isinstance(values, Mapping) else values
    return Grid(caption, ("", ""), [[Cell(name), plain(value)] for name, value in pairs])
