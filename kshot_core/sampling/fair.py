"""Strictly fair: every choice of every site once per update (FairNAS, Chu et al. 2021, alg. 1)."""

from __future__ import annotations

import torch

from kshot_core.space import Arch, Space


class Fair:
    """As many paths as a site has choices; at every site they take each choice exactly once.

    Their gradients are added before one update, so each operation is trained exactly once a step.

    Raises:
        ValueError: the sites do not all have equally many choices.
    """

    def __init__(self, space: Space) -> None:
        if len(set(space.num_choices)) != 1:
            raise ValueError(
                "strictly fair sampling needs equally many choices at every site, "
                f"got {space.num_choices}"
            )
        self.num_sites, self.num = len(space.num_choices), space.num_choices[0]

    def __call__(self, generator: torch.Generator) -> tuple[Arch, ...]:
        """``num`` architectures, a fresh random permutation of the choices at each site."""
        orders = [
            torch.randperm(self.num, generator=generator).tolist() for _ in range(self.num_sites)
        ]
        return tuple(zip(*orders, strict=True))
