"""Balanced: every number of convolutions alike (Few-Shot-NAS of CVLab, Yonsei)."""

from __future__ import annotations

import torch

from kshot_core.space import Arch, Space, listing

_MOST_ARCHS = 1_000_000


class Balanced:
    """A number of live convolutions drawn uniformly, then a valid path uniform among its kind.

    Under uniform sampling paths with few convolutions are rare and stay undertrained.

    Raises:
        ValueError: the space is too large to list.
    """

    def __init__(self, space: Space) -> None:
        archs = listing(space, _MOST_ARCHS)
        if archs is None:
            raise ValueError(
                f"balanced sampling lists the space and takes at most {_MOST_ARCHS} "
                f"architectures, {space.name} has more"
            )
        kinds: dict[int, list[Arch]] = {}
        for arch in archs:
            if space.is_valid(arch):
                kinds.setdefault(space.num_convolutions(arch), []).append(arch)
        self.kinds = [kinds[num] for num in sorted(kinds)]

    def __call__(self, generator: torch.Generator) -> tuple[Arch, ...]:
        """One architecture."""
        kind = self.kinds[int(torch.randint(len(self.kinds), (), generator=generator))]
        return (kind[int(torch.randint(len(kind), (), generator=generator))],)
