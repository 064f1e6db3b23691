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

from kshot_core.retraining.auxiliary import with_auxiliary
from kshot_core.retraining.fleet import Fleet
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

    epochs: int = 1
    batch_size: int = 50
    learning_rate: float = 0.1
    warmup: float = 0.15
    momentum: float = 0.9
    weight_decay: float = 5e-4
    gradient_clip: float = 0.0


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
