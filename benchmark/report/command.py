"""Rebuild every table and figure from finished work: ``python -m benchmark.report``.

Reads the records of runs, supernets, searches and retrainings in a results folder; nothing is
trained or scored again. The same records give the same bytes with the same versions of pandas and
matplotlib, so the committed results can be checked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from benchmark.cli.parser import Parser
from benchmark.records.files import write_text
from benchmark.records.load import load_records, record_paths
from benchmark.records.load_searches import load_retrained, load_searches, load_supernets
from benchmark.views.figures import FIGURES, FigureUnavailableError, Plot
from benchmark.views.groups import MISSING
from benchmark.views.pictures import own_style, save_figure
from benchmark.views.tables import TABLES, Table, as_text, to_csv, to_latex, to_markdown

# What tables and figures can ask for beside "records", the runs.
KINDS: Mapping[str, Callable[[Path], pd.DataFrame]] = {
    "supernets": load_supernets,
    "searches": load_searches,
    "retrained": load_retrained,
}

# Method, K and tau stay columns even where one value fills them.
NUM_LEADING_COLUMNS = 3


def build_report(results: Path, notice: Callable[[str], object] | None = None) -> list[Path]:
    """Write all tables to ``results/tables`` and all figures to ``results/figures``.

    What the records cannot give is left out and its old files are removed. The reason goes to
    ``notice``, unless there is no record of the kinds it reads and there was no old file.

    Args:
        results: the results folder.
        notice: called with one line for what is left out; by default standard error.

    Returns:
        The files written, tables first.

    Raises:
        UserError: nothing finished, a damaged file, or a folder that cannot be written to.
    """
    notice = partial(print, file=sys.stderr) if notice is None else notice
    frames = load_all(results)
    written: list[Path] = []
    for name, table in TABLES.items():
        paths = [results / "tables" / f"{name}.{suffix}" for suffix in ("csv", "md", "tex")]
        texts = _table_texts(table, [frames[kind] for kind in table.reads])
        if texts:
            for path, text in zip(paths, texts, strict=True):
                write_text(path, text)
            written += paths
        else:
            _leave_out(f"table {name}", f"no {table.wants}", paths, table.reads, frames, notice)
    for name, draw in FIGURES.items():
        paths = [results / "figures" / f"{name}.{suffix}" for suffix in ("png", "pdf")]
        reads = draw.reads if isinstance(draw, Plot) else ("records",)
        figure = _figure(draw, [frames[kind] for kind in reads])
        if isinstance(figure, Figure):
            for path in paths:
                save_figure(figure, path)
            written += paths
        else:
            _leave_out(f"figure {name}", figure, paths, reads, frames, notice)
    return written


def load_all(results: Path) -> dict[str, pd.DataFrame]:
    """The records of every kind, by ``"records"`` and the names in ``KINDS``; some may be empty.

    Raises:
        UserError: nothing finished at all, or a malformed record.
    """
    frames = {kind: load(results) for kind, load in KINDS.items()}
    has_runs = bool(record_paths(results)) or all(frame.empty for frame in frames.values())
    return {"records": load_records(results) if has_runs else pd.DataFrame(), **frames}


def _table_texts(table: Table, frames: Sequence[pd.DataFrame]) -> list[str]:
    """A table as CSV, Markdown and LaTeX; nothing where it has no rows."""
    if all(frame.empty for frame in frames):
        return []
    values = table.build(*frames)
    if values.empty:
        return []
    table = table.entitled(*frames)
    return [to_csv(values), to_markdown(table, values), to_latex(table, values)]


def _figure(draw: Callable[..., Figure], frames: Sequence[pd.DataFrame]) -> Figure | str:
    """A figure, or why there is none."""
    if all(frame.empty for frame in frames):
        return "no such record"
    try:
        with own_style():
            return draw(*frames)
    except FigureUnavailableError as error:
        return str(error)


def _leave_out(
    what: str,
    reason: str,
    paths: Sequence[Path],
    reads: Sequence[str],
    frames: Mapping[str, pd.DataFrame],
    notice: Callable[[str], object],
) -> None:
    old = [path for path in paths if path.exists()]
    for path in old:
        path.unlink()
    if old or not all(frames[kind].empty for kind in reads):
        notice(f"{what} skipped: {reason}")


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
    parser = Parser(
        prog="python -m benchmark.report",
        description="Rebuild all tables and figures from the records in a results folder.",
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
    if record_paths(results):
        show_main_table(console, load_records(results))
    for folder in dict.fromkeys(path.parent for path in written):
        names = sorted({path.stem for path in written if path.parent == folder})
        console.print(Text(f"{folder}: {', '.join(names)}"))
    return written
