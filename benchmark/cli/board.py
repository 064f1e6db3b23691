"""What many jobs are at: a live table on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from benchmark.cli.text import duration

_SECONDS_BETWEEN_LINES = 60.0
_MOST_RUNNING = 12
"""Jobs at work that are shown one by one."""
_COUNTS = ("done", "running", "failed", "diverged")


@dataclass
class _Running:
    """A job at work: when it began, and how far its present stage is."""

    began: float
    stage: str = ""
    done: int = 0
    total: int = 0

    def text(self) -> str:
        return f"{self.stage} {self.done}/{self.total}" if self.total else self.stage


@dataclass
class _Kind:
    """Jobs of one kind."""

    what: str
    total: int
    done: int
    failed: int = 0
    diverged: int = 0
    running: dict[str, _Running] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        running = len(self.running)
        return dict(zip(_COUNTS, (self.done, running, self.failed, self.diverged), strict=True))

    def seconds_left(self, now: float) -> float | None:
        """By the mean of those that ended while we looked; None before the first one."""
        waiting = self.total - self.done - self.failed - self.diverged - len(self.running)
        if not self.seconds or waiting < 0:
            return None
        usual = fmean(self.seconds)
        begun = sum(max(0.0, usual - (now - one.began)) for one in self.running.values())
        return (begun + usual * waiting) / max(1, len(self.running))


class Board:
    """Counts of jobs by kind, and the progress of those at work, on standard error.

    Where that is no terminal, a line is printed for each job that ends, and one a minute between.

    Args:
        console: to write to.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr)
        self._kinds: list[_Kind] = []
        self._live = Live(get_renderable=self._table, console=self.console, refresh_per_second=4)
        self._printed = time.monotonic()

    def __enter__(self) -> Board:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """From now on jobs of one kind run.

        Args:
            what: they are.
            total: how many there are.
            done: how many of them were done before.
        """
        self._kinds.append(_Kind(what, total, done))
        self._printed = time.monotonic()

    def show(self, event: tuple[str, str, int, int]) -> None:
        """Take in what a job tells: its title, its stage, how much is done, and of how much."""
        title, stage, done, total = event
        kind = self._kinds[-1]
        if title in kind.over:
            return  # on a cluster, what a job told may come after its end
        running = kind.running
        if title not in running:
            running[title] = _Running(time.monotonic())
        one = running[title]
        one.stage, one.done, one.total = stage, done, total
        self.tick()

    def ended(self, title: str, outcome: str, why: str = "") -> None:
        """A job ended.

        Args:
            title: the job's.
            outcome: ``"done"``, ``"failed"`` or ``"diverged"``.
            why: a line that says it, where it is not done.
        """
        kind, now = self._kinds[-1], time.monotonic()
        was = kind.running.pop(title, None)
        kind.over.add(title)
        if was is not None and outcome == "done":
            kind.seconds.append(now - was.began)
        setattr(kind, outcome, getattr(kind, outcome) + 1)
        took = f" in {duration(now - was.began)}" if was is not None and outcome == "done" else ""
        if why:
            self._line(f"{kind.what} {title} {outcome}: {why}")
        elif not self.console.is_terminal:
            self._line(f"{kind.what} {title} {outcome}{took}; {self._summary(kind, now)}")

    def tick(self) -> None:
        """Print a line into a log if there was none for a while."""
        now = time.monotonic()
        if self.console.is_terminal or now - self._printed < _SECONDS_BETWEEN_LINES:
            return
        kind = self._kinds[-1]
        at = [f"{title} {one.text()}" for title, one in list(kind.running.items())[:4]]
        more = len(kind.running) - len(at)
        at += [f"{more} more"] if more else []
        self._line("; ".join([self._summary(kind, now), *at]))

    def _line(self, text: str) -> None:
        self._printed = time.monotonic()
        self.console.print(Text(text), soft_wrap=True)

    def _summary(self, kind: _Kind, now: float) -> str:
        left = kind.seconds_left(now)
        counts = ", ".join(f"{num} {name}" for name, num in kind.counts().items())
        time_left = f", about {duration(left)} left" if left else ""
        return f"{kind.what}: {counts} of {kind.total}{time_left}"

    def _table(self) -> RenderableType:
        now = time.monotonic()
        table = Table(*("", *_COUNTS, "of", "left"))
        for kind in list(self._kinds):
            left = kind.seconds_left(now)
            cells = [str(num) for num in (*kind.counts().values(), kind.total)]
            table.add_row(kind.what, *cells, duration(left) if left else "")
        bars = Table.grid(padding=(0, 1))
        for parts in self._bars():
            bars.add_row(*parts)
        return Group(table, bars)

    def _bars(self) -> Iterator[tuple[RenderableType, ...]]:
        running = dict(self._kinds[-1].running) if self._kinds else {}
        for title, one in list(running.items())[:_MOST_RUNNING]:
            bar = ProgressBar(max(one.total, 1), one.done, width=20)
            yield Text(title), Text(one.stage), bar, Text(f"{one.done}/{one.total}")
        if len(running) > _MOST_RUNNING:
            yield (Text(f"and {len(running) - _MOST_RUNNING} more"),)
