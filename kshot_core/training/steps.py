"""The forward and backward pass of a training step, apart from what is asked for and done with it.

A trainer says which paths to run on which images, and an ``Engine`` runs them and leaves gradients:
``run_step`` for one training by itself, ``Lockstep`` (``kshot_core/lockstep.py``) for several at
once. Neither changes what a training is, only how its paths share kernels.

Shapes: m paths, B images of a path, K copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kshot_core.space import Arch
from kshot_core.training.precision import at_least_float32, precise
from kshot_core.weights.bank import KShot


@dataclass(frozen=True)
class Step:
    """What one step computes: Σ weight · mean cross-entropy of each path, and its gradient.

    Args:
        shared: the bank.
        x: images (m, B, ...); ``expand``ed where all paths share them.
        y: labels (m, B).
        archs: m paths.
        codes: (m, K).
        weights: (m,), of each path's loss in the gradient.
        batch_paths: whether several paths run in one pass where they can.
        precision: of the forward pass, see ``precise``.
    """

    shared: KShot
    x: Tensor
    y: Tensor
    archs: Sequence[Arch]
    codes: Tensor
    weights: Tensor
    batch_paths: bool
    precision: str = "float32"


Engine = Callable[[Step], Tensor]
"""Runs a step, adds to the gradients of what asks for them, and returns the losses (m,)."""


def run_step(step: Step) -> Tensor:
    """Run one training's step by itself; returns the paths' losses (m,), detached."""
    if step.batch_paths and len(step.archs) > 1:
        with precise(step.x.device, step.precision):
            logits = step.shared.forward_many(step.x, step.archs, step.codes)
        losses = losses_of(logits, step.y)
        (losses * step.weights).sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach()
    # One backward per path keeps the memory of one path. The codes have a graph in common, through
    # which their gradients go back once, at the end.
    codes = step.codes.detach().requires_grad_(step.codes.requires_grad)
    each = []
    for at, (x, y, arch) in enumerate(zip(step.x, step.y, step.archs, strict=True)):
        with precise(x.device, step.precision):
            logits = step.shared(x, arch, codes[at])
        loss = F.cross_entropy(at_least_float32(logits), y)
        (loss * step.weights[at]).backward()  # type: ignore[no-untyped-call]
        each.append(loss.detach())
    if codes.grad is not None:
        torch.autograd.backward([step.codes], [codes.grad])
    return torch.stack(each)


def losses_of(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of each path: logits (m, B, num_classes) and labels (m, B) to (m,)."""
    logits = at_least_float32(logits).flatten(0, 1)
    losses = F.cross_entropy(logits, y.flatten(), reduction="none")
    return losses.view(y.shape).mean(1)
