"""Samplers, by name: which paths the next weight step trains. One file each.

A sampler is built for a space and called with a generator; it returns the paths of one weight
step, most often one. It keeps no state: all randomness is the generator's.

A new one: a file here, and a line in ``SAMPLERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from kshot_core.sampling.balanced import Balanced
from kshot_core.sampling.fair import Fair
from kshot_core.sampling.uniform import Uniform
from kshot_core.sampling.valid import Valid
from kshot_core.space import Arch, Space


class Sampler(Protocol):
    """What training asks of a sampler."""

    def __call__(self, generator: torch.Generator) -> tuple[Arch, ...]:
        """The paths of one weight step; their losses are added before the update."""
        ...


SAMPLERS: dict[str, Callable[[Space], Sampler]] = {
    "uniform": Uniform,
    "valid": Valid,
    "fair": Fair,
    "balanced": Balanced,
}


def sample(sampler: Sampler, num: int, generator: torch.Generator) -> list[Arch]:
    """``num`` paths of a sampler, the surplus of its last draw left out."""
    archs: list[Arch] = []
    while len(archs) < num:
        archs.extend(sampler(generator))
    return archs[:num]
