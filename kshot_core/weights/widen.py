"""Copies drawn wider, so that a merge of theirs has the scale of one drawn network.

The mean of K independent draws of a weight has 1/K of the variance. Behind a batch-norm that
changes nothing but the rate at which the weight learns; a classifier, affine scales and
convolutions without one after them start K times closer to zero and learn K times slower.
"""

from __future__ import annotations

import math

import torch

from kshot_core.weights.bank import KShot


def widen_copies(shared: KShot) -> None:
    """Multiply by √K, in place, whatever differs between the copies of a bank.

    Under the code 1/K the merged weights then are distributed as a single network's are drawn.
    Weights that start equal in all copies (biases of 0, scales of 1) stay as they are, so a bank
    of identical copies is left alone.
    """
    with torch.no_grad():
        for stack in shared.parameters():
            drawn = (stack != stack[:1]).any(0)
            stack.mul_(torch.where(drawn, math.sqrt(shared.K), 1.0).to(stack))
