"""Make and inspect truth tables: ``python -m benchmark.truth import`` and ``... show``."""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmark.cli.errors import UserError
from benchmark.cli.parser import Parser
from benchmark.truth.format import SUFFIXES, suffix_of
from benchmark.truth.imported import Imported
from benchmark.truth.importers import import_truth
from benchmark.truth.pickles import Report
from benchmark.truth.table import TruthTable, cached_truth
from kshot_core.metrics.correlation import kendall_tau_b
from kshot_core.tasks import task_of

_IMPORT_HELP = """\
SOURCE is one of

  NAS-Bench-201-v1_1-096897.pth   the benchmark's own file (4.7 GB), linked at
                                  https://github.com/D-X-Y/NAS-Bench-201
                                  takes minutes, and 9 GB of memory
  NATS-tss-v1_0-3ffb9-simple/     the unpacked folder of its successor, linked at
                                  https://github.com/D-X-Y/NATS-Bench
                                  takes about ten minutes and little memory
  nasbench_only108.tfrecord       NAS-Bench-101's own file (500 MB), linked at
                                  https://github.com/google-research/nasbench
  DARTS_fix-w-d.json and its like NDS's records of cells, linked at
                                  https://github.com/facebookresearch/nds
  xgb_v1.0/ and its like          NAS-Bench-301's surrogates, linked at
                                  https://github.com/automl/nasbench301; asked for the
                                  cells of --archs by its package, where that is installed
  darts-cifar10.csv               the networks of How Does Supernet Help in NAS?, of
  proxylessnas.csv, ptb.csv       https://github.com/matluster/anonymous-2102; a -seed43
                                  file beside one is read too
  any .csv, .csv.gz or .csv.xz    with a column arch, in the words of any search space
                                  (NAS-Bench-Macro's digits, say); columns named
                                  <trained-on>/<split>/<epochs>ep/<mean or seedN> are taken,
                                  others only when --column says what they are

examples

  python -m benchmark.truth import NAS-Bench-201-v1_1-096897.pth
  python -m benchmark.truth import NATS-tss-v1_0-3ffb9-simple --to truth.csv.xz
  python -m benchmark.truth import mine.csv --to truth.csv --column 'acc=cifar10/test/200ep/mean'
"""


def main(argv: Sequence[str] | None = None, console: Console | None = None) -> TruthTable:
    """Run the command line; the table that was made or shown is returned.

    Raises:
        UserError: anything wrong with the input; nothing is written then.
    """
    options = _parser().parse_args(argv)
    console = console or Console()
    if not console.is_terminal:
        # A file has no width to fit in.
        console = Console(file=console.file, width=max(console.width, 120))
    if options.command == "show":
        table = TruthTable.load(options.file)
        for part in overview(table):
            console.print(part)
        return table
    return _import(options, console)


def overview(table: TruthTable) -> list[Table]:
    """What each column holds, the best archs, and how well two seeds of a column agree.

    The first table has a row per column; ``best`` is the index of its best arch, the smallest of
    them if several are equal. The third is left out when no column has two seeds.
    """
    space = table.space
    every = table.archs()
    index_of = dict(zip(map(space.to_string, every), table.index(every), strict=True))
    task = task_of(space)
    what = (
        "accuracies in percent" if task.higher_is_better else f"{task.score}, the lower the better"
    )
    title = f"{table.path or 'truth table'}: {len(table.frame):,} archs, {what}"
    columns = _grid(title, "column", "archs", "min", "mean", "max", "best")
    best: dict[int, str] = {}
    for column in table.columns():
        values = table.column(column).dropna()
        if values.empty:
            columns.add_row(str(column), "0", "", "", "", "")
            continue
        top = values.max() if task.higher_is_better else values.min()
        arch = min(values.index[values == top], key=index_of.__getitem__)
        best[index_of[arch]] = arch
        low, mean, high = (f"{values.min():.2f}", f"{values.mean():.2f}", f"{values.max():.4f}")
        columns.add_row(str(column), f"{len(values):,}", low, mean, high, str(index_of[arch]))
    archs = _grid("the best archs", "index", "arch")
    for index in sorted(best):
        archs.add_row(str(index), escape(best[index]))
    seeds = _grid("ceiling: two seeds against each other", "column", "seeds", "archs", "tau-b")
    for row in _ceilings(table):
        seeds.add_row(*row)
    return [columns, archs, seeds] if seeds.row_count else [columns, archs]


def _grid(title: str, first: str, *others: str) -> Table:
    """A table narrow enough for a terminal of 80 columns."""
    grid = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    grid.add_column(first, no_wrap=True)
    for name in others:
        if name == "arch":
            grid.add_column(name, overflow="fold")
        else:
            grid.add_column(name, justify="right", no_wrap=True)
    return grid


def _ceilings(table: TruthTable) -> Iterator[tuple[str, str, str, str]]:
    known = {(c.trained_on, c.split, c.epochs): c for c in table.columns()}
    for example in known.values():
        name = str(example).rpartition("/")[0]
        for one, two in combinations(table.seeds_of(example), 2):
            first, second = table.both(one, two)
            # Tau needs two archs, and is undefined where all accuracies of a seed are equal.
            defined = len(first) > 1 and first.nunique() > 1 and second.nunique() > 1
            tau = f"{kendall_tau_b(first, second):.4f}" if defined else "undefined"
            runs = " ".join(seed.rpartition("/seed")[2] for seed in (one, two))
            yield name, runs, f"{len(first):,}", tau


def _import(options: argparse.Namespace, console: Console) -> TruthTable:
    to: Path = options.to or cached_truth()
    # Whose a CSV or NDS's records are stands in them; of all else it is known.
    # A surrogate's folder is one of DARTS.
    tells = options.to is None and (
        options.source.name.endswith((*SUFFIXES, ".json")) or options.archs is not None
    )
    if not tells:
        # Asked before the work: it can take minutes.
        check_target(to, force=options.force)
    with _progress() as report:
        imported: Imported = import_truth(
            options.source,
            _renames(options.column),
            archs=options.archs,
            trust=options.trust,
            report=report,
        )
    if tells:
        to = cached_truth(imported.table.space.name)
        check_target(to, force=options.force)
    imported.table.save(to)
    for line in imported.left_out:
        console.print(f"left out: {line}", markup=False, highlight=False)
    frame = imported.table.frame
    console.print(
        f"wrote {to}: {len(frame):,} archs, {len(frame.columns)} columns; "
        f"see them with: python -m benchmark.truth show {to}",
        markup=False,
        highlight=False,
    )
    return TruthTable(to, frame)


def check_target(path: Path, *, force: bool) -> None:
    """Make sure that a table may be written to ``path``, without writing.

    Raises:
        UserError: the suffix is not a table's, the file exists and ``force`` is not given, or the
            folder cannot be written to.
    """
    suffix_of(path)
    if path.is_dir() or (path.exists() and not force):
        raise UserError(f"{path} exists already; replace it with --force, or name another --to")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: no permission in {folder}; name another --to")


def _renames(pairs: Sequence[str]) -> dict[str, str]:
    renames: dict[str, str] = {}
    for pair in pairs:
        # No new name holds "=", while an old one may.
        old, sign, new = pair.rpartition("=")
        if not (sign and old and new):
            raise UserError(
                f"--column takes OLD=NEW, such as acc=cifar10/test/200ep/mean; got {pair!r}"
            )
        if old in renames:
            raise UserError(f"--column names {old!r} twice; give each column one new name")
        renames[old] = new
    return renames


@contextmanager
def _progress() -> Iterator[Report]:
    """A progress bar on the terminal; nothing when the output goes to a file."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def report(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = bar.add_task(step, total=total)
        bar.update(tasks[step], completed=done)

    with bar:
        yield report


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.truth",
        description="Make and inspect truth tables: what each architecture reaches alone.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    make = commands.add_parser(
        "import",
        help="make a table from NAS-Bench-201, NATS-Bench, NDS or a CSV",
        description="Make a truth table from what the benchmarks' authors publish, or a CSV.",
        epilog=textwrap.dedent(_IMPORT_HELP),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    make.add_argument("source", type=Path, metavar="SOURCE", help="file or folder, see below")
    make.add_argument(
        "--to",
        type=Path,
        metavar="FILE",
        help="the table to write, .csv, .csv.gz or .csv.xz; by default the place where runs look "
        f"for it ({cached_truth()})",
    )
    make.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="take a CSV's column OLD under the name NEW; may be given several times",
    )
    make.add_argument(
        "--archs",
        type=Path,
        metavar="FILE",
        help="the architectures that NAS-Bench-301's surrogate is asked for, a CSV with a column "
        "arch",
    )
    make.add_argument("--force", action="store_true", help="replace FILE if it exists")
    make.add_argument(
        "--trust",
        action="store_true",
        help="read a .pth whose MD5 is not that of a published file (no code in it is run, with or "
        "without this), or a surrogate (which its package unpickles, and that can run any code)",
    )
    show = commands.add_parser(
        "show",
        help="say what a table holds",
        description="List a table's columns with their best architectures, and how well two "
        "seeds of a column agree: the ceiling of any ranking.",
    )
    show.add_argument("file", type=Path, metavar="FILE", help="the table")
    return parser
