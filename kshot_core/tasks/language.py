"""Language modelling: the next token of a text, by networks that carry a hidden state through it.

A text is one long sequence of tokens. A batch of B sequences is a window of T tokens in each of B
equal stretches of the text; the next batch is the window after it, so that the state of each
sequence goes on where it ended.

Shapes: B sequences, T tokens of a window, V tokens of the vocabulary, m paths.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from kshot_core.tasks.batches import WHOLE, Batch, Part
from kshot_core.tasks.task import Task, at_least_float32


@final
class LanguageModelling(Task):
    """Logits (B, T, V) of the next token; scored by perplexity, exp of the mean loss in nats."""

    score: ClassVar[str] = "perplexity"
    higher_is_better: ClassVar[bool] = False
    carries: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (1.0, math.inf)
    # Chance on a million classes is 14.
    exploded: ClassVar[float] = 1e3

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of each path: (m, B, T, V) and tokens (m, B, T) to (m,)."""
        logits = at_least_float32(outputs).flatten(0, 2)
        losses = F.cross_entropy(logits, targets.flatten(), reduction="none")
        return losses.view(len(outputs), -1).mean(1)

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum of the loss, (m, 1)."""
        m = len(outputs)
        labels = targets.expand(m, *targets.shape).flatten()
        losses = F.cross_entropy(outputs.float().flatten(0, 2), labels, reduction="none")
        return losses.view(m, -1).double().sum(1, keepdim=True)

    def scores(self, totals: Tensor, num_targets: int) -> Tensor:
        """Perplexity and mean loss, (m, 2)."""
        loss = totals / num_targets
        return torch.cat([loss.exp(), loss], 1)


class TextSet:
    """A text as batches; an example is a window of T tokens.

    Args:
        tokens: int64 (n,), each 0..V-1.
        window: T.
        device: where the text lives.
        part: what this process takes of every batch for training.

    Raises:
        ValueError: not one sequence of whole numbers, or shorter than two windows.
    """

    def __init__(
        self,
        tokens: Tensor,
        window: int,
        device: torch.device | str = "cpu",
        part: Part = WHOLE,
    ) -> None:
        if tokens.ndim != 1 or tokens.dtype != torch.int64:
            raise ValueError(
                f"a text is int64 (n,), got {tokens.dtype} of shape {tuple(tokens.shape)}"
            )
        if window < 1 or len(tokens) < 2 * window:
            raise ValueError(
                f"a text needs two windows of at least 1 token, got {len(tokens)} tokens "
                f"and a window of {window}"
            )
        self.tokens, self.window, self.part = tokens.to(device), window, part

    def __len__(self) -> int:
        """Number of windows that there are wherever in a window's length the first begins."""
        return (len(self.tokens) - self.window) // self.window

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One pass from a random place in the first window; windows in the order of the text.

        Yields:
            tokens int64 (B, T), and those that follow each of them, likewise.
        """
        start = int(torch.randint(self.window, (), generator=generator))
        part = self.part.of(batch_size)
        for x, y in self._windows(batch_size, start, len(self)):
            yield x[part], y[part]

    def scoring_batches(self, batch_size: int, num: int | None = None, /) -> Sequence[Batch]:
        """The first ``num`` windows (None: all) as ``batch_size`` stretches.

        Raises:
            ValueError: there would be no batch.
        """
        total = len(self) if num is None else min(num, len(self))
        return list(self._windows(min(batch_size, total), 0, total))

    def _windows(self, num_sequences: int, start: int, total: int) -> Iterator[Batch]:
        if not 1 <= num_sequences <= total:
            raise ValueError(f"batch_size must be 1..{total}, got {num_sequences}")
        length = total // num_sequences * self.window
        stop = start + num_sequences * length
        inputs = self.tokens[start:stop].view(num_sequences, length)
        targets = self.tokens[start + 1 : stop + 1].view(num_sequences, length)
        for at in range(0, length, self.window):
            yield inputs[:, at : at + self.window], targets[:, at : at + self.window]
