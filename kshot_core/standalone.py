"""Training one architecture alone: where the truth about it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from kshot_core.data import ImageSet
from kshot_core.space import Arch, Space
from kshot_core.streams import derive_seed, seeded, stream


@dataclass(frozen=True)
class StandaloneRecipe:
    """How an architecture is trained alone.

    Args:
        epochs: passes over the training images.
        batch_size: images of a step.
        learning_rate: of SGD at its highest; rises linearly over the first ``warmup`` share of
            the steps and falls to zero along a cosine.
        warmup: share of the steps that warm up, 0..1.
        momentum: of SGD, in Nesterov's form.
        weight_decay: of SGD.
    """

    epochs: int = 1
    batch_size: int = 50
    learning_rate: float = 0.1
    warmup: float = 0.15
    momentum: float = 0.9
    weight_decay: float = 5e-4


def build_standalone(space: Space, arch: Arch, seed: int) -> nn.Module:
    """The network of ``arch`` with initial weights of its own seed, in channels-last memory."""
    with seeded(derive_seed(seed, "standalone weights")):
        network = space.standalone(arch)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def train_standalone(
    network: nn.Module, images: ImageSet, recipe: StandaloneRecipe, seed: int
) -> None:
    """Train a network in place. The seed orders the images and draws their augmentation."""
    optimizer = torch.optim.SGD(
        network.parameters(),
        recipe.learning_rate,
        recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
        foreach=True,
    )
    generator = stream(seed, "standalone batches")
    num_steps = recipe.epochs * (len(images) // recipe.batch_size)
    num_warm = max(1, round(recipe.warmup * num_steps))
    step = 0
    network.train()
    for _ in range(recipe.epochs):
        for x, y in images.training_batches(recipe.batch_size, generator):
            progress = (step - num_warm) / max(1, num_steps - num_warm)
            falling = 0.5 * (1 + math.cos(math.pi * max(0.0, progress)))
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * min(falling, (step + 1) / num_warm)
            optimizer.zero_grad()
            F.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1


@torch.no_grad()
def accuracy(network: nn.Module, images: ImageSet, batch_size: int = 500) -> float:
    """Percent of the images that the network, in evaluation mode, classifies right."""
    network.eval()
    right = num = 0
    for x, y in images.scoring_batches(batch_size):
        right += int((network(x).argmax(1) == y).sum())
        num += len(y)
    return 100 * right / num
