"""Networks with a second classifier, whose loss is added to theirs while they train alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class WithAuxiliary(Protocol):
    """What a network says of its auxiliary head.

    ``auxiliary_weight``: of the head's loss beside the network's own. ``auxiliary_outputs``: what
    the head made of the last batch in training; ``None`` without a head, and in evaluation.
    """

    auxiliary_weight: float
    auxiliary_outputs: Tensor | None


def with_auxiliary(network: nn.Module, own: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """A loss with that of the head added, if there is one.

    Args:
        network: that has just run.
        own: loss of its outputs.
        loss: of outputs, the same one.
    """
    if not isinstance(network, WithAuxiliary) or network.auxiliary_outputs is None:
        return own
    # Taken away, or the network would keep the graph of its last batch.
    outputs, network.auxiliary_outputs = network.auxiliary_outputs, None
    return own + network.auxiliary_weight * loss(outputs)
