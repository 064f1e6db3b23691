"""A bound on memory while something from elsewhere is read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/statm")
_LEAST_BYTES = 1 << 30


@contextmanager
def memory_bounded(num_bytes: int) -> Iterator[None]:
    """Let this process have at most so much more memory, and never less than 1 GB more.

    What asks for more gets a ``MemoryError`` in place of the machine's memory: a file of a few
    bytes may ask for a table of 10^9 entries. Where the system cannot do that, nothing happens.
    """
    if not _STATUS.exists() or sys.platform != "linux":
        yield
        return
    import resource  # noqa: PLC0415 - not on every system

    pages = int(_STATUS.read_text(encoding="ascii").split()[0])
    now = pages * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = now + max(num_bytes, _LEAST_BYTES)
    bounds = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
