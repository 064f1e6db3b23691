"""Uniform: every architecture alike (SPOS, Guo et al. 2020; the paper's sampler)."""

from __future__ import annotations

import torch

from kshot_core.space import Arch, Space


class Uniform:
    """One path as the space draws it: uniform over its architectures in most."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def __call__(self, generator: torch.Generator) -> tuple[Arch, ...]:
        """One architecture."""
        return (self.space.sample(generator),)
