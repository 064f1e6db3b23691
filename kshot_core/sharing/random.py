"""Random K-shot: codes drawn once and never trained (paper section 5.3, table 6)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from kshot_core.sharing._strategy import Sharing
from kshot_core.space import Arch, Space, encode


@final
class RandomCodes(Sharing):
    """Each architecture keeps a random code of its own.

    The paper draws λ at random and keeps it; a table with a row per architecture is out of reach
    in large spaces. Here every choice at every site has a frozen normal vector of K logits, and a
    code is the softmax of the sum over the sites, shifted and scaled so that over uniform
    architectures each logit has mean 0 and variance 1: a logistic-normal code that is the same
    whenever it is asked for.

    Args:
        num_choices: number of choices at each site.
        K: number of copies.
        seed: of the logits.
    """

    def __init__(self, num_choices: Sequence[int], K: int, *, seed: int = 0) -> None:
        super().__init__()
        self.K = K
        self.num_choices = tuple(num_choices)
        generator = torch.Generator().manual_seed(seed)
        sites = torch.split(
            torch.randn(sum(self.num_choices), K, generator=generator), list(self.num_choices)
        )
        # A mean other than 0 would leave a copy idle in all architectures alike.
        centred = [site - site.mean(0) for site in sites]
        variance = torch.stack([site.square().mean(0) for site in centred]).sum(0)
        self.logits: Tensor
        # Where no site leaves a choice every logit is 0.
        self.register_buffer("logits", torch.cat(centred) / variance.clamp_min(1e-12).sqrt())

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """Codes (A, K)."""
        onehot = encode(archs, self.num_choices).to(self.logits.device, non_blocking=True)
        return (onehot @ self.logits).softmax(1)

    def reads(self, arch: Arch) -> Hashable:
        """The architecture as written."""
        return arch


@final
@dataclass(frozen=True)
class RandomSettings:
    """Random codes by their name."""

    def __call__(self, space: Space, K: int, seed: int = 0) -> RandomCodes:
        """See ``Strategy``."""
        return RandomCodes(space.num_choices, K, seed=seed)

    def warmup(self, epochs: int) -> dict[str, Any]:
        """See ``OwnWarmup``: codes that never change are there from the first step."""
        return {"warmup_epochs": 0}
