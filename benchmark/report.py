"""Rebuild every table and figure from finished runs: ``python -m benchmark.report``.

Reads ``results/records`` only; nothing is trained or scored again. The same records give the same
bytes with the same versions of pandas and matplotlib, so the committed results can be checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from benchmark.errors import exit_with
from benchmark.figures import FIGURES, FigureUnavailableError
from benchmark.files import write_atomically, write_text
from benchmark.groups import MISSING
from benchmark.load import load_records
from benchmark.tables import TABLES, as_text, to_csv, to_latex, to_markdown

# Fonts and sizes do not depend on a user's matplotlibrc; text in PDFs stays text.
_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "pdf.fonttype": 42,
    "savefig.dpi": 150.0,
}

# Method, K and tau stay columns even where one value fills them.
NUM_LEADING_COLUMNS = 3


def build_report(results: Path, notice: Callable[[str], object] | None = None) -> list[Path]:
    """Write all tables to ``results/tables`` and all figures to ``results/figures``.

    A figure that the records cannot give is skipped, its old files are removed, and the reason
    goes to ``notice``.

    Args:
        results: the results folder.
        notice: called with one line per skipped figure; by default standard error.

    Returns:
        The files written, tables first.

    Raises:
        UserError: no finished run, a damaged file, or a folder that cannot be written to.
    """
    notice = partial(print, file=sys.stderr) if notice is None else notice
    records = load_records(results)
    written = []
    for name, table in TABLES.items():
        values = table.build(records)
        texts = {
            "csv": to_csv(values),
            "md": to_markdown(table, values),
            "tex": to_latex(table, values),
        }
        for suffix, text in texts.items():
            written.append(results / "tables" / f"{name}.{suffix}")
            write_text(written[-1], text)
    for name, draw in FIGURES.items():
        paths = [results / "figures" / f"{name}.{suffix}" for suffix in ("png", "pdf")]
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_RC)
            try:
                figure = draw(records)
            except FigureUnavailableError as error:
                notice(f"figure {name} skipped: {error}")
                for path in paths:
                    path.unlink(missing_ok=True)
                continue
            for path in paths:
                write_atomically(path, partial(_save, figure))
                written.append(path)
    return written


def show_main_table(console: Console, records: pd.DataFrame) -> None:
    """Print paper table 9 for a terminal, a block per setting; failures to beat a control in red.

    A column with one value throughout becomes part of the line below its block.

    Args:
        console: where to print.
        records: the result of ``load_records``.
    """
    table = TABLES["table9"]
    values = table.build(records)
    for (dataset, truth, num_archs), block in values.groupby(
        ["dataset", "truth", "num_archs"], sort=False
    ):
        left_out = ["dataset", "truth", "num_archs", "interval"]
        shown = as_text(table, block.drop(columns=left_out).reset_index(drop=True))
        shown = shown.rename(columns={"Kendall tau-b (%)": "tau-b (%)", "p against K = 1": "p"})
        present = {name: set(shown[name]) - {MISSING} for name in shown.columns}
        kept = [
            name
            for place, name in enumerate(shown.columns)
            if place < NUM_LEADING_COLUMNS or len(present[name]) > 1
        ]
        view = RichTable(
            title=f"{dataset}: {num_archs:,} archs against {truth}",
            title_justify="left",
            title_style="bold",
        )
        for name in kept:
            view.add_column(name, no_wrap=not name.startswith("beats"))
        for row in shown[kept].to_numpy().tolist():
            failed = any(cell.startswith("no:") for cell in row)
            view.add_row(*map(Text, row), style="red" if failed else None)
        console.print(view)
        rest = [
            f"{name} {next(iter(present[name]))}"
            for name in shown.columns
            if name not in kept and present[name]
        ]
        if rest:
            console.print(Text("every run: " + ", ".join(rest)))


def main(argv: Sequence[str] | None = None) -> list[Path]:
    """Run the program; returns the files written.

    Args:
        argv: command-line arguments without the program's name; ``None`` takes the process's own.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.report",
        description="Rebuild all tables and figures from the finished runs in a results folder.",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="the results folder, with its records inside (default: results)",
    )
    results: Path = parser.parse_args(argv).results
    console = Console()
    written = build_report(results, notice=lambda line: console.print(Text(line)))
    show_main_table(console, load_records(results))
    for folder in dict.fromkeys(path.parent for path in written):
        names = sorted({path.stem for path in written if path.parent == folder})
        console.print(Text(f"{folder}: {', '.join(names)}"))
    return written


def _save(figure: Figure, path: Path) -> None:
    """Save without the date and versions that would make equal figures differ."""
    kind = path.suffix.removeprefix(".")
    metadata = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None}
    figure.savefig(path, format=kind, metadata=metadata)


if __name__ == "__main__":
    exit_with(main)
