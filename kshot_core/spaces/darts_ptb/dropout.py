"""Dropout where DARTS's recurrent network has it, drawn from the network's own numbers.

Each mask is drawn once for a window of tokens. Where the random numbers come from, a seed and a
count of windows, is part of the network's state: one taken up again goes on with the masks it
would have had, and no process-wide random state is read in training.

Shapes: m members, B sequences, V tokens of the vocabulary, H of a state and of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kshot_core.streams import derive_seed


@dataclass(frozen=True)
class Dropouts:
    """Shares 0..1 that are dropped; see ``DARTSPTB`` for what of."""

    dropout: float
    dropouth: float
    dropoutx: float
    dropouti: float
    dropoute: float

    @property
    def any(self) -> bool:
        """Whether anything is dropped."""
        return any(vars(self).values())


@dataclass(frozen=True)
class Masks:
    """What is multiplied by 0, or by 1 / (1 - share); None where nothing is dropped.

    Args:
        words: (m, V, 1), of rows of the embedding.
        embedded: (m, B, H), of embedded tokens.
        state: (m, B, H), of states that the cell multiplies.
        outputs: (m, B, H), of what the decoder reads.
    """

    words: Tensor | None = None
    embedded: Tensor | None = None
    state: Tensor | None = None
    outputs: Tensor | None = None


class Dropout(nn.Module):
    """The seed and the count of windows."""

    seed: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Drawn as a layer draws its weights.
        self.register_buffer("seed", torch.empty((), dtype=torch.long).random_(2**31))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def next(self) -> tuple[int, int]:
        """What the next window's masks are drawn from."""
        self.count += 1
        return int(self.seed), int(self.count)


def draw_masks(
    dropouts: Dropouts, numbers: Sequence[tuple[int, int]], B: int, table: Tensor
) -> Masks:
    """Masks of m members' windows.

    Args:
        dropouts: what is dropped.
        numbers: seed and count of each member, m pairs.
        B: sequences of a window.
        table: the embedding's weights (..., V, H).
    """
    V, H = table.shape[-2:]
    # On the CPU, so that every device has the same masks.
    generators = [
        torch.Generator().manual_seed(derive_seed(seed, f"dropout {count}"))
        for seed, count in numbers
    ]

    def drawn(share: float, *shape: int) -> Tensor | None:
        if not share:
            return None
        kept = torch.stack([torch.rand(shape, generator=one) >= share for one in generators])
        return kept.to(table.device, table.dtype).div_(1 - share)

    # The cell reads what is left of embedded tokens through a second mask.
    embedded, read = drawn(dropouts.dropouti, B, H), drawn(dropouts.dropoutx, B, H)
    if embedded is not None and read is not None:
        embedded = embedded * read
    return Masks(
        words=drawn(dropouts.dropoute, V, 1),
        embedded=read if embedded is None else embedded,
        state=drawn(dropouts.dropouth, B, H),
        outputs=drawn(dropouts.dropout, B, H),
    )
