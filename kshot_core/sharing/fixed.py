"""Fixed K-shot: the mean of K copies for every architecture (paper section 5.3, table 6)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import final

import torch
from torch import Tensor

from kshot_core.sharing._strategy import Sharing
from kshot_core.space import Arch


@final
class Fixed(Sharing):
    """The code of every architecture is (1/K, ..., 1/K)."""

    def __init__(self, K: int) -> None:
        super().__init__()
        self.K = K

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """Codes (A, K), all 1/K."""
        return torch.full((len(archs), self.K), 1 / self.K)

    def reads(self, arch: Arch) -> Hashable:
        """Nothing: all codes are equal."""
        return ()
