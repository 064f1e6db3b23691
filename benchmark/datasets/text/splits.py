"""What a text gives to a run: tokens to train on, to score architectures on, and to judge by."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.cli.errors import UserError
from kshot_core.tasks.batches import WHOLE, Part
from kshot_core.tasks.language import LanguageModelling, TextSet

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class TextSplits:
    """The tokens of a text, on the CPU.

    An example is a window of so many tokens: counts of examples are counts of windows.

    Args:
        name: the data set, a key of ``benchmark.datasets.DATASETS``.
        vocabulary: the tokens' texts; token i is the i-th.
        train_tokens: int64 (n,), those weights are trained on.
        valid_tokens: int64 (n,), those architectures are scored on.
        test_tokens: int64 (n,), those that retrained networks are judged by.
        window: tokens through which gradients go back.
        trained_on: the truth table's name of this training text.
        description: what a record says about the text.
    """

    name: str
    vocabulary: tuple[str, ...]
    train_tokens: Tensor
    valid_tokens: Tensor
    test_tokens: Tensor
    window: int
    trained_on: str
    description: dict[str, str]

    def __post_init__(self) -> None:
        """Refuse texts too short for two windows.

        Raises:
            UserError: one of the three is.
        """
        for part in ("train", "valid", "test"):
            num = len(getattr(self, f"{part}_tokens"))
            if num < 2 * self.window:
                raise UserError(
                    f"{self.name}: the {part} text has {num} tokens; two windows of {self.window} "
                    "are wanted at least: take a longer text"
                )

    @property
    def task(self) -> LanguageModelling:
        """Language modelling."""
        return LanguageModelling()

    @property
    def num_classes(self) -> int:
        """Tokens of the vocabulary."""
        return len(self.vocabulary)

    @property
    def num_train(self) -> int:
        """Windows to train on."""
        return len(self._set(self.train_tokens))

    @property
    def num_valid(self) -> int:
        """Windows that architectures are scored on."""
        return len(self._set(self.valid_tokens))

    @property
    def num_test(self) -> int:
        """Windows that retrained networks are judged by."""
        return len(self._set(self.test_tokens))

    def first(self, num: int) -> TextSplits:
        """The same with the first ``num`` windows of the training text alone."""
        # The tokens of a window are followed by one, and the first may begin within a window.
        tokens = self.train_tokens[: (num + 1) * self.window]
        return dataclasses.replace(self, train_tokens=tokens)

    def training(
        self, device: torch.device, part: Part = WHOLE, everything: bool = False
    ) -> TextSet:
        """The text to train on; nothing is held out of it, so ``everything`` changes nothing."""
        return TextSet(self.train_tokens, self.window, device, part)

    def validation(self, device: torch.device) -> TextSet:
        """The text to score architectures on."""
        return self._set(self.valid_tokens, device)

    def test(self, device: torch.device) -> TextSet:
        """The text to judge a retrained network by."""
        return self._set(self.test_tokens, device)

    def _set(self, tokens: Tensor, device: torch.device | str = "cpu") -> TextSet:
        return TextSet(tokens, self.window, device)
