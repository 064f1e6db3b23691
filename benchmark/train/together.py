"""Several supernets trained by one process, in lockstep: their steps share passes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from benchmark.config.run import RunConfig
from benchmark.train.setup import Places, load_images
from benchmark.train.supernet import trained_supernet
from benchmark.workers.jobs import run_threads
from benchmark.workers.relay import Tell, progress_of
from kshot_core.training.lockstep import AnotherFailedError, Lockstep
from kshot_core.training.steps import run_step


def divided(configs: Sequence[RunConfig], jobs: int) -> list[list[int]]:
    """Numbers of the configs, by what runs together: each by itself, or all in lockstep.

    With several jobs every one of them gets its share of each K.
    """
    numbers = list(range(len(configs)))
    if not all(config.lockstep for config in configs):
        return [[number] for number in numbers]
    jobs = min(jobs, len(numbers))
    return [numbers[first::jobs] for first in range(jobs)]


def train_together(
    configs: Sequence[RunConfig],
    places: Places,
    device: torch.device,
    tell: Tell,
    checkpoint_seconds: float = 30.0,
) -> None:
    """Train the supernets of configs that are not trained yet, in lockstep if there are several.

    Args:
        configs: of different trainings.
        places: where to read and write.
        device: where to compute.
        tell: told of every epoch of each.
        checkpoint_seconds: least time between two checkpoints.

    Raises:
        UserError: bad settings, a damaged file, or a training that diverged.
    """
    lockstep = Lockstep(len(configs))

    def train(member: int) -> None:
        config = configs[member]
        try:
            trained_supernet(
                config,
                load_images(config, places),
                places,
                device,
                progress_of(tell, config.title),
                checkpoint_seconds,
                engine=lockstep.engine(member) if len(configs) > 1 else run_step,
            )
        finally:
            lockstep.leave(member)

    if len(configs) == 1:
        train(0)
    elif configs:
        work = [partial(train, member) for member in range(len(configs))]
        run_threads(work, lockstep.stop, AnotherFailedError)
