"""What a study is: a question, rows that are named settings, sizes, tables and figures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from benchmark.cli.errors import UserError

KINDS = ("rank", "search", "search+retrain")
SCALES = ("tiny", "cpu", "paper")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Row:
    """A row of the paper's table, or a series of its figure.

    Args:
        name: a word that study.json and the column ``row`` of ``StudyData``'s frames use.
        label: the same for people.
        settings: what sets it apart from the other rows, setting -> value; ``dataset`` may be one.
        paper: column of a table -> the paper's figure in it.
    """

    name: str
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """At which size a study runs: preset and settings that all rows have in common.

    Args:
        preset: to start from; see ``benchmark.config.presets``.
        dataset: of the rows that name none.
        settings: instead of the preset's, setting -> value; a row's own settings come after them.
        seeds: of each row.
        search_seeds: in studies that search: of the searches of each supernet.
        rows: names of the rows that are run at this size; None for all. Of the others those with a
            figure of the paper stand in the table without a run.
        more_datasets: on which each row is run as well.
        row_settings: name of a row -> settings that it has at this size alone, such as a limit.
        retrain_preset: of ``benchmark.config.retrain``, in studies that retrain.
        retrain: instead of that preset's settings.
    """

    preset: str
    dataset: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    search_seeds: tuple[int, ...] = (0,)
    rows: tuple[str, ...] | None = None
    more_datasets: tuple[str, ...] = ()
    row_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    retrain_preset: str = "quick"
    retrain: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table of a study.

    Args:
        name: of its files.
        title: one line.
        build: the study's data -> the table, a line per row. A column ``x_sd`` is the spread of
            ``x`` and reads "mean ± sd" for people.
        labels: column -> heading, where it is not the name itself.
        notes: sentences below the table.
        decimals: of measured values.
        formats: column -> format, of columns that are not shown with ``decimals``, e.g. ``".4g"``.
        for_programs: columns that only the CSV file has.
    """

    name: str
    title: str
    build: Callable[[StudyData], pd.DataFrame]
    labels: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    decimals: int = 2
    formats: Mapping[str, str] = field(default_factory=dict)
    for_programs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A figure of a study.

    Args:
        name: of its files.
        caption: a sentence that says what is seen.
        build: the study's data -> the figure, at most eight series and 1,600 pixels high; raises
            ``FigureUnavailableError`` where its records cannot give it.
    """

    name: str
    caption: str
    build: Callable[[StudyData], Figure]


@dataclass(frozen=True)
class Study:
    """One question, one grid of jobs, one page.

    Args:
        name: on the command line.
        title: a line, naming the paper's table.
        question: written before its runs.
        kind: ``"rank"`` trains and ranks, ``"search"`` trains and searches, ``"search+retrain"``
            trains what was found by itself as well.
        rows: in the order of the table.
        sizes: scale -> size, of ``SCALES``.
        answer: the data -> the answer in a sentence, with its n.
        tables: of its page; the first one is the main one.
        figures: of its page.
    """

    name: str
    title: str
    question: str
    kind: str
    rows: tuple[Row, ...]
    sizes: Mapping[str, Size]
    answer: Callable[[StudyData], str]
    tables: tuple[Table, ...]
    figures: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no command could run."""
        if self.kind not in KINDS:
            raise ValueError(f"study {self.name}: kind is one of {KINDS}, got {self.kind!r}")
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError(f"study {self.name}: two rows have the same name, of {names}")
        for scale, size in self.sizes.items():
            if scale not in SCALES:
                raise ValueError(f"study {self.name}: scale is one of {SCALES}, got {scale!r}")
            if self.kind == "rank" and size.search_seeds != (0,):
                raise ValueError(
                    f"study {self.name}, {scale}: it searches nothing: no search_seeds"
                )
            unknown = {*(size.rows or ()), *size.row_settings} - {*names}
            if unknown:
                raise ValueError(f"study {self.name}, {scale}: no row {', '.join(sorted(unknown))}")

    def size(self, scale: str) -> Size:
        """The size of a scale. Raises ``UserError`` where the study has none."""
        if scale not in self.sizes:
            raise UserError(
                f"--scale of {self.name} is one of {', '.join(self.sizes)}, got {scale!r}"
            )
        return self.sizes[scale]

    def settings_of(self, row: Row, scale: str) -> dict[str, Any]:
        """The settings of a row at a scale that differ from the preset's, without the seed."""
        size = self.size(scale)
        own = size.row_settings.get(row.name, {})
        return {"dataset": size.dataset, **size.settings, **row.settings, **own}


@dataclass(frozen=True)
class StudyData:
    """What tables and figures are functions of: the study and the records that study.json names.

    Each frame has a row per finished job and the columns of ``benchmark.records.load`` and
    ``load_searches`` (``config.K``, ``metrics.kendall_tau_b``, ``path``), with ``row``, the name of
    the study's row, and ``seed`` before them. A frame without jobs is empty and has ``row``.

    Args:
        study: the study.
        scale: of its runs.
        results: the results folder, which columns ``folder`` are relative to.
        common: settings that all jobs have in common, in the parts that were run.
        runs: rankings.
        supernets: what searches trained; one that several rows use stands in each.
        searches: searches.
        retrained: architectures found by those searches and trained by themselves; ``search`` has
            the folder of the search.
        diverged: (row, seed) of every job that ended in NaN or an exploded loss and stands in no
            frame.
        worked_out: what ``once`` keeps.
    """

    study: Study
    scale: str
    results: Path
    common: Mapping[str, Any]
    runs: pd.DataFrame
    supernets: pd.DataFrame
    searches: pd.DataFrame
    retrained: pd.DataFrame
    diverged: tuple[tuple[str, int], ...] = ()
    worked_out: dict[Hashable, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def once(self, what: Hashable, make: Callable[[], Value]) -> Value:
        """What ``make`` returns, for all tables and figures of the page: it is called once.

        Args:
            what: names it among all that is kept; whoever is given it must not change it.
            make: works it out of this data.
        """
        if what not in self.worked_out:
            self.worked_out[what] = make()
        value: Value = self.worked_out[what]
        return value

    @property
    def answer(self) -> str:
        """The study's answer."""
        return self.once("answer", lambda: self.study.answer(self))

    def values_of(self, table: Table) -> pd.DataFrame:
        """What a table of the study has; whoever is given it must not change it."""
        return self.once(("table", table.name), lambda: table.build(self))

    @property
    def rows(self) -> tuple[Row, ...]:
        """Rows of this size, run or not, and those with a figure of the paper, in table order."""
        size = self.study.sizes.get(self.scale)
        if size is None or size.rows is None:
            return self.study.rows
        return tuple(row for row in self.study.rows if row.name in size.rows or row.paper)

    @property
    def size(self) -> Size:
        """The size of the runs."""
        return self.study.size(self.scale)


def of_row(frame: pd.DataFrame, row: Row) -> pd.DataFrame:
    """A frame's jobs of one row."""
    return frame[frame["row"] == row.name]
