"""How the architectures of a search are scored, each by every process's share of the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from benchmark.config.search import SearchConfig
from benchmark.train.supernet import Supernet
from kshot_core.evaluation.scores import score_ensemble, score_one
from kshot_core.search.methods import Scorer
from kshot_core.space import Arch
from kshot_core.tasks.batches import Batch
from kshot_core.tasks.images import CLASSIFICATION
from kshot_core.tasks.task import Task
from kshot_core.training.distributed import Processes
from kshot_core.training.passes import Stop, go_on


class UnfinishedError(Exception):
    """Scoring was stopped after the first few of the architectures asked for.

    Args:
        scores: theirs, in order.
    """

    def __init__(self, scores: list[tuple[float, float]]) -> None:
        super().__init__()
        self.scores = scores


def scorer(
    config: SearchConfig,
    supernets: Sequence[Supernet],
    batches: Sequence[Batch],
    processes: Processes,
    scored: Callable[[int], None],
    task: Task = CLASSIFICATION,
    stop: Stop = go_on,
) -> Scorer:
    """A function from architectures to their merit and loss.

    The merit is the task's score (accuracy in percent), or its negative where lower scores are
    better: what a search takes for accuracy and raises.

    Args:
        config: of the search.
        supernets: one, or the members of an ensemble.
        batches: images and labels, the same for every architecture.
        processes: those that share the work.
        scored: told after each architecture how many of those asked for are done.
        task: what is scored.
        stop: asked whether to stop there after each architecture, of several processes after one
            in each; the function raises ``UnfinishedError`` then. All get the same answer.
    """
    for supernet in supernets:
        supernet.shared.eval()
        supernet.sharing.eval()
    members = [(supernet.shared, supernet.sharing) for supernet in supernets]
    device, precision = batches[0][1].device, config.run.training.precision

    def score(archs: Sequence[Arch]) -> list[tuple[float, float]]:
        scores = torch.zeros(len(archs), 2, dtype=torch.float64, device=device)
        num_done, num_together = 0, processes.part.num
        while num_done < len(archs) and not (num_done and stop()):
            place = num_done + processes.part.rank
            if place < len(archs):
                scores[place] = (
                    score_ensemble(members, archs[place], batches, config.ensemble, precision, task)
                    if config.ensemble
                    else score_one(*members[0], archs[place], batches, precision, task)
                )
            num_done = min(num_done + num_together, len(archs))
            scored(num_done)
        sign = 1 if task.higher_is_better else -1
        found = [(sign * one, loss) for one, loss in processes.total(scores).tolist()]
        if num_done < len(archs):
            raise UnfinishedError(found[:num_done])
        return found

    return score
