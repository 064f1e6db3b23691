"""Batches of any task: pairs of tensors, in passes for training and in a fixed order for scoring.

Shapes: N examples of a set, B examples of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Inputs (B, ...) and targets (B, ...); of images float32 (B, C, H, W) and labels int64 (B,)."""


@dataclass(frozen=True)
class Part:
    """Which part of every batch a process takes: number ``rank`` of ``num`` equal ones."""

    rank: int = 0
    num: int = 1

    def of(self, batch_size: int) -> slice:
        """Positions in a batch. Raises ``ValueError`` where ``batch_size`` does not divide."""
        if batch_size % self.num:
            raise ValueError(f"a batch of {batch_size} does not divide among {self.num} processes")
        size = batch_size // self.num
        return slice(self.rank * size, (self.rank + 1) * size)


WHOLE = Part()
"""All of every batch."""


class TrainingBatches(Protocol):
    """Where a training gets its batches."""

    def __len__(self) -> int:
        """Number of examples N; a pass has N // batch_size batches."""
        ...

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One pass, random as the task has it; an incomplete last batch is left out.

        Args:
            batch_size: examples of a batch, of all processes together.
            generator: what the pass is drawn from, the same in every process. It is left in the
                same state whatever part of the batches this process takes.
        """
        ...


class ScoringBatches(Protocol):
    """What architectures are scored on."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def scoring_batches(self, batch_size: int, num: int | None = None, /) -> Sequence[Batch]:
        """The first ``num`` examples (None: all) in fixed order, as equal batches."""
        ...
