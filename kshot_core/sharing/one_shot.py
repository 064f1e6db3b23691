"""One-shot: one copy, shared by all (paper eq. 3; SPOS, Guo et al. 2020)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import final

import torch
from torch import Tensor

from kshot_core.sharing._strategy import Sharing
from kshot_core.space import Arch


@final
class OneShot(Sharing):
    """The code of every architecture is (1,)."""

    def __init__(self, K: int = 1) -> None:
        super().__init__()
        if K != 1:
            raise ValueError(f"one-shot sharing has one copy, K = 1, got K = {K}")
        self.K = 1

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """Codes (A, 1), all ones."""
        return torch.ones(len(archs), 1)

    def reads(self, arch: Arch) -> Hashable:
        """Nothing: all codes are equal."""
        return ()
