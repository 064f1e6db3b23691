"""A small recurrent supernet, and a text that it can learn only by what it remembers.

Sites: what the state becomes (0 tanh, 1 sigmoid, 2 softsign), whether a gate mixes it
with what it was (0 no, 1 yes), whether the candidate sees the state at all (0 no, 1 yes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.space import Arch, Generator, check_arch, in_range, uniform_arch
from kshot_core.tasks.batches import WHOLE, Part
from kshot_core.tasks.language import LanguageModelling, TextSet

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


class RecurrentAlone(nn.Module):
    """One architecture of the recurrent supernet, called with the pair of tokens and state."""

    def __init__(self, arch: Arch) -> None:
        super().__init__()
        self.arch, self.network = arch, RecurrentSupernet()

    def forward(self, inputs: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor]:
        outputs: tuple[Tensor, Tensor] = self.network(inputs, self.arch)
        return outputs


@dataclass(frozen=True)
class RecurrentSpace:
    """All architectures of the recurrent supernet. It counts no costs."""

    num_classes: int = NUM_TOKENS
    image_size: int = 1
    image_channels: int = 1

    name = "recurrent"
    task = LanguageModelling()
    num_choices = NUM_CHOICES
    width_sites: tuple[int, ...] = ()

    def sample(self, generator: Generator) -> Arch:
        return uniform_arch(self.num_choices, generator)

    def contains(self, arch: Arch) -> bool:
        return in_range(arch, self.num_choices)

    def canonical(self, arch: Arch) -> Arch:
        return arch

    def is_valid(self, arch: Arch) -> bool:
        return True

    def num_convolutions(self, arch: Arch) -> int:
        return 0

    def to_string(self, arch: Arch) -> str:
        return "rnn-" + "-".join(map(str, arch))

    def from_string(self, text: str) -> Arch:
        head, *choices = text.split("-")
        if head != "rnn" or not all(choice.isdecimal() for choice in choices):
            raise ValueError(f"an architecture here reads rnn-0-1-0, got {text!r}")
        return check_arch([int(choice) for choice in choices], self.num_choices)

    def parameter_group(self, name: str) -> str:
        return name

    def supernet(self) -> nn.Module:
        return RecurrentSupernet()

    def standalone(self, arch: Arch) -> nn.Module:
        return RecurrentAlone(check_arch(arch, self.num_choices))


class TextData:
    """The text as programs take data sets: its letters to train on, others to score on."""

    name = trained_on = "letters"
    task = LanguageModelling()
    num_classes = NUM_TOKENS
    image_size = image_channels = 1
    num_test = 0

    def __init__(self, num: int = 1400) -> None:
        self.description = {"source": "made in a test"}
        self.num_train, self.num_valid = len(text(num)), len(text(seed=1))
        self._num = num

    def first(self, num: int) -> TextData:
        return TextData((num + 1) * WINDOW // 4 * 4)

    def training(
        self, device: torch.device, part: Part = WHOLE, everything: bool = False
    ) -> TextSet:
        return TextSet(text(self._num).tokens, WINDOW, device, part)

    def validation(self, device: torch.device) -> TextSet:
        return TextSet(text(seed=1).tokens, WINDOW, device)
