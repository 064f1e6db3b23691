"""Strictly fair: every choice of every site once per update (FairNAS, Chu et al. 2021, alg. 1)."""

from __future__ import annotations

import torch

from kshot_core.space import Arch, Space

_TRIALS = 1_000


class Fair:
    """As many paths as a site has choices; at every site they take each choice exactly once.

    Their gradients are added before one update, so each operation is trained exactly once a step.

    Where only some combinations of choices are architectures, permutations are drawn again until
    all paths are among them.

    Raises:
        ValueError: the sites do not all have equally many choices, or too few of their combinations
            are architectures.
    """

    def __init__(self, space: Space) -> None:
        if len(set(space.num_choices)) != 1:
            raise ValueError(
                "strictly fair sampling needs equally many choices at every site, "
                f"got {space.num_choices}"
            )
        self.space = space
        self.num_sites, self.num = len(space.num_choices), space.num_choices[0]
        trial = torch.Generator().manual_seed(0)
        if not any(self._are_archs(self._paths(trial)) for _ in range(_TRIALS)):
            raise ValueError(
                "strictly fair sampling takes each choice of each site once, which leads to no "
                f"architectures of {space.name} in {_TRIALS} draws; take another sampler"
            )

    def __call__(self, generator: torch.Generator) -> tuple[Arch, ...]:
        """``num`` architectures, a fresh random permutation of the choices at each site."""
        while not self._are_archs(paths := self._paths(generator)):
            pass
        return paths

    def _paths(self, generator: torch.Generator) -> tuple[Arch, ...]:
        orders = [
            torch.randperm(self.num, generator=generator).tolist() for _ in range(self.num_sites)
        ]
        return tuple(zip(*orders, strict=True))

    def _are_archs(self, paths: tuple[Arch, ...]) -> bool:
        return all(map(self.space.contains, paths))
