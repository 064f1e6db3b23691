"""Where many pieces of work run: processes of this machine, or a Ray cluster; both asked alike."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Protocol, TypeVar

from benchmark.cli.errors import UserError, lacks_memory
from benchmark.workers.jobs import Pool, one_thread
from benchmark.workers.relay import Event, Relay, Tell

Work = TypeVar("Work")
Result = TypeVar("Result")
_SECONDS_UNTIL_AGAIN = 2.0


class Executor(Protocol):
    """Runs functions somewhere, in whatever order they are handed over.

    It is used as a ``with`` statement, which ends what still runs when an error leaves it.
    """

    def __enter__(self) -> Executor:
        """Be ready to run."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    @property
    def limit(self) -> int | None:
        """Pieces that may be handed over and not yet done; None for any number."""
        ...

    def tell(self) -> Tell:
        """What pieces of work call with their progress; it can be pickled."""
        ...

    def drain(self) -> None:
        """Show what pieces have told so far."""
        ...

    def submit(self, function: Callable[..., Result], *given: Any) -> Future[Result]:
        """Run ``function(*given)``, all of it picklable."""
        ...


class Local:
    """Processes of this machine.

    Args:
        jobs: at a time.
        show: shown every event.
        apart: whether even a single job at a time has a process of its own. A crash of a GPU then
            takes only its own piece along; else what nobody foresaw ends the program.
    """

    def __init__(self, jobs: int, show: Callable[[Event], None], apart: bool = False) -> None:
        self._here = jobs == 1 and not apart
        self._jobs, self._show = jobs, show
        self._pool, self._relay = Pool(jobs), Relay(not self._here, show)

    def __enter__(self) -> Local:
        self._relay.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._pool.__exit__(kind, value, traceback)
        finally:
            self._relay.__exit__(kind, value, traceback)

    @property
    def limit(self) -> int | None:
        """As many as there are processes."""
        return self._jobs

    def tell(self) -> Tell:
        """What pieces of work call with their progress."""
        return self._relay.tell()

    def drain(self) -> None:
        """Show what pieces have told so far."""
        self._relay.drain()

    def submit(self, function: Callable[..., Result], *given: Any) -> Future[Result]:
        """Run in a free process; a single job at a time runs here and now."""
        if not self._here:
            return self._pool.submit(function, *given)
        one_thread()
        future: Future[Result] = Future()
        try:
            future.set_result(function(*given))
        except (UserError, MemoryError) as error:
            future.set_exception(error)
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            future.set_exception(error)
        return future


def each(
    executor: Executor,
    function: Callable[[Work], Result],
    work: Sequence[Work],
    idle: Callable[[], None],
    later: Callable[[BaseException], bool] = lambda error: False,
) -> Iterator[tuple[int, Future[Result]]]:
    """Yield the position of each piece of work and its future as it is done, failed or not.

    Args:
        executor: where to run.
        function: picklable.
        work: its arguments.
        idle: called five times a second, and after every piece.
        later: whether a piece that ended with an error is to be tried again in a while, because
            another process is at it.
    """
    waiting = deque((0.0, position) for position in range(len(work)))
    pending: dict[Future[Result], int] = {}
    # Asking each pending one again whenever one is done would take its time with thousands.
    done: SimpleQueue[Future[Result]] = SimpleQueue()
    while waiting or pending:
        now = time.monotonic()
        put_off = 0
        while put_off < len(waiting) and _has_room(executor, pending):
            due, position = waiting.popleft()
            if due > now:
                waiting.append((due, position))
                put_off += 1
                continue
            future = executor.submit(function, work[position])
            pending[future] = position
            future.add_done_callback(done.put)
        ended = _next(done)
        executor.drain()
        if ended is not None:
            position, error = pending.pop(ended), ended.exception()
            if error is not None and later(error):
                waiting.append((time.monotonic() + _SECONDS_UNTIL_AGAIN, position))
            else:
                yield position, ended
        idle()


def _next(done: SimpleQueue[Future[Result]]) -> Future[Result] | None:
    """One that is done; None where none was for a while."""
    try:
        return done.get(timeout=0.2)
    except Empty:
        return None


def _has_room(executor: Executor, pending: dict[Future[Result], int]) -> bool:
    return executor.limit is None or len(pending) < executor.limit
