"""Many independent pieces of work on one machine: one process a core, one thread each.

Threads of one process gain little on tensors this small, and fight when anything else runs.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from functools import partial
from typing import Any, TypeVar

import torch

from benchmark.cli.errors import UserError
from benchmark.cli.memory import keep_freed_memory
from benchmark.cli.stopping import StoppedError, take_signals
from benchmark.workers.parent import end_with_parent

_PATIENCE_SECONDS = 30.0
"""How long processes that are told to end may take for it."""

Work = TypeVar("Work")
Result = TypeVar("Result")


def num_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> None:
    """Have this process compute in one thread, and keep the memory that it frees."""
    torch.set_num_threads(1)
    keep_freed_memory()


def _start_worker() -> None:
    one_thread()
    take_signals(forces=False)
    end_with_parent()


def run_threads(
    work: Sequence[Callable[[], Result]],
    stop: Callable[[], None],
    follow_up: type[Exception],
) -> list[Result]:
    """Run functions that wait for each other, each in a thread; returns what they return.

    Args:
        work: the functions.
        stop: makes those still running fail soon; called as soon as one fails, or at Ctrl-C.
        follow_up: the error with which they then fail.

    Raises:
        the first error that is no follow-up.
    """
    # A new thread has torch's default number of threads, not this one's.
    prepare = partial(torch.set_num_threads, torch.get_num_threads())
    with ThreadPoolExecutor(len(work), initializer=prepare) as executor:
        futures = [executor.submit(one) for one in work]
        try:
            ended = wait(futures, return_when=FIRST_EXCEPTION).done
            if any(isinstance(one.exception(), StoppedError) for one in ended):
                # The others were asked too, and save what they have.
                wait(futures)
        finally:
            stop()
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise next((error for error in errors if not isinstance(error, follow_up)), errors[0])
    return [future.result() for future in futures]


class Pool:
    """Worker processes, each with one piece of work at a time and one thread.

    A process that dies, of want of memory say, takes its own piece along and no other.

    Args:
        num: processes at a time.
    """

    def __init__(self, num: int) -> None:
        # A pool of one process each: a larger one is lost as a whole with any of its processes.
        self._slots: list[tuple[ProcessPoolExecutor, Future[Any]]] = []
        self._num = num

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        processes = [one for pool, _ in self._slots for one in _processes(pool)]
        for pool, _ in self._slots:
            pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is None:
            return
        # They may finish a step and save before they end.
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()

    def submit(self, function: Callable[..., Result], *given: Any) -> Future[Result]:
        """Run ``function(*given)``, both picklable, in a process that is free.

        Raises:
            RuntimeError: none is.
        """
        pool = self._free()
        future: Future[Result] = pool.submit(function, *given)
        self._slots.append((pool, future))
        return future

    def _free(self) -> ProcessPoolExecutor:
        for slot in list(self._slots):
            pool, last = slot
            if not last.done():
                continue
            self._slots.remove(slot)
            error = last.exception()
            if error is None or isinstance(error, UserError):
                return pool
            # Whatever went wrong, a crash of a GPU's context say, does not reach the next piece.
            for process in _processes(pool):
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
        if len(self._slots) >= self._num:
            raise RuntimeError(f"all {self._num} processes are at work")
        # fork would copy the state of torch's threads, which it does not survive.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=_start_worker)


def _processes(pool: ProcessPoolExecutor) -> list[Any]:
    return list((pool._processes or {}).values())


def run_all(
    function: Callable[[Work], Result],
    work: Sequence[Work],
    jobs: int,
    idle: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Result]]:
    """Yield ``(position, function(work[position]))`` as each is done.

    Args:
        function: a picklable function; runs in processes of one thread.
        work: its arguments.
        jobs: processes; 1 runs all in this one, in order.
        idle: called about five times a second while waiting.

    Raises:
        whatever ``function`` raises; work not yet begun is then dropped.
    """
    if jobs == 1 or len(work) <= 1:
        one_thread()
        for position, item in enumerate(work):
            yield position, function(item)
        return
    waiting = deque(enumerate(work))
    pending: dict[Future[Result], int] = {}
    with Pool(jobs) as pool:
        while waiting or pending:
            while waiting and len(pending) < jobs:
                position, item = waiting.popleft()
                pending[pool.submit(function, item)] = position
            done, _ = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in done:
                yield pending.pop(future), future.result()
            idle()
