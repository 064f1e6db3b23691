"""Ctrl-C and SIGTERM: work ends where nothing is lost, and the program with 130 or 143.

While a piece of work is ``finishing``, a signal is a request, ``asked`` for between two steps, so
that it can save what it has. Anywhere else a signal ends the work there and then: nothing is lost
that a checkpoint or a record does not have. A second Ctrl-C does so everywhere. Where several
processes work ``together``, a signal to one is a request to all, and no more until they agree.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What asks a program to stop."""


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
        self.is_together = False
        self.guard = threading.Lock()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal, or end what goes on in the main thread."""
        again, self.number = bool(self.number), number
        if self.is_together:
            return
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
    for number in SIGNALS:
        signal.signal(number, _ASKED.handle)


@contextmanager
def signals_taken() -> Iterator[None]:
    """The same for a while, if this is the main thread, the only one that may do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
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


@contextmanager
def together() -> Iterator[None]:
    """Work as one of several processes, which a signal to one of them would leave hanging.

    Signals are noted and end nothing, not even a second Ctrl-C, which whoever started the
    processes may pass on too. They ``agree`` on what was asked and raise ``stopped()`` together.
    """
    _ASKED.is_together = True
    try:
        yield
    finally:
        _ASKED.is_together = False


def asked(number: int | None = None) -> bool:
    """Whether a signal asked this process to stop; this signal, where one is given."""
    return _ASKED.number != 0 if number is None else _ASKED.number == number


def agree(number: int) -> None:
    """Take it that this process was asked, by a signal that one of several processes got."""
    _ASKED.number = number


def end_if_asked() -> None:
    """End the work if a signal asked for it. Raises ``StoppedError`` then.

    One of several processes that work together does not end by itself.
    """
    if asked() and not _ASKED.is_together:
        raise stopped()


def stopped() -> StoppedError:
    """What to raise where work has been saved, since this or another process was asked to stop."""
    return _ASKED.error()
