"""A study's tables as CSV for programs, Markdown and LaTeX for people.

A column ``x`` with a companion ``x_sd`` reads "mean ± sd" for people; programs get both, unrounded
to six digits. Nothing that changes from run to run, such as a date, is written.
"""

from __future__ import annotations

import math

import pandas as pd

from benchmark.study.definition import Table
from benchmark.views.values import MISSING, NO_RUN

NUM = "n"
"""The column that says of how many runs a row is; for people 0 reads "no run yet"."""
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", MISSING: "--",
}  # fmt: skip


def as_text(table: Table, values: pd.DataFrame) -> pd.DataFrame:
    """The table as text with headings, each ``x_sd`` merged into its ``x``."""
    shown = shown_columns(table, values)
    columns: list[list[str]] = []
    for _, name in shown:
        spreads = values.get(f"{name}_sd", pd.Series(math.nan, index=values.index))
        decimals = 4 if name == "p_value" else table.decimals
        form = table.formats.get(name, "")
        cells = [
            _cell(value, spread, decimals, form)
            for value, spread in zip(values[name], spreads, strict=True)
        ]
        if name == NUM:
            cells = [NO_RUN if cell == "0" else cell for cell in cells]
        columns.append(cells)
    # Two columns may have the same heading.
    return pd.DataFrame(dict(enumerate(columns))).set_axis([name for name, _ in shown], axis=1)


def shown_columns(table: Table, values: pd.DataFrame) -> list[tuple[str, str]]:
    """The columns that people see: heading and column."""
    return [
        (table.labels.get(name, name.replace("_", " ")), name)
        for name in values.columns
        if not name.endswith("_sd") and name not in table.for_programs
    ]


def to_csv(values: pd.DataFrame) -> str:
    """Comma-separated values, six significant digits, empty where there is none."""
    return values.replace(MISSING, "").to_csv(index=False, float_format="%.6g", lineterminator="\n")


def to_markdown(table: Table, values: pd.DataFrame, common: str = "", level: int = 1) -> str:
    """A GitHub Markdown table with its title and notes, aligned so that it reads as it stands.

    Args:
        table: what it is.
        values: the built table.
        common: what all its runs have in common, for a line above it.
        level: of its heading.
    """
    shown = as_text(table, values)
    rows = [[name.replace("|", r"\|") for name in shown.columns]]
    rows += [[cell.replace("|", r"\|") for cell in row] for row in shown.to_numpy().tolist()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (n + 2) for n in widths) + "|")
    above = [common, ""] if common else []
    title = f"{'#' * level} {table.title}"
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([title, "", *above, *lines, "", *notes]).rstrip("\n") + "\n"


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
