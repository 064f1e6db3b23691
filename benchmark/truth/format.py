"""The truth table's file format: column names, text in and out, and every check of its content.

``benchmark/truth/table.py`` describes the format; users of a table need that module only.
"""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.cli.numbers import read_number
from benchmark.truth.reading import Rows, few
from kshot_core.space import Space, example
from kshot_core.spaces import SPACES
from kshot_core.tasks import task_of
from kshot_core.tasks.images import CLASSIFICATION
from kshot_core.tasks.task import Task

SPLITS = ("train", "valid", "test", "valid+test")
SUFFIXES = (".csv", ".csv.gz", ".csv.xz")
_NAME = re.compile(r"([a-z0-9][a-z0-9.-]*)/([a-z+]+)/([1-9][0-9]*)ep/(mean|seed[0-9]+)")
# A column of this many archs that never passes 1 % holds fractions, not percent.
_NUM_ROWS_TO_JUDGE_UNIT = 10
# Rows that are looked at to tell which space a table is of.
_NUM_ROWS_TO_JUDGE_SPACE = 20


@dataclass(frozen=True, order=True)
class TruthColumn:
    """A column's name, parsed: trained on what, evaluated on what, how long, which run."""

    trained_on: str
    split: str
    epochs: int
    run: str

    def __str__(self) -> str:
        """The name as it stands in the table: ``cifar10/test/200ep/mean``."""
        return f"{self.trained_on}/{self.split}/{self.epochs}ep/{self.run}"

    @classmethod
    def parse(cls, text: str) -> TruthColumn:
        """Read a name, in any case. Raises ``UserError`` when it is not of the four-part form."""
        match = _NAME.fullmatch(text.strip().lower())
        if match is None or match[2] not in SPLITS:
            raise UserError(
                "a truth column is named <trained-on>/<split>/<epochs>ep/<mean or seedN>, such as "
                f"cifar10/test/200ep/mean with split one of {', '.join(SPLITS)}; "
                f"got {text[:80]!r}; name it so, or rename it with --column OLD=NEW on import"
            )
        return cls(match[1], match[2], int(match[3]), match[4])


def space_of(archs: Sequence[str]) -> Space:
    """The space, with its default settings, that reads the first of ``archs`` that any reads.

    NAS-Bench-201 where none reads any of them.
    """
    for text in archs[:_NUM_ROWS_TO_JUDGE_SPACE]:
        for build in SPACES.values():
            space: Space = build()
            if is_arch(space, text):
                return space
    native: Space = SPACES["nasbench201"]()
    return native


def is_arch(space: Space, text: str) -> bool:
    """Whether ``text`` is how the space writes one of its architectures."""
    try:
        return space.to_string(space.from_string(text)) == text
    except ValueError:
        return False


def is_column(name: str) -> bool:
    """Whether ``name`` is of the four-part form."""
    try:
        TruthColumn.parse(name)
    except UserError:
        return False
    return True


def suffix_of(path: Path) -> str:
    """The suffix that says how a table is packed. Raises ``UserError`` for any other."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise UserError(f"a truth table's file ends in {', '.join(SUFFIXES)}; got {path}")


def compress(text: str, path: Path) -> bytes:
    """Pack text as the suffix of ``path`` says, without time stamps or names."""
    data, suffix = text.encode("utf-8"), suffix_of(path)
    if suffix == ".csv.gz":
        return gzip.compress(data, mtime=0)
    return lzma.compress(data) if suffix == ".csv.xz" else data


def to_frame(rows: Rows, names: Mapping[str, str], path: Path) -> pd.DataFrame:
    """Turn text cells into a frame indexed by arch: empty is NaN, any other non-number an error.

    Args:
        rows: the file's rows, with a column ``arch``, in any case.
        names: the columns to take, by their name in the file, and their name in the frame.
        path: the file, for messages.

    Raises:
        UserError: a name is malformed, or a cell is neither empty nor a finite number.
    """
    columns = [str(_parse_in(name, path)) for name in names.values()]
    header = [name.lower() for name in rows.header]
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise UserError(f"{path} has columns of the same name: {few(twice)}; keep one of each")
    values = np.full((len(rows.cells), len(names)), np.nan)
    wrong = []
    for column, old in enumerate(names):
        place = rows.header.index(old)
        for row, cells in enumerate(rows.cells):
            if cells[place]:
                values[row, column] = _number(cells[place])
                if np.isnan(values[row, column]):
                    wrong.append(f"line {rows.lines[row]} {old}: {cells[place][:30]!r}")
    if wrong:
        raise UserError(
            f"{path}: cells should be percent or empty, but {len(wrong)} hold no finite number: "
            f"{few(wrong)}; correct these lines"
        )
    archs = [cells[header.index("arch")] for cells in rows.cells]
    index = pd.Index(archs, name="arch")
    frame: pd.DataFrame = pd.DataFrame(values, index=index, columns=columns)
    return frame


def check_frame(
    frame: pd.DataFrame, name: str, space: Space, lines: Sequence[int] | None = None
) -> None:
    """Check a table's content; ``name`` stands for it in the messages.

    Args:
        frame: the content.
        name: of the table.
        space: whose architectures these are.
        lines: the line of the file that each row stands in; None for one row a line.

    Raises:
        UserError: no rows or columns, names or archs malformed or repeated, an empty cell in a
            mean, an accuracy outside 0..100, or fractions in place of percent.
    """
    if frame.empty:
        raise UserError(f"{name} is empty: at least one arch and one column of accuracies wanted")
    if not frame.columns.is_unique:
        again = few(frame.columns[frame.columns.duplicated()])
        raise UserError(f"{name} has columns of the same name: {again}; keep one of each")
    lines = range(2, len(frame) + 2) if lines is None else lines
    archs = list(frame.index)
    wrong = [_line(frame, lines, row) for row, arch in enumerate(archs) if not is_arch(space, arch)]
    if wrong:
        raise UserError(
            f"{name}: {len(wrong)} rows are no {space.name} arch like "
            f"{space.to_string(example(space))[:120]}: {few(wrong)}; correct these lines, or "
            "name a table of this space"
        )
    twice = np.flatnonzero(frame.index.duplicated())
    if len(twice):
        raise UserError(
            f"{name} lists {len(twice)} archs more than once, again in "
            f"{few(_line(frame, lines, row) for row in twice)}; keep one row of each"
        )
    for column in [_parse_in(str(text), name) for text in frame.columns]:
        _check_values(frame, column, name, lines, task_of(space))


def _check_values(
    frame: pd.DataFrame, column: TruthColumn, name: str, lines: Sequence[int], task: Task
) -> None:
    values = frame[str(column)].to_numpy(dtype=np.float64)
    empty = np.flatnonzero(np.isnan(values))
    listed = few(_line(frame, lines, row) for row in empty)
    if column.run == "mean" and len(empty):
        raise UserError(
            f"{name}: {column} is a mean and has {len(empty)} empty cells: "
            f"{listed}; fill these cells or leave out the column"
        )
    is_percent = task is CLASSIFICATION
    least, most = task.bounds
    outside = np.flatnonzero((values < least) | (values > most))
    if len(outside):
        listed = few(f"{_line(frame, lines, row)}: {values[row]:g}" for row in outside)
        what = "accuracies" if is_percent else "values"
        wanted = "in 0..100 percent" if is_percent else f"{task.score} of {least:g} to {most:g}"
        raise UserError(f"{name}: {len(outside)} {what} of {column} are not {wanted}: {listed}")
    if (
        is_percent
        and len(values) - len(empty) >= _NUM_ROWS_TO_JUDGE_UNIT
        and np.nanmax(values) <= 1
    ):
        raise UserError(
            f"{name}: no accuracy of {column} passes {np.nanmax(values):g}, so these look like "
            "fractions; percent wanted: multiply them by 100"
        )


def _number(text: str) -> float:
    """The finite number that ``text`` holds, or NaN; percent never have groups of thousands."""
    try:
        value = read_number(text.removesuffix("%"), comma_is_decimal=True)
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def _parse_in(name: str, where: str | Path) -> TruthColumn:
    try:
        return TruthColumn.parse(name)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _line(frame: pd.DataFrame, lines: Sequence[int], row: int | np.integer) -> str:
    return f"line {lines[int(row)]} {str(frame.index[int(row)])[:90]!r}"
