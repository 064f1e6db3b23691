"""How far paths pull the weights that they share in different directions.

Two architectures that use the same operation train the same weights. Where their gradients agree,
a step for one is a step for the other (a cosine near 1); where they do not, each undoes some of
what the other learnt (near 0, or below). The gradient is that of the bank: under K copies two paths
with unlike codes move unlike copies, and their cosine is lower for it.

Shapes: m architectures, K copies, P parameters of a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from kshot_core.sharing import Sharing
from kshot_core.space import Arch
from kshot_core.tasks.batches import Batch
from kshot_core.tasks.images import CLASSIFICATION
from kshot_core.tasks.task import Task, outputs_of
from kshot_core.weights.bank import KShot

Gradients = dict[str, Tensor]
"""Of the groups of weights that a path uses, (K, P) each, by their names in the bank."""


class Pair(NamedTuple):
    """Two architectures by their places, and what they share.

    Args:
        first: place of one.
        second: place of the other, after it.
        cosine: of their gradients in the searched weights that both use; NaN where there are none,
            or where either gradient is zero.
        in_common: of the searched weights that either uses the share that both do, 0..1.
    """

    first: int
    second: int
    cosine: float
    in_common: float


def gradient_pairs(
    shared: KShot,
    sharing: Sharing,
    archs: Sequence[Arch],
    batches: Sequence[Batch],
    task: Task = CLASSIFICATION,
) -> list[Pair]:
    """Compare the gradients of every two of these architectures, on the same examples.

    *Searched* weights are those that some of the architectures do without: the stem and the
    classifier, say, are every path's. Where all of them use everything, all weights count. The
    network is in evaluation mode, as it is scored: nothing is dropped, and no statistics change.

    Args:
        shared: the bank.
        sharing: the strategy that gives the codes.
        archs: m of them, at least 2.
        batches: inputs and targets; the gradient is that of their mean loss.
        task: whose loss it is.

    Returns:
        m (m - 1) / 2 pairs.

    Raises:
        ValueError: fewer than two architectures.
    """
    if len(archs) < 2:
        raise ValueError(f"gradients are compared in pairs, of at least 2 archs, got {len(archs)}")
    each = list(_gradients(shared, sharing, archs, batches, task))
    everywhere = set.intersection(*(set(one) for one in each))
    searched = set(shared.bank.keys()) - everywhere or everywhere
    own = [{name: g for name, g in one.items() if name in searched} for one in each]
    return [
        Pair(first, second, *_compared(own[first], own[second]))
        for first, second in combinations(range(len(archs)), 2)
    ]


def _compared(first: Gradients, second: Gradients) -> tuple[float, float]:
    """Cosine over the groups that both have, and the share of weights that these are."""
    common = sorted(first.keys() & second.keys())
    either = first | second
    num = sum(first[name].shape[1] for name in common)
    in_common = num / max(1, sum(one.shape[1] for one in either.values()))
    pairs = [(first[name].double(), second[name].double()) for name in common]
    product = sum(float((one * other).sum()) for one, other in pairs)
    squares = [sum(float(pair[at].square().sum()) for pair in pairs) for at in (0, 1)]
    length = (squares[0] * squares[1]) ** 0.5
    return (product / length if length > 0 else float("nan")), in_common


def _gradients(
    shared: KShot,
    sharing: Sharing,
    archs: Sequence[Arch],
    batches: Sequence[Batch],
    task: Task,
) -> Iterator[Gradients]:
    modes = shared.training, sharing.training
    shared.eval()
    sharing.eval()
    bank = dict(shared.bank.items())
    try:
        for arch in archs:
            with torch.no_grad():
                code = sharing([arch])[0].to(batches[0][0].device)
            total: Gradients = {}
            state: Tensor | None = None
            for x, y in batches:
                with torch.enable_grad():
                    path = partial(shared, arch=arch, code=code)
                    outputs, state = outputs_of(task, path, x, state)
                    loss = task.losses(outputs[None], y[None])[0]
                    found = torch.autograd.grad(loss, list(bank.values()), allow_unused=True)
                state = None if state is None else state.detach()
                for name, gradient in zip(bank, found, strict=True):
                    if gradient is not None:
                        before = total.get(name)
                        total[name] = gradient if before is None else before + gradient
            yield total
    finally:
        shared.train(modes[0])
        sharing.train(modes[1])
