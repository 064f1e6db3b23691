"""A small recurrent supernet, and a text that it can learn only by what it remembers.

Sites: what the state becomes (0 tanh, 1 sigmoid, 2 softsign), whether a gate mixes it
with what it was (0 no, 1 yes), whether the candidate sees the state at all (0 no, 1 yes).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.space import Arch, uniform_arch
from kshot_core.tasks.language import TextSet

NUM_CHOICES = (3, 2, 2)
ARCHS = list(product(*map(range, NUM_CHOICES)))
NUM_TOKENS, WINDOW = 6, 7
ACTIVATIONS: tuple[Callable[[Tensor], Tensor], ...] = (torch.tanh, torch.sigmoid, F.softsign)


class RecurrentSupernet(nn.Module):
    """Called with (tokens (B, T), state (B, H) or None); returns logits (B, T, V) and the state."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.embedding = nn.Embedding(NUM_TOKENS, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in ACTIVATIONS)
        self.gate = nn.Linear(2 * width, width)
        self.head = nn.Linear(width, NUM_TOKENS)

    def forward(self, inputs: tuple[Tensor, Tensor | None], arch: Arch) -> tuple[Tensor, Tensor]:
        tokens, state = inputs
        activation, gated, sees = arch
        x = self.embedding(tokens)
        state = torch.zeros_like(x[:, 0]) if state is None else state
        outputs = []
        for now in x.unbind(1):
            seen = self.inner[activation](state) if sees else torch.zeros_like(state)
            candidate = ACTIVATIONS[activation](now + seen)
            share = self.gate(torch.cat([now, state], 1)).sigmoid() if gated else 1.0
            state = share * candidate + (1 - share) * state
            outputs.append(self.head(state))
        return torch.stack(outputs, 1), state


def sampler(generator: torch.Generator) -> tuple[Arch, ...]:
    """One uniform architecture."""
    return (uniform_arch(NUM_CHOICES, generator),)


def text(num: int = 1400, seed: int = 0) -> TextSet:
    """Words of four letters, the first of 0, 1, 2 and the second of 3, 4, 5; then both again.

    The first two are drawn; the last two can be told from them alone, two letters later.
    """
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(3, (num // 4, 2), generator=generator) + torch.tensor([0, 3])
    return TextSet(torch.cat([words, words], 1).flatten(), WINDOW)
