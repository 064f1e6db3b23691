"""Progress: bars with the time left on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SECONDS_BETWEEN_LINES = 30.0


class Bars:
    """A bar per piece of work, on standard error so that results can be piped.

    Where standard error is no terminal, each piece prints a plain line when it starts, every half
    minute, and when it is done.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._shows: dict[str, Callable[[str, int, int], None]] = {}

    def __enter__(self) -> Bars:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def show(self, event: tuple[str, str, int, int]) -> None:
        """Show the title of a piece of work, its stage, how much is done, and of how much."""
        title, stage, done, total = event
        if title not in self._shows:
            self._shows[title] = progress_bars(self, title)
        self._shows[title](stage, done, total)

    def add(self, title: str, total: int) -> Callable[[int], None]:
        """Start a piece of work; call the result with how much of it is done."""
        if not self.console.is_terminal:
            return _Lines(title, total)
        task = self.progress.add_task(title, total=total)
        return lambda done: self.progress.update(task, completed=done)


def progress_bars(bars: Bars, title: str) -> Callable[[str, int, int], None]:
    """A bar for each stage of one piece of work: call it with stage, done and total."""
    shows: dict[str, Callable[[int], None]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        # A stage that starts over belongs to another supernet.
        if stage not in shows or done == 0:
            shows[stage] = bars.add(f"{title} {stage}", total)
        shows[stage](done)

    return progress


class _Lines:
    """Plain lines for a log."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.started = self.printed = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = done
        elif done < self.total and now - self.printed < _SECONDS_BETWEEN_LINES:
            return
        self.printed = now
        line = f"{self.title}: {done}/{self.total}, {now - self.started:.0f} s"
        if self.first < done < self.total:
            left = (now - self.started) * (self.total - done) / (done - self.first)
            line += f", about {left:.0f} s left"
        print(line, file=sys.stderr, flush=True)
