"""Scores of architectures under shared weights: same examples, same batch-norm policy, for all.

Shapes: A architectures, B examples of a batch, K copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from kshot_core.sharing import Sharing
from kshot_core.space import Arch
from kshot_core.tasks.batches import Batch, ScoringBatches
from kshot_core.tasks.images import CLASSIFICATION
from kshot_core.tasks.task import Task, outputs_of
from kshot_core.training.precision import precise
from kshot_core.weights.bank import KShot
from kshot_core.weights.many import runs_many_paths


@dataclass(frozen=True)
class Scores:
    """What shared weights predict of architectures.

    Args:
        score: float32 (A,), the task's: of images the percent that are classified right.
        loss: float32 (A,), the task's mean loss: of images cross-entropy in nats.
        num_scored: networks that really ran; equal ones run once.
        task: says which way the score is better.
    """

    score: npt.NDArray[np.float32]
    loss: npt.NDArray[np.float32]
    num_scored: int
    task: Task = CLASSIFICATION

    @property
    def merit(self) -> npt.NDArray[np.float32]:
        """The score or, where lower ones are better, its negative (A,)."""
        return self.task.merit(self.score)

    @property
    def ranking(self) -> npt.NDArray[np.int64]:
        """Positions of the architectures (A,), best score first, equal ones as they were given."""
        return np.argsort(-self.merit, kind="stable")


def as_written(arch: Arch) -> Arch:
    """The canonical form where every architecture is a network of its own: the arch itself."""
    return arch


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
    task: Task = CLASSIFICATION,
) -> torch.Tensor:
    """Score and mean loss of one architecture, a tensor (2,) on its device.

    The code is computed for this architecture alone and its weights merged once for all batches,
    so that a score does not depend on which other architectures are asked for. A state that the
    task carries starts afresh, and goes through the batches in their order.
    """
    code = sharing([arch])[0].to(batches[0][0].device, non_blocking=True)
    totals: list[torch.Tensor] = []
    state: torch.Tensor | None = None
    with shared.merged(code) as network:
        for x, y in batches:
            with precise(x.device, precision):
                outputs, state = outputs_of(task, lambda inputs: network(inputs, arch), x, state)
            totals.append(task.totals(outputs[None], y))
    return task.scores(sum(totals[1:], totals[0]), _num_targets(batches))[0]


@torch.no_grad()
def score_ensemble(
    members: Sequence[tuple[KShot, Sharing]],
    arch: Arch,
    batches: Sequence[Batch],
    combine: str,
    precision: str = "float32",
    task: Task = CLASSIFICATION,
) -> torch.Tensor:
    """The task's score and mean loss of one architecture by several banks (appendix D).

    Of tasks whose outputs are logits in their last dimension: what members combine are
    probabilities, of classes or of the next token.

    Args:
        members: banks with the strategies that give their codes.
        arch: the architecture.
        batches: inputs and targets.
        combine: ``"average"`` takes the mean of the members' probabilities, ``"max"`` for each
            target those of the member whose highest one is highest.
        precision: of the forward passes, see ``precise``.
        task: what is scored.

    Returns:
        a tensor (2,) on the inputs' device.

    Raises:
        ValueError: no such way to combine.
    """
    if combine not in ("average", "max"):
        raise ValueError(f'combine is "average" or "max", got {combine!r}')
    # A member merges once for all batches, so that members are the outer loop.
    outputs: list[list[torch.Tensor]] = [[] for _ in batches]
    for shared, sharing in members:
        code = sharing([arch])[0].to(batches[0][0].device, non_blocking=True)
        state: torch.Tensor | None = None
        with shared.merged(code) as network:
            for (x, _), output in zip(batches, outputs, strict=True):
                with precise(x.device, precision):
                    logits, state = outputs_of(task, lambda inputs: network(inputs, arch), x, state)
                output.append(logits.float().log_softmax(-1))
    totals: list[torch.Tensor] = []
    for (_, y), output in zip(batches, outputs, strict=True):
        each = torch.stack(output)  # members, B, ..., classes
        if combine == "average":
            chosen = each.logsumexp(0) - math.log(len(members))
        else:
            surest = each.amax(-1).argmax(0)
            chosen = each.take_along_dim(surest[None, ..., None], 0)[0]
        # Log-probabilities are logits of the same probabilities.
        totals.append(task.totals(chosen[None], y))
    return task.scores(sum(totals[1:], totals[0]), _num_targets(batches))[0]


@torch.no_grad()
def score_several(
    shared: KShot,
    sharing: Sharing,
    archs: Sequence[Arch],
    batches: Sequence[Batch],
    precision: str = "float32",
    task: Task = CLASSIFICATION,
) -> torch.Tensor:
    """Score and loss of several architectures in one pass, (m, 2): ``score_one`` up to rounding.

    Their codes are computed and their weights merged together.
    """
    network = shared.network
    if len(archs) == 1 or task.carries or not runs_many_paths(network):
        each = (score_one(shared, sharing, arch, batches, precision, task) for arch in archs)
        return torch.stack(list(each))
    m = len(archs)
    codes = sharing(archs).to(batches[0][0].device, non_blocking=True)
    weights = shared.merging(codes)
    totals: list[torch.Tensor] = []
    for x, y in batches:
        with precise(x.device, precision):
            outputs = network.forward_many(x.expand(m, *x.shape), archs, weights)
        totals.append(task.totals(outputs, y))
    return task.scores(sum(totals[1:], totals[0]), _num_targets(batches))


def _num_targets(batches: Sequence[Batch]) -> int:
    return sum(y.numel() for _, y in batches)


def iterate_scores(
    shared: KShot,
    sharing: Sharing,
    archs: Sequence[Arch],
    batches: Sequence[Batch],
    num_paths: int = 1,
    precision: str = "float32",
    task: Task = CLASSIFICATION,
) -> Iterator[tuple[float, float]]:
    """Score and loss of one architecture after another, in evaluation mode.

    Args:
        shared: the bank.
        sharing: the strategy that gives the codes.
        archs: A architectures.
        batches: inputs and targets, the same for all.
        num_paths: architectures in one pass. Only at 1 does a score not depend, in its last digits,
            on which others are asked for.
        precision: of the forward passes, see ``precise``.
        task: what is scored.

    Raises:
        FloatingPointError: a loss is not finite. What the argmax of NaN makes of it is no score.
    """
    modes = shared.training, sharing.training
    shared.eval()
    sharing.eval()
    try:
        for start in range(0, len(archs), num_paths):
            chunk = archs[start : start + num_paths]
            scores = score_several(shared, sharing, chunk, batches, precision, task).tolist()
            for arch, (score, loss) in zip(chunk, scores, strict=True):
                if not math.isfinite(loss):
                    raise FloatingPointError(f"the loss of {arch} is {loss}: its training diverged")
                yield score, loss
    finally:
        shared.train(modes[0])
        sharing.train(modes[1])


def predict(
    shared: KShot,
    sharing: Sharing,
    archs: Sequence[Arch],
    examples: ScoringBatches,
    canonical: Callable[[Arch], Arch] = as_written,
    *,
    batch_size: int,
    num_examples: int | None = None,
    precision: str = "float32",
    task: Task = CLASSIFICATION,
) -> Scores:
    """Score every architecture asked for.

    Args:
        shared: the bank.
        sharing: the strategy that gives the codes.
        archs: A architectures.
        examples: what to score them on, the same for all.
        canonical: the space's ``canonical``, so that equal networks run once; where none is given
            only an architecture that is asked for twice does.
        batch_size: examples of a forward pass; under batch statistics part of the result.
        num_examples: how many to use, the first ones; None for all.
        precision: of the forward passes, see ``precise``.
        task: what is scored.
    """
    batches = examples.scoring_batches(batch_size, num_examples)
    unique, positions = work_list(archs, sharing, canonical)
    each = iterate_scores(shared, sharing, unique, batches, precision=precision, task=task)
    scores = np.array(list(each), dtype=np.float32)
    scores = scores.reshape(-1, 2)[positions]
    return Scores(scores[:, 0].copy(), scores[:, 1].copy(), len(unique), task)
