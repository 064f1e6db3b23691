"""Uniform: every choice of every site alike (SPOS, Guo et al. 2020; the paper's sampler)."""

from __future__ import annotations

import torch

from kshot_core.space import Arch, Space


class Uniform:
    """One path, uniform over all architectures of the space."""

    def __init__(self, space: Space) -> None:
        self.num_choices = space.num_choices

    def __call__(self, generator: torch.Generator) -> tuple[Arch, ...]:
        """One architecture."""
        return (uniform_arch(self.num_choices, generator),)


def uniform_arch(num_choices: tuple[int, ...], generator: torch.Generator) -> Arch:
    """An architecture with every site's choice drawn uniformly and independently."""
    draws = torch.rand(len(num_choices), generator=generator, dtype=torch.float64).tolist()
    return tuple(int(draw * num) for draw, num in zip(draws, num_choices, strict=True))
