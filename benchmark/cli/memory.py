"""Memory of this process: what is freed is kept, and a bound while files are read."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/statm")
_LEAST_BYTES = 1 << 30
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's ``mallopt`` (malloc.h)."""


def keep_freed_memory() -> None:
    """Have this process keep freed blocks of up to 256 MB for those that it asks for next.

    By itself glibc hands them back to the system at the end of a layer and gets them anew, page by
    page, in the next: a third of the time of scoring on a processor (docs/performance.md). What
    is computed, and the most memory that is held, stay the same. Elsewhere, and where the
    environment says how to allocate (``MALLOC_...``, ``GLIBC_TUNABLES``), nothing happens.
    """
    chosen = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if chosen or sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_TRIM_THRESHOLD, 1 << 30)
    # Before 2.35 glibc allows 32 MB at most, and answers 0 to more.
    if not mallopt(_MMAP_THRESHOLD, 1 << 28):
        mallopt(_MMAP_THRESHOLD, 1 << 25)


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
