"""Scores of architectures under shared weights: same images, same batch-norm policy, for all.

Shapes: A architectures, B images, K copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from kshot_core.sharing import Sharing
from kshot_core.space import Arch
from kshot_core.tasks.images import Batch, ImageSet
from kshot_core.training.precision import precise
from kshot_core.weights.bank import KShot
from kshot_core.weights.many import runs_many_paths


@dataclass(frozen=True)
class Scores:
    """What shared weights predict of architectures.

    Args:
        accuracy: float32 (A,), percent of the images classified right.
        loss: float32 (A,), mean cross-entropy in nats.
        num_scored: networks that really ran; equal ones run once.
    """

    accuracy: npt.NDArray[np.float32]
    loss: npt.NDArray[np.float32]
    num_scored: int


def work_list(
    archs: Sequence[Arch], sharing: Sharing, canonical: Callable[[Arch], Arch]
) -> tuple[list[Arch], npt.NDArray[np.int64]]:
    """The architectures that must run, and for each one asked for the position of its score.

    Two architectures score the same exactly when their live parts are the same and the code reads
    nothing that differs between them; then one of them runs for both.
    """
    position: dict[Hashable, int] = {}
    unique: list[Arch] = []
    positions = np.empty(len(archs), dtype=np.int64)
    for index, arch in enumerate(archs):
        key = (canonical(arch), sharing.reads(arch))
        if key not in position:
            position[key] = len(unique)
            unique.append(arch)
        positions[index] = position[key]
    return unique, positions


@torch.no_grad()
def score_one(
    shared: KShot,
    sharing: Sharing,
    arch: Arch,
    batches: Sequence[Batch],
    precision: str = "float32",
) -> torch.Tensor:
    """Accuracy (percent) and mean loss of one architecture, a tensor (2,) on its device.

    The code is computed for this architecture alone and its weights merged once for all batches,
    so that a score does not depend on which other architectures are asked for.
    """
    code = sharing([arch])[0].to(batches[0][0].device)
    sums = torch.zeros(2, device=code.device, dtype=torch.float64)
    with shared.merged(code) as network:
        for x, y in batches:
            with precise(x.device, precision):
                logits = network(x, arch)
            sums[0] += (logits.argmax(1) == y).sum()
            sums[1] += F.cross_entropy(logits.float(), y, reduction="sum")
    num_images = sum(len(y) for _, y in batches)
    return sums * sums.new_tensor([100 / num_images, 1 / num_images])


@torch.no_grad()
def score_ensemble(
    members: Sequence[tuple[KShot, Sharing]],
    arch: Arch,
    batches: Sequence[Batch],
    combine: str,
    precision: str = "float32",
) -> torch.Tensor:
    """Accuracy (percent) and mean loss of one architecture by several banks (appendix D).

    Args:
        members: banks with the strategies that give their codes.
        arch: the architecture.
        batches: images and labels.
        combine: ``"average"`` takes the mean of the members' class probabilities, ``"max"`` for
            each image those of the member whose highest one is highest.
        precision: of the forward passes, see ``precise``.

    Returns:
        a tensor (2,) on the images' device.

    Raises:
        ValueError: no such way to combine.
    """
    if combine not in ("average", "max"):
        raise ValueError(f'combine is "average" or "max", got {combine!r}')
    # A member merges once for all batches, so that members are the outer loop.
    outputs: list[list[torch.Tensor]] = [[] for _ in batches]
    for shared, sharing in members:
        code = sharing([arch])[0].to(batches[0][0].device)
        with shared.merged(code) as network:
            for (x, _), output in zip(batches, outputs, strict=True):
                with precise(x.device, precision):
                    logits = network(x, arch)
                output.append(logits.float().log_softmax(1))
    sums = torch.zeros(2, device=batches[0][0].device, dtype=torch.float64)
    for (_, y), output in zip(batches, outputs, strict=True):
        each = torch.stack(output)  # members, B, classes
        if combine == "average":
            chosen = each.logsumexp(0) - math.log(len(members))
        else:
            surest = each.amax(2).argmax(0)
            chosen = each[surest, torch.arange(len(y), device=y.device)]
        sums[0] += (chosen.argmax(1) == y).sum()
        sums[1] += F.nll_loss(chosen, y, reduction="sum")
    num_images = sum(len(y) for _, y in batches)
    return sums * sums.new_tensor([100 / num_images, 1 / num_images])


@torch.no_grad()
def score_several(
    shared: KShot,
    sharing: Sharing,
    archs: Sequence[Arch],
    batches: Sequence[Batch],
    precision: str = "float32",
) -> torch.Tensor:
    """Accuracy and loss of several architectures in one pass, (m, 2): ``score_one`` up to rounding.

    Their codes are computed and their weights merged together.
    """
    network = shared.network
    if len(archs) == 1 or not runs_many_paths(network):
        return torch.stack([score_one(shared, sharing, arch, batches, precision) for arch in archs])
    m = len(archs)
    codes = sharing(archs).to(batches[0][0].device)
    weights = shared.merging(codes)
    sums = torch.zeros(m, 2, device=codes.device, dtype=torch.float64)
    for x, y in batches:
        with precise(x.device, precision):
            logits = network.forward_many(x.expand(m, *x.shape), archs, weights)
        sums[:, 0] += (logits.argmax(2) == y).sum(1)
        losses = F.cross_entropy(logits.float().flatten(0, 1), y.repeat(m), reduction="none")
        sums[:, 1] += losses.view(m, -1).sum(1)
    num_images = sum(len(y) for _, y in batches)
    return sums * sums.new_tensor([100 / num_images, 1 / num_images])


def iterate_scores(
    shared: KShot,
    sharing: Sharing,
    archs: Sequence[Arch],
    batches: Sequence[Batch],
    num_paths: int = 1,
    precision: str = "float32",
) -> Iterator[tuple[float, float]]:
    """Accuracy and loss of one architecture after another, in evaluation mode.

    Args:
        shared: the bank.
        sharing: the strategy that gives the codes.
        archs: A architectures.
        batches: images and labels, the same for all.
        num_paths: architectures in one pass. Only at 1 does a score not depend, in its last digits,
            on which others are asked for.
        precision: of the forward passes, see ``precise``.

    Raises:
        FloatingPointError: a loss is not finite. What the argmax of NaN makes of it is no score.
    """
    modes = shared.training, sharing.training
    shared.eval()
    sharing.eval()
    try:
        for start in range(0, len(archs), num_paths):
            chunk = archs[start : start + num_paths]
            scores = score_several(shared, sharing, chunk, batches, precision).tolist()
            for arch, (accuracy, loss) in zip(chunk, scores, strict=True):
                if not math.isfinite(loss):
                    raise FloatingPointError(f"the loss of {arch} is {loss}: its training diverged")
                yield accuracy, loss
    finally:
        shared.train(modes[0])
        sharing.train(modes[1])


def predict(
    shared: KShot,
    sharing: Sharing,
    archs: Sequence[Arch],
    images: ImageSet,
    canonical: Callable[[Arch], Arch],
    *,
    batch_size: int,
    num_images: int | None = None,
    precision: str = "float32",
) -> Scores:
    """Score every architecture asked for.

    Args:
        shared: the bank.
        sharing: the strategy that gives the codes.
        archs: A architectures.
        images: the images to classify, the same for all.
        canonical: the space's ``canonical``; equal networks run once.
        batch_size: images of a forward pass; under batch statistics part of the result.
        num_images: how many of the images to use, the first ones; None for all.
        precision: of the forward passes, see ``precise``.
    """
    batches = images.scoring_batches(batch_size, num_images)
    unique, positions = work_list(archs, sharing, canonical)
    each = iterate_scores(shared, sharing, unique, batches, precision=precision)
    scores = np.array(list(each), dtype=np.float32)
    scores = scores.reshape(-1, 2)[positions]
    return Scores(scores[:, 0].copy(), scores[:, 1].copy(), len(unique))
