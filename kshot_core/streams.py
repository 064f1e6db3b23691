"""One random generator per purpose, all from one seed, so that no use of one shifts another."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_LOCK = threading.RLock()


def derive_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for a purpose; different purposes give unrelated streams."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU for a purpose such as ``"paths"``."""
    return torch.Generator().manual_seed(derive_seed(seed, purpose))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from a seed: torch's layers take theirs from the CPU's own generator.

    Its state is put back afterwards, and no other device's generator is touched, so the weights
    are the same on every device and nobody else's random numbers move.
    """
    # The generator is the process's: trainings in several threads take turns.
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
