"""Ground truth: what each architecture reaches when it is trained alone.

One small table, a CSV file (``.csv``, ``.csv.gz`` or ``.csv.xz``; read as spreadsheets write it,
see ``benchmark.truth.reading``). The first column, ``arch``, is
the benchmark's string; every other column says in its own name what was measured::

    <trained-on>/<split>/<epochs>ep/<run>       cifar10/test/200ep/mean

* ``trained-on``: the training set. ``cifar10-valid`` is the 25,000-image half of CIFAR-10's
  training images, ``cifar10`` is all 50,000 of them. The two are different networks.
* ``split``: the images of the accuracy: ``train``, ``valid``, ``test``, or ``valid+test`` (both
  halves of a test set that was cut in two, as for CIFAR-100 and ImageNet16-120).
* ``epochs``: how long each network was trained.
* ``run``: ``mean`` over the runs there are, or one run, ``seed777``.

Cells are accuracies in percent. An empty cell says that this seed was not run for this arch, and
may occur in seed columns only. The order of rows is free; the index of an arch follows from its
string. Nothing is defaulted and no column is renamed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pooch  # type: ignore[import-untyped]

from benchmark.cli.errors import UserError
from benchmark.records.files import sha256, write_atomically, write_text
from benchmark.truth.format import (
    SPLITS,
    TruthColumn,
    check_frame,
    compress,
    is_arch,
    space_of,
    to_frame,
)
from benchmark.truth.reading import few, read_rows
from benchmark.truth.sums import check_sums, is_packed, sums_file
from kshot_core.space import Arch, Listable, Space, compact

__all__ = [
    "TruthColumn",
    "TruthTable",
    "cached_truth",
    "default_column",
    "find_truth",
    "is_shipped",
]

_DEFAULTS = {
    "cifar10": "cifar10/test/200ep/mean",
    "cifar100": "cifar100/test/200ep/mean",
    "imagenet16-120": "imagenet16-120/test/200ep/mean",
}
_NATIVE = "nasbench201"
"""The space of the tables that are found without being named."""
_DATA = Path(__file__).resolve().parent / "data"
_EMBEDDED = {
    (_NATIVE, "digits"): _DATA / "digits_truth.csv",
    ("nasbench101", "digits"): _DATA / "nasbench101_digits.csv",
    ("darts", "digits"): _DATA / "darts_digits.csv",
    ("proxyless", "digits"): _DATA / "proxyless_digits.csv",
    ("darts_ptb", "grammar"): _DATA / "darts_ptb_grammar.csv",
}
"""Tables shipped with the package, by space and data set; a .json beside each says how it was made.
"""
_PUBLISHED = {
    _NATIVE: "NAS-Bench-201-v1_1-096897.pth, a NATS-tss-v1_0-3ffb9-simple folder, or a CSV",
    "nasbench101": "nasbench_only108.tfrecord of github.com/google-research/nasbench, or a CSV",
    "darts": "darts-cifar10.csv of github.com/matluster/anonymous-2102, NDS's "
    "DARTS_fix-w-d.json, a folder of NAS-Bench-301's surrogates, or a CSV",
    "proxyless": "proxylessnas.csv of github.com/matluster/anonymous-2102, or a CSV",
    "darts_ptb": "ptb.csv of github.com/matluster/anonymous-2102, or a CSV",
}
"""What tables of a space are imported from."""


@dataclass(frozen=True, eq=False)
class TruthTable:
    """A checked truth table.

    Args:
        path: the file it was read from or written to last; None for one made in memory.
        frame: accuracies in percent, float64; the index is the arch strings (named ``arch``), the
            columns are named as above. NaN stands for a run that was not made.
        lines: the line of the file that each row was read from; None for one row a line.
        of: the space whose architectures these are; None for the registered space that reads them.

    Raises:
        UserError: the frame breaks a rule of the format, see the module's text. Row numbers in
            the message count the file's lines: the header is line 1.
    """

    path: Path | None
    frame: pd.DataFrame
    lines: Sequence[int] | None = None
    of: Space | None = None

    def __post_init__(self) -> None:
        """Check everything once, so that no user of a table has to; names are read in any case."""
        frame = self.frame.rename(
            index=lambda arch: compact(str(arch)), columns=lambda name: str(name).strip().lower()
        )
        object.__setattr__(self, "frame", frame)
        name = str(self.path) if self.path else "the truth table"
        check_frame(self.frame, name, self.space, self.lines)

    @cached_property
    def space(self) -> Space:
        """The space whose architectures these are, with the settings that name them."""
        return self.of or space_of(list(self.frame.index))

    def archs(self, column: str | TruthColumn | None = None) -> list[Arch]:
        """The architectures, or those with a value in ``column``, in the space's order.

        That of the rows where the space has none.
        """
        space = self.space
        known = self.frame if column is None else self.column(column).dropna()
        archs = [space.from_string(text) for text in known.index]
        return sorted(archs, key=space.index) if isinstance(space, Listable) else archs

    def index(self, archs: Sequence[Arch]) -> list[int]:
        """Each architecture's index in its space, or its row here where the space has no order."""
        space = self.space
        if isinstance(space, Listable):
            return [space.index(arch) for arch in archs]
        rows = {text: row for row, text in enumerate(self.frame.index)}
        return [rows[space.to_string(arch)] for arch in archs]

    def columns(self) -> list[TruthColumn]:
        """The columns in the file's order."""
        return [TruthColumn.parse(name) for name in self.frame.columns]

    def column(self, name: str | TruthColumn) -> pd.Series[float]:
        """One column, indexed by arch string; NaN where this seed was not run (never in a mean).

        Raises:
            UserError: no such column; the message lists those that exist, closest first.
        """
        name = str(name).strip().lower()
        if name not in self.frame.columns:
            names = [str(column) for column in self.frame.columns]
            closest = difflib.get_close_matches(name, names, n=len(names), cutoff=0.0)
            raise UserError(f"{self._name()} has no column {name!r}; it has: {few(closest, 12)}")
        series: pd.Series[float] = self.frame[name]
        return series

    def seeds_of(self, name: str | TruthColumn) -> list[str]:
        """The seed columns that a mean column averages, in the file's order; [] if it has none."""
        wanted = TruthColumn.parse(str(name))
        return [
            str(column)
            for column in self.columns()
            if column.run != "mean" and _without_run(column) == _without_run(wanted)
        ]

    def ceiling_seeds_of(self, name: str | TruthColumn) -> list[str]:
        """Seed columns to measure the ceiling of ``name`` with: at least two, or [].

        Its own if there are two. Else those of another split of the same networks, else those of
        the ``-valid`` half of its training set, the split of the same name first. The result
        names what was taken, and whoever reports a ceiling must report these names.
        """
        wanted = TruthColumn.parse(str(name))
        for trained_on in (wanted.trained_on, f"{wanted.trained_on}-valid"):
            for split in (wanted.split, *(split for split in SPLITS[::-1] if split != "train")):
                seeds = self.seeds_of(TruthColumn(trained_on, split, wanted.epochs, "mean"))
                if len(seeds) > 1:
                    return seeds
        return []

    def both(self, first: str, second: str) -> tuple[pd.Series[float], pd.Series[float]]:
        """Two columns, restricted to the archs that have a value in both."""
        pair = pd.concat([self.column(first), self.column(second)], axis=1).dropna()
        return pair.iloc[:, 0], pair.iloc[:, 1]

    def require(self, archs: Iterable[str], column: str | TruthColumn | None = None) -> None:
        """Make sure that the table has these archs and, if given, a value of ``column`` for each.

        Raises:
            UserError: how many are missing, and the first few.
        """
        wanted = list(dict.fromkeys(map(compact, archs)))
        known = self.frame if column is None else self.column(column).dropna()
        missing = pd.Index(wanted).difference(known.index, sort=False)
        if len(missing):
            what = "" if column is None else f" in {column}"
            raise UserError(
                f"{self._name()} has no value{what} for {len(missing)} of the {len(wanted)} archs "
                f"asked for: {few(missing, 3)}; name a table that covers them with --truth FILE"
            )

    @classmethod
    def load(cls, path: Path, of: Space | None = None) -> TruthTable:
        """Read and check a table, of the architectures of ``of`` if it is given.

        Raises:
            UserError: absent, truncated, not text, or breaking a rule; one line saying where. Or
                not as its checksum says, if it has one beside it.
        """
        check_sums(path)
        rows = read_rows(path)
        first, *names = rows.header
        if first.lower() != "arch":
            raise UserError(
                f"{path} is no truth table: its first column should be arch, got {first!r}; "
                f"convert it with: python -m benchmark.truth import {path} --to truth.csv.xz"
            )
        return cls(path, to_frame(rows, {name: name for name in names}, path), rows.lines, of)

    @staticmethod
    def is_of(path: Path, space: Space) -> bool:
        """Whether all rows of a table are architectures of a space at its sizes."""
        rows = read_rows(path)
        return all(is_arch(space, compact(cells[0])) for cells in rows.cells)

    def save(self, path: Path) -> None:
        """Write the table whole or not at all; equal tables give equal bytes.

        Beside one that is not packed goes its checksum, as ``sha256sum`` writes and checks it.

        Raises:
            UserError: the suffix is not one of the format's, or the folder cannot be written to.
        """
        text = self.frame.to_csv(index_label="arch", lineterminator="\n")
        data = compress(text, path)
        sums = sums_file(path)
        # Not beside another table for a moment.
        sums.unlink(missing_ok=True)
        write_atomically(path, lambda temporary: temporary.write_bytes(data))
        if not is_packed(path):
            # Packed files have a checksum of their own.
            write_text(sums, f"{sha256(path)}  {path.name}\n")

    def _name(self) -> str:
        return f"truth table {self.path}" if self.path else "the truth table"


def default_column(dataset: str, table: TruthTable) -> TruthColumn:
    """The column that a supernet of ``dataset`` is compared with when none is named.

    NAS-Bench-201's three data sets: the test mean after 200 epochs, and in a table of another
    space their only ``test`` mean. Any other data set: its only ``valid`` mean. The choice is never
    silent: a run records the column's name.

    Raises:
        UserError: the table does not hold that column, or holds more than one that would do.
    """
    means = [c for c in table.columns() if c.run == "mean"]
    split = "valid"
    if dataset in _DEFAULTS:
        if table.space.name == _NATIVE:
            table.column(_DEFAULTS[dataset])
            return TruthColumn.parse(_DEFAULTS[dataset])
        split = "test"
    fitting = [c for c in means if c.trained_on == dataset and c.split == split]
    if len(fitting) != 1:
        raise UserError(
            f"wanted exactly one column {dataset}/{split}/<E>ep/mean to compare with, found "
            f"{few(fitting) or 'none'}; name the truth column yourself, one of: {few(means, 12)}"
        )
    return fitting[0]


def is_shipped(path: Path) -> bool:
    """Whether a table came with the package."""
    return path.parent == _DATA


def cached_truth(space: str = _NATIVE) -> Path:
    """Where a space's table is looked for when nothing else names it."""
    name = "nb201" if space == _NATIVE else space
    return Path(pooch.os_cache("kshot-nas")) / f"{name}_truth.csv.xz"


def find_truth(dataset: str, given: Path | None = None, space: str = _NATIVE) -> Path:
    """Find the truth table's file, to be called before any training.

    ``given`` (``--truth FILE``) comes first. Then the table of this space and data set that is
    shipped with the package, as for ``digits``; for NAS-Bench-201 ``$KSHOT_TRUTH``; else the user's
    cache folder.

    Raises:
        UserError: no such file; the message holds the commands that make one.
    """
    place, said = cached_truth(space), "the default place"
    if given is not None:
        place, said = given.expanduser(), "named by --truth"
    elif (space, dataset) in _EMBEDDED:
        place, said = _EMBEDDED[space, dataset], "shipped with the package"
    elif space == _NATIVE and os.environ.get("KSHOT_TRUTH"):
        place, said = Path(os.environ["KSHOT_TRUTH"]).expanduser(), "named by $KSHOT_TRUTH"
    if place.is_file():
        return place
    if given is None and (space, dataset) in _EMBEDDED:
        made = f"python -m benchmark.standalone --space {space} --dataset {dataset}"
    else:
        source = _PUBLISHED.get(space, "a CSV")
        made = f"python -m benchmark.truth import SOURCE --to {place} (SOURCE: {source})"
    named = "FILE" if space == _NATIVE else f"{space}=FILE"
    raise UserError(
        f"no truth table of {space} for {dataset} at {place} ({said}); make one with: {made}; "
        f"or name one with --truth {named}"
    )


def _without_run(column: TruthColumn) -> tuple[str, str, int]:
    return column.trained_on, column.split, column.epochs
