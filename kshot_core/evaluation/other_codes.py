"""Codes to score with that are not an architecture's own: what do its own codes add?

A bank trained with codes that differ is scored once more with one code for all, or with the codes
of other architectures. Where the ranking stays the same, the codes carry nothing about the
architecture, and the bank might as well be one network.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from typing import final

import torch
from torch import Tensor

from kshot_core.sharing import Sharing
from kshot_core.space import Arch


@final
class MeanCode(Sharing):
    """One code for all: the mean of a strategy's codes over some architectures.

    Args:
        sharing: the strategy.
        archs: A of them, at least 1.
    """

    code: Tensor

    def __init__(self, sharing: Sharing, archs: Sequence[Arch]) -> None:
        super().__init__()
        if not archs:
            raise ValueError("the mean code is of at least 1 architecture, got none")
        self.K = sharing.K
        with torch.no_grad():
            self.register_buffer("code", sharing(archs).double().mean(0).float(), persistent=False)

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """The same code (A, K) for each."""
        return self.code.expand(len(archs), -1)

    def reads(self, arch: Arch) -> Hashable:
        """Nothing of the architecture."""
        return None


@final
class ShuffledCodes(Sharing):
    """Each of some architectures with the code of another one, by a permutation drawn once.

    Args:
        sharing: the strategy.
        archs: A of them; no others have a code.
        seed: of the permutation.
    """

    def __init__(self, sharing: Sharing, archs: Sequence[Arch], seed: int = 0) -> None:
        super().__init__()
        self.K = sharing.K
        self.sharing = sharing
        others = list(archs)
        random.Random(seed).shuffle(others)
        self.other = dict(zip(archs, others, strict=True))

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """The codes (A, K) of those that the architectures were given."""
        return self.sharing([self.other[arch] for arch in archs])

    def reads(self, arch: Arch) -> Hashable:
        """What the strategy reads of the other one."""
        return self.sharing.reads(self.other[arch])


SCORE_CODES = ("own", "mean", "shuffled")
"""Which codes architectures can be scored with."""


def codes_to_score_with(which: str, sharing: Sharing, archs: Sequence[Arch]) -> Sharing:
    """A strategy of these codes, one of ``SCORE_CODES``, for the architectures to be scored.

    Raises:
        ValueError: no such codes.
    """
    if which == "own":
        return sharing
    if which == "mean":
        return MeanCode(sharing, archs)
    if which == "shuffled":
        return ShuffledCodes(sharing, archs)
    raise ValueError(f"codes to score with are one of {', '.join(SCORE_CODES)}, got {which!r}")
