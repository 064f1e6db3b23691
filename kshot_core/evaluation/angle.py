"""How far training turned a path's weights (Hu et al., ECCV 2020, "AngleNet").

The angle between the weights that a path has before and after training, higher for an architecture
that is thought better (their eq. 3). The weights are those that the path's forward pass uses, each
once; operations without weights add nothing. In the original a weight counts once for every way
through the cell that it lies on, and pooling has a constant vector.

Where every path uses all weights, as in ``darts_ptb``, one copy has one angle for all of them.
Under K copies a path's weights are the mixture of its code: before training that of the copies as
drawn, after it that of the trained ones. Shapes: K copies, P parameters of a group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kshot_core.space import Arch
from kshot_core.weights.bank import KShot

Inputs = Any
"""Images (B, C, H, W), or tokens (B, T) with None for the state."""


def weights_angle(
    before: KShot, after: KShot, arch: Arch, codes: tuple[Tensor, Tensor], inputs: Inputs
) -> float:
    """The angle in radians, 0..π; 0 where the path has no weights.

    Args:
        before: the supernet as it was drawn.
        after: the same one, trained.
        arch: the path.
        codes: of the path before and after training, (K,) each.
        inputs: a few images, of any content: which weights run is seen on them. Of a network that
            carries a state, tokens and None.
    """
    used = used_groups(after, arch, codes[1], inputs)
    with torch.no_grad():
        pairs = [
            tuple(
                code @ bank[name]
                for code, bank in zip(codes, (before.bank, after.bank), strict=True)
            )
            for name in used
        ]
        product = sum((one @ other for one, other in pairs), torch.zeros(()))
        squares = [
            sum((pair[at].square().sum() for pair in pairs), torch.zeros(())) for at in (0, 1)
        ]
        length = math.sqrt(float(squares[0] * squares[1]))
    return math.acos(max(-1.0, min(1.0, float(product) / length))) if length > 0 else 0.0


def used_groups(shared: KShot, arch: Arch, code: Tensor, inputs: Inputs) -> Sequence[str]:
    """Names in the bank of the groups of weights that a path's output depends on, in order."""
    with torch.enable_grad():
        output: Any = shared(inputs, arch, code)
    if isinstance(output, tuple):
        # The state that is carried on is made of no other weights.
        output = output[0]
    reached: set[int] = set()
    seen, waiting = set[Any](), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name().endswith("AccumulateGrad"):
            reached.add(id(node.variable))
        waiting += [before for before, _ in node.next_functions]
    return [name for name, group in shared.bank.items() if id(group) in reached]
