"""One random generator per purpose, all from one seed, so that no use of one shifts another."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for a purpose; different purposes give unrelated streams."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU for a purpose such as ``"paths"``."""
    return torch.Generator().manual_seed(derive_seed(seed, purpose))
