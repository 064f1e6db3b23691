"""Few-shot: one copy per operation on one edge (Zhao et al., ICML 2021), as a one-hot code."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from kshot_core.settings import setting
from kshot_core.sharing._strategy import Sharing
from kshot_core.space import Arch, Space


@final
class FewShot(Sharing):
    """The choice at ``site`` picks the copy; no weight is shared across copies.

    The bank trains all copies of an operation together: those that were not picked get a gradient
    of 0, so they decay and coast in steps that use the operation in another copy.

    With fewer copies than choices, neighbouring choices share one: choice c of n goes to copy
    floor(c·K/n).

    Raises:
        ValueError: K is not 2..n for the n choices of the site, or there is no such site.
    """

    def __init__(self, num_choices: Sequence[int], K: int, *, site: int = 0) -> None:
        super().__init__()
        if not 0 <= site < len(num_choices):
            raise ValueError(f"the site to split is 0..{len(num_choices) - 1}, got {site}")
        if not 2 <= K <= num_choices[site]:
            raise ValueError(
                f"few-shot sharing splits site {site} by its {num_choices[site]} choices, "
                f"so K is 2..{num_choices[site]}, got {K}"
            )
        self.K, self.site, self.num = K, site, num_choices[site]

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """Codes (A, K), one-hot."""
        copies = torch.tensor([self.reads(arch) for arch in archs], dtype=torch.long)
        return F.one_hot(copies, self.K).float()

    def reads(self, arch: Arch) -> Hashable:
        """The copy that the split site's choice picks."""
        return arch[self.site] * self.K // self.num


@final
@dataclass(frozen=True)
class FewShotSettings:
    """Few-shot sharing by its name.

    Args:
        few_shot_edge: the site whose choice picks the copy.
    """

    few_shot_edge: int = setting(0, "edge whose operation picks the copy, counted from 0")

    def __call__(self, space: Space, K: int, seed: int = 0) -> FewShot:
        """See ``Strategy``; nothing is drawn."""
        return FewShot(space.num_choices, K, site=self.few_shot_edge)

    def warmup(self, epochs: int) -> dict[str, Any]:
        """See ``OwnWarmup``: half of the epochs are those of one network, which all copies become.

        Zhao et al. 2021, whose sub-supernets take over trained weights.
        """
        return {"warmup": "one-shot", "warmup_epochs": epochs // 2}
