"""Ctrl-C and SIGTERM: work ends where nothing is lost, and the program with 130 or 143.

While a piece of work is ``finishing``, a signal is a request, ``asked`` for between two steps, so
that it can save what it has. Anywhere else a signal ends the work there and then: nothing is lost
that a checkpoint or a record does not have. A second Ctrl-C does so everywhere.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(SystemExit):
    """A signal asked this process to stop.

    Where nothing catches it the process ends quietly, with ``code``: 128 and the signal's number,
    as shells have it.
    """


class _Asked:
    """What signals have asked of this process."""

    def __init__(self) -> None:
        self.number = 0
        self.num_finishing = 0
        self.forces = True
        self.guard = threading.Lock()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal, or end what goes on in the main thread."""
        again, self.number = bool(self.number), number
        if again and not (self.forces and number == signal.SIGINT):
            return
        if self.num_finishing and not again:
            return
        raise self.error()

    def error(self) -> StoppedError:
        """What ends the work; where another process was asked, as if it were this one."""
        return StoppedError(128 + (self.number or signal.SIGTERM))


_ASKED = _Asked()


def take_signals(forces: bool = True) -> None:
    """Have this process handle both signals as this module says, to its end.

    Args:
        forces: whether a second Ctrl-C ends it at once. Not in a process that gets signals both
            from the terminal and from the program that started it.
    """
    _ASKED.forces = forces
    for number in _SIGNALS:
        signal.signal(number, _ASKED.handle)


@contextmanager
def signals_taken() -> Iterator[None]:
    """The same for a while, if this is the main thread, the only one that may do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    take_signals()
    try:
        yield
    finally:
        _ASKED.number = 0
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def finishing() -> Iterator[None]:
    """Put signals off, in whatever thread; a step in here is finished first.

    Raises:
        StoppedError: at its end, where one came and nobody asked.
    """
    with _ASKED.guard:
        _ASKED.num_finishing += 1
    try:
        yield
    finally:
        with _ASKED.guard:
            _ASKED.num_finishing -= 1
    end_if_asked()


def asked() -> bool:
    """Whether a signal asked this process to stop."""
    return _ASKED.number != 0


def end_if_asked() -> None:
    """End the work if a signal asked for it. Raises ``StoppedError`` then."""
    if asked():
        raise stopped()


def stopped() -> StoppedError:
    """What to raise where work has been saved, since this or another process was asked to stop."""
    return _ASKED.error()
