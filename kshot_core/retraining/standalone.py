"""Training architectures alone: where the truth about them comes from.

A fleet of them trains side by side, each from weights and on batches of its own seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from kshot_core.checks import (
    check_above_zero,
    check_at_least,
    check_below_one,
    check_not_negative,
)
from kshot_core.retraining.auxiliary import with_auxiliary
from kshot_core.retraining.fleet import Fleet
from kshot_core.settings import setting
from kshot_core.space import Arch, Space
from kshot_core.streams import derive_seed, seeded, stream
from kshot_core.tasks.batches import Batch, TrainingBatches
from kshot_core.tasks.images import CLASSIFICATION
from kshot_core.tasks.task import Task, outputs_of


@dataclass(frozen=True)
class StandaloneRecipe:
    """How an architecture is trained alone.

    Args:
        epochs: passes over the training examples.
        batch_size: examples of a step.
        learning_rate: of SGD at its highest; rises linearly over the first ``warmup`` share of
            the steps and falls to zero along a cosine.
        warmup: share of the steps that warm up, 0..1.
        momentum: of SGD, in Nesterov's form.
        weight_decay: of SGD.
        gradient_clip: largest norm of a network's gradient; 0 leaves it alone.
    """

    epochs: int = setting(1, "passes over the training examples", often=True)
    batch_size: int = setting(50, "examples of a training step", often=True)
    learning_rate: float = setting(0.1, "of SGD at its highest", often=True)
    warmup: float = setting(0.15, "share of the steps in which the learning rate rises from 0")
    momentum: float = setting(0.9, "of SGD, in Nesterov's form")
    weight_decay: float = setting(5e-4, "of SGD")
    gradient_clip: float = setting(
        0.0,
        "largest norm of a network's gradient, which recurrent ones want; 0 leaves it alone",
        often=True,
    )

    def __post_init__(self) -> None:
        """Refuse settings that cannot train with ``ValueError``."""
        check_at_least(self, {"epochs": 1, "batch_size": 2})
        check_above_zero(self, "learning_rate", "momentum")
        check_below_one(self, "momentum")
        check_not_negative(self, "weight_decay", "gradient_clip")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup must be 0 to 1, got {self.warmup}")


def build_standalone(space: Space, arch: Arch, seed: int) -> nn.Module:
    """The network of ``arch`` with initial weights of its own seed, in channels-last memory."""
    with seeded(derive_seed(seed, "standalone weights")):
        network = space.standalone(arch)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def build_fleet(space: Space, archs: Sequence[Arch], seeds: Sequence[int]) -> Fleet:
    """The networks of ``archs``, each of its seed, side by side."""
    pairs = zip(archs, seeds, strict=True)
    return Fleet([build_standalone(space, arch, seed) for arch, seed in pairs], archs)


def train_standalone(
    fleet: Fleet,
    examples: TrainingBatches,
    recipe: StandaloneRecipe,
    seeds: Sequence[int],
    task: Task = CLASSIFICATION,
) -> None:
    """Train a fleet in place.

    Args:
        fleet: m networks.
        examples: to train on.
        recipe: how.
        seeds: of each network's order of examples and their augmentation, m of them.
        task: whose loss it is.
    """
    optimizer = torch.optim.SGD(
        fleet.parameters(),
        recipe.learning_rate,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
        foreach=True,
    )
    # Networks of one seed see the same batches.
    distinct = sorted(set(seeds))
    generators = [stream(seed, "standalone batches") for seed in distinct]
    device = next(fleet.parameters()).device
    rows = torch.tensor([distinct.index(seed) for seed in seeds]).to(device)
    num_steps = recipe.epochs * (len(examples) // recipe.batch_size)
    num_warm = max(1, round(recipe.warmup * num_steps))
    step = 0
    fleet.train()
    for _ in range(recipe.epochs):
        state: Tensor | None = None
        passes = [examples.training_batches(recipe.batch_size, one) for one in generators]
        for batches in zip(*passes, strict=True):
            progress = (step - num_warm) / max(1, num_steps - num_warm)
            falling = 0.5 * (1 + math.cos(math.pi * max(0.0, progress)))
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * min(falling, (step + 1) / num_warm)
            x = torch.stack([x for x, _ in batches])[rows]
            y = torch.stack([y for _, y in batches])[rows]
            optimizer.zero_grad()
            outputs, state = outputs_of(task, fleet, x, state)
            # A mean for each network and a sum over them: each gets the gradient of its own loss.
            loss = task.losses(outputs, y).sum()
            for network, targets in zip(fleet.members, y, strict=True):
                loss = with_auxiliary(network, loss, partial(_loss, task, targets))
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.gradient_clip:
                fleet.clip_gradients(recipe.gradient_clip)
            # Gradients end where a batch begins.
            state = None if state is None else state.detach()
            optimizer.step()
            step += 1


def _loss(task: Task, targets: Tensor, outputs: Tensor) -> Tensor:
    """The mean loss of one network."""
    return task.losses(outputs[None], targets[None])[0]


@torch.no_grad()
def standalone_scores(
    fleet: Fleet, batches: Sequence[Batch], task: Task = CLASSIFICATION
) -> list[float]:
    """The task's score of each network, in evaluation mode, over batches that all of them get.

    Running statistics make the size of the batches a matter of speed alone.
    """
    fleet.eval()
    m = len(fleet.archs)
    totals: list[Tensor] = []
    state: Tensor | None = None
    for x, y in batches:
        outputs, state = outputs_of(task, fleet, x.expand(m, *x.shape), state)
        totals.append(task.totals(outputs, y))
    num_targets = sum(y.numel() for _, y in batches)
    scores = task.scores(sum(totals[1:], totals[0]), num_targets)
    found: list[float] = scores[:, 0].tolist()
    return found
