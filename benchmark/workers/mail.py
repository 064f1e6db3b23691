"""Progress of jobs on a cluster: they send it to a mailbox that whoever shows it empties."""

from __future__ import annotations

import time
from typing import Any

from benchmark.workers.relay import Event

_SECONDS_BETWEEN = 0.5


class Mailbox:
    """Keeps the last event of each job and stage until it is taken."""

    def __init__(self) -> None:
        self._events: dict[tuple[str, str], Event] = {}

    def put(self, event: Event) -> None:
        """Keep an event."""
        key = event[:2]
        self._events.pop(key, None)
        self._events[key] = event

    def take(self) -> list[Event]:
        """What came since it was last asked, in order."""
        events = list(self._events.values())
        self._events.clear()
        return events


class Sender:
    """Sends events to a mailbox on another node, at most two a second of each stage.

    Args:
        mailbox: Ray's handle of it.
    """

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._sent: dict[tuple[str, str], float] = {}

    def __call__(self, event: Event) -> None:
        """Send it, unless another one has just been sent and this is not the last."""
        title, stage, done, total = event
        now = time.monotonic()
        last = self._sent.get((title, stage))
        if last is not None and done < total and now - last < _SECONDS_BETWEEN:
            return
        self._sent[title, stage] = now
        self._mailbox.put.remote(event)

    def __reduce__(self) -> tuple[Any, ...]:
        """Where it goes, it has sent nothing yet."""
        return Sender, (self._mailbox,)
