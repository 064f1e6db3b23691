"""Progress of pieces of work in several processes, shown by the one that started them."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable
from multiprocessing.managers import SyncManager
from typing import Any

from benchmark.cli.progress import Bars, progress_bars
from benchmark.workers.jobs import end_with_parent

Event = tuple[str, str, int, int]
"""Title of a piece of work, its stage, how much of that is done, and how much there is."""
Tell = Callable[[Event], None]


def progress_of(tell: Tell, title: str) -> Callable[[str, int, int], None]:
    """What a piece of work calls with its stage, how much of it is done, and how much there is."""

    def progress(stage: str, done: int, total: int) -> None:
        tell((title, stage, done, total))

    return progress


class Relay:
    """Shows events as bars, one for each stage of each piece of work.

    Args:
        jobs: processes that the work may be divided among.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._bars = Bars()
        self._manager: Any = None
        self._queue: Any = None
        self._shows: dict[str, Callable[[str, int, int], None]] = {}

    def __enter__(self) -> Relay:
        if self._jobs > 1:
            self._manager = SyncManager(ctx=multiprocessing.get_context("spawn"))
            self._manager.start(end_with_parent)
            self._queue = self._manager.Queue()
        self._bars.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bars.__exit__(*exception)
        if self._manager is not None:
            self._manager.shutdown()

    def tell(self, num_pieces: int) -> Tell:
        """What as many pieces of work call, by ``run_all`` with these jobs; it can be pickled."""
        if self._queue is None or num_pieces <= 1:
            return self.show
        put: Tell = self._queue.put
        return put

    def show(self, event: Event) -> None:
        """Show one event."""
        title, stage, done, total = event
        if title not in self._shows:
            self._shows[title] = progress_bars(self._bars, title)
        self._shows[title](stage, done, total)

    def drain(self) -> None:
        """Show what other processes have told so far."""
        while self._queue is not None:
            try:
                self.show(self._queue.get_nowait())
            except queue.Empty:
                return
