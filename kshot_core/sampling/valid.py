"""Valid: uniform over the architectures whose output depends on their input."""

from __future__ import annotations

import torch

from kshot_core.space import Arch, Space


class Valid:
    """One path, uniform over the architectures that have a path from input to output.

    The 341 cells of NAS-Bench-201 without one only teach the classifier's bias.
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    def __call__(self, generator: torch.Generator) -> tuple[Arch, ...]:
        """One architecture, drawn again until it is valid."""
        while True:
            if self.space.is_valid(arch := self.space.sample(generator)):
                return (arch,)
