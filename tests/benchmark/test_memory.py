"""Freed memory is kept, so that the next block of its size costs no page faults."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

ROUNDS = """
import resource, sys
from functools import partial
import torch
from benchmark.cli.errors import exit_with
from benchmark.workers.jobs import one_thread

def faults():
    # 40 MB, more than glibc keeps by itself whatever was asked for before.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(10 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

starts = dict(nothing=lambda: None, program=partial(exit_with, lambda: None), worker=one_thread)
starts[sys.argv[1]]()
print(min(faults() for _ in range(30)))
"""

NAME, VERSION = platform.libc_ver()
pytestmark = pytest.mark.skipif(
    NAME != "glibc" or tuple(map(int, VERSION.split("."))) < (2, 35),
    reason="this system's allocator is not glibc's, or one that keeps no block of this size",
)


def _faults(start: str, **environment: str) -> int:
    known = {name: value for name, value in os.environ.items() if "MALLOC_" not in name}
    known.pop("GLIBC_TUNABLES", None)
    command = [sys.executable, "-c", ROUNDS, start]
    done = subprocess.run(
        command, env=known | environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.parametrize("start", ["program", "worker"])
def test_what_is_freed_is_there_for_the_next_block(start: str) -> None:
    # 40 MB are 10,240 pages of 4 kB, and 20 of 2 MB.
    assert _faults(start) < 10 < _faults("nothing")


def test_the_environment_has_the_last_word() -> None:
    assert _faults("worker", MALLOC_TRIM_THRESHOLD_="0") >= 10
