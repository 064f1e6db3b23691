"""Tables as CSV for programs, Markdown and LaTeX for people.

A column ``x`` with a companion ``x_sd`` reads "mean ± sd" for people; programs get both, unrounded
to six digits. Nothing that changes from run to run, such as a date, is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from benchmark.views.groups import MISSING

_LABELS = {
    "dataset": "data set",
    "method": "method",
    "source": "source",
    "metric": "correlation",
    "kendall_tau_b": "Kendall tau-b (%)",
    "paper": "paper (%)",
    "interval": "95 % over archs",
    "p_value": "p against K = 1",
    "beats_controls": "beats its controls",
    "num_seeds": "seeds",
    "num_archs": "archs",
    "num_weight_steps": "weight steps",
}
CONTROLS_NOTE = (
    "Controls need no training; the ceiling is the agreement of two training seeds of the truth "
    "on the same architectures."
)
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", MISSING: "--",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A paper table rebuilt from records.

    Attributes:
        title: one line.
        build: the frames of ``reads`` -> the table, one row per line; without rows it is not
            written.
        decimals: of every measured value.
        notes: sentences below the table.
        labels: headings beside the usual ones.
        reads: kinds of records that ``build`` takes, of ``benchmark.report.command.KINDS``.
        about: the frames of ``reads`` -> data sets for the title, and a sentence on what all rows
            have in common.
        formats: of columns that are not shown with ``decimals``, e.g. ``".4g"``.
        wants: what there is none of where the table has no rows.
        for_programs: columns that only the CSV file has.
    """

    title: str
    build: Callable[..., pd.DataFrame]
    decimals: int = 2
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ("records",)
    about: Callable[..., tuple[str, str]] | None = None
    wants: str = "finished run"
    for_programs: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)

    def entitled(self, *frames: pd.DataFrame) -> Table:
        """The table with data sets in its title and what is common to its rows in its notes."""
        if self.about is None:
            return self
        datasets, common = self.about(*frames)
        return replace(self, title=f"{self.title}: {datasets}", notes=(common, *self.notes))


def as_text(table: Table, values: pd.DataFrame) -> pd.DataFrame:
    """The table as text with headings, each ``x_sd`` merged into its ``x``."""
    labels = {**_LABELS, **table.labels}
    columns: dict[str, list[str]] = {}
    for name in values.columns:
        if name.endswith("_sd") or name in table.for_programs:
            continue
        spreads = values.get(f"{name}_sd", pd.Series(math.nan, index=values.index))
        decimals = 4 if name == "p_value" else table.decimals
        form = table.formats.get(name, "")
        columns[labels.get(name, name.replace("_", " "))] = [
            _cell(value, spread, decimals, form)
            for value, spread in zip(values[name], spreads, strict=True)
        ]
    return pd.DataFrame(columns)


def to_csv(values: pd.DataFrame) -> str:
    """Comma-separated values, six significant digits, empty where there is none."""
    return values.replace(MISSING, "").to_csv(index=False, float_format="%.6g", lineterminator="\n")


def to_markdown(table: Table, values: pd.DataFrame) -> str:
    """A GitHub Markdown table with its title and notes, aligned so that it reads as it stands."""
    shown = as_text(table, values)
    rows = [[name.replace("|", r"\|") for name in shown.columns]]
    rows += [[cell.replace("|", r"\|") for cell in row] for row in shown.to_numpy().tolist()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (n + 2) for n in widths) + "|")
    return (
        "\n".join([f"# {table.title}", "", *lines, "", *(f"- {note}" for note in table.notes)])
        + "\n"
    )


def to_latex(table: Table, values: pd.DataFrame) -> str:
    """A LaTeX ``table`` that needs no package."""
    shown = as_text(table, values)
    rows = [list(shown.columns), *shown.to_numpy().tolist()]
    lines = [" & ".join(_escape(cell) for cell in row) + r" \\" for row in rows]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_escape(' '.join([table.title + '.', *table.notes]))}}}",
            rf"\begin{{tabular}}{{{'l' * len(rows[0])}}}",
            r"\hline",
            lines[0],
            r"\hline",
            *lines[1:],
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _cell(value: object, spread: float, decimals: int, form: str) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return MISSING
        if not form and abs(value) < 10**-decimals and value != 0 and decimals > 2:
            return f"{value:.1e}"
        form = form or f".{decimals}f"
        return f"{value:{form}}" + ("" if math.isnan(spread) else f" ± {spread:{form}}")
    return MISSING if value is None or value == "" else str(value)


def _escape(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
