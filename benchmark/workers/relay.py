"""Progress of pieces of work in several processes, shown by the one that started them."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable
from multiprocessing.managers import SyncManager
from typing import Any

from benchmark.workers.parent import end_with_parent

Event = tuple[str, str, int, int]
"""Title of a piece of work, its stage, how much of that is done, and how much there is."""
Tell = Callable[[Event], None]


def progress_of(tell: Tell, title: str) -> Callable[[str, int, int], None]:
    """What a piece of work calls with its stage, how much of it is done, and how much there is."""

    def progress(stage: str, done: int, total: int) -> None:
        tell((title, stage, done, total))

    return progress


class Relay:
    """Brings events from where the work is to who shows them.

    Args:
        apart: whether the work is done in other processes.
        show: shown every event, in this process.
    """

    def __init__(self, apart: bool, show: Tell) -> None:
        self._apart, self._show = apart, show
        self._manager: Any = None
        self._queue: Any = None

    def __enter__(self) -> Relay:
        if self._apart:
            self._manager = SyncManager(ctx=multiprocessing.get_context("spawn"))
            self._manager.start(end_with_parent)
            self._queue = self._manager.Queue()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._manager is not None:
            self._manager.shutdown()

    def tell(self) -> Tell:
        """What pieces of work call; it can be pickled where they are in other processes."""
        if self._queue is None:
            return self._show
        put: Tell = self._queue.put
        return put

    def drain(self) -> None:
        """Show what other processes have told so far."""
        while self._queue is not None:
            try:
                self._show(self._queue.get_nowait())
            except queue.Empty:
                return
