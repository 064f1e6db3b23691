"""What a task is: the loss, the score and its direction. Its batches lie beside it, in its file.

Shapes: m paths, B examples of a batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_Number = TypeVar("_Number", bound=np.floating[Any])


class Task(ABC):
    """What is learnt. Abstract: a task subclasses this class and nothing else.

    ``score``: what the score is called, with its unit. ``higher_is_better``: its direction.
    ``bounds``: the least and the most that a score can be.

    ``exploded``: a mean loss over an epoch that no training comes back from, which is then called
    diverged as one of NaN is; infinite where losses have no common scale.

    ``carries``: whether a state goes from each batch of a stream to the next, as a recurrent
    network's does in a text. The network is then called with a pair, the inputs and the state
    (``None`` before the first batch), and returns the pair of outputs and new state, (B, ...); see
    ``Memory``. Where ``carries`` is False it is called with the inputs and returns the outputs.
    """

    score: ClassVar[str]
    bounds: ClassVar[tuple[float, float]]
    higher_is_better: ClassVar[bool]
    carries: ClassVar[bool]
    exploded: ClassVar[float] = math.inf

    def merit(self, scores: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """Scores as numbers of which higher ones are better: themselves, or their negatives."""
        return scores if self.higher_is_better else -scores

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of each path, (m,), differentiable, of outputs and targets (m, B, ...)."""

    @abstractmethod
    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What a score is made from, so that it can be added up over batches.

        Args:
            outputs: (m, B, ...).
            targets: (B, ...), the same for all paths.

        Returns:
            float64 (m, n), the same n numbers in every batch.
        """

    @abstractmethod
    def scores(self, totals: Tensor, num_targets: int) -> Tensor:
        """Score and mean loss, (m, 2), of sums of ``totals`` over batches of so many targets."""


class Memory:
    """What a stream of batches of B sequences carries from one batch to the next.

    Gradients end where a batch begins. The paths of a step run the whole batch each, or divide its
    sequences among them; then each goes on from the state of its own.

    Args:
        num_sequences: B.
    """

    def __init__(self, num_sequences: int) -> None:
        self._num = num_sequences
        self._state: Tensor | None = None

    @property
    def state(self) -> Tensor | None:
        """What the next batch begins with, of all sequences; None before the first."""
        return self._state

    def states(self, num_paths: int, size: int) -> list[Tensor | None]:
        """What each of the paths, of ``size`` sequences, begins with; None before the first batch.

        Raises:
            ValueError: the paths neither share the sequences nor divide them without remainder.
        """
        shared = size == self._num
        if not shared and num_paths * size != self._num:
            raise ValueError(
                f"{self._num} sequences with a carried state do not divide among {num_paths} paths"
            )
        if self._state is None or shared:
            return [self._state] * num_paths
        return list(torch.split(self._state, size))

    def keep(self, states: Sequence[Tensor]) -> None:
        """Take what the paths ended with; where they ran the same sequences, the first one's."""
        shared = len(states[0]) == self._num
        self._state = (states[0] if shared else torch.cat(list(states))).detach()


def outputs_of(
    task: Task, network: Callable[[Any], Any], x: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Outputs of a network called as its task has it, and the state that it ended with, if any."""
    if task.carries:
        outputs, state = network((x, state))
        return outputs, state
    return network(x), None


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor, widened if it has 16 bits: for losses."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
