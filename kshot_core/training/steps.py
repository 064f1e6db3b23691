"""The forward and backward pass of a training step, apart from what is asked for and done with it.

A trainer says which paths to run on which examples, and an ``Engine`` runs them and leaves
gradients: ``run_step`` for one training by itself, ``Lockstep`` for several at once. Neither
changes what a training is, only how its paths share kernels.

Shapes: m paths, B examples of a path, K copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from kshot_core.space import Arch
from kshot_core.tasks.images import CLASSIFICATION
from kshot_core.tasks.task import Memory, Task, outputs_of
from kshot_core.training.precision import precise
from kshot_core.weights.bank import KShot


@dataclass(frozen=True)
class Step:
    """What one step computes: Σ weight · mean loss of each path, and its gradient.

    Args:
        shared: the bank.
        x: inputs (m, B, ...); ``expand``ed where all paths share them.
        y: targets (m, B, ...).
        archs: m paths.
        codes: (m, K).
        weights: (m,), of each path's loss in the gradient.
        batch_paths: whether several paths run in one pass where they can.
        precision: of the forward pass, see ``precise``.
        task: whose loss it is.
        memory: of the stream that the batch is of, where the task carries a state.
    """

    shared: KShot
    x: Tensor
    y: Tensor
    archs: Sequence[Arch]
    codes: Tensor
    weights: Tensor
    batch_paths: bool
    precision: str = "float32"
    task: Task = CLASSIFICATION
    memory: Memory | None = None

    @property
    def in_one_pass(self) -> bool:
        """Whether its paths may share a pass; carried states go through one path at a time."""
        return self.batch_paths and not self.task.carries


Engine = Callable[[Step], Tensor]
"""Runs a step, adds to the gradients of what asks for them, and returns the losses (m,)."""


def run_step(step: Step) -> Tensor:
    """Run one training's step by itself; returns the paths' losses (m,), detached."""
    if step.in_one_pass and len(step.archs) > 1:
        with precise(step.x.device, step.precision):
            outputs = step.shared.forward_many(step.x, step.archs, step.codes)
        losses = step.task.losses(outputs, step.y)
        (losses * step.weights).sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach()
    # One backward per path keeps the memory of one path. The codes have a graph in common, through
    # which their gradients go back once, at the end.
    codes = step.codes.detach().requires_grad_(step.codes.requires_grad)
    m, size = len(step.archs), step.x.shape[1]
    states = [None] * m if step.memory is None else step.memory.states(m, size)
    each: list[Tensor] = []
    ends: list[Tensor] = []
    for at, (x, y, arch) in enumerate(zip(step.x, step.y, step.archs, strict=True)):
        path = partial(step.shared, arch=arch, code=codes[at])
        with precise(x.device, step.precision):
            outputs, end = outputs_of(step.task, path, x, states[at])
        loss = step.task.losses(outputs[None], y[None])[0]
        (loss * step.weights[at]).backward()  # type: ignore[no-untyped-call]
        each.append(loss.detach())
        if end is not None:
            ends.append(end.detach())
    if codes.grad is not None:
        torch.autograd.backward([step.codes], [codes.grad])
    if step.memory is not None:
        step.memory.keep(ends)
    return torch.stack(each)
