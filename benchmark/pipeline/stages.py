"""The stages from images to a retrained network, each over several pieces of work side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from benchmark.cli.errors import UserError
from benchmark.config.arch_file import FoundArch, read_arch
from benchmark.config.retrain import RetrainConfig
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig
from benchmark.datasets import Data
from benchmark.retrain.execute import check_retraining, retrain_one
from benchmark.search.execute import search_one, searched_space
from benchmark.train.setup import Places, load_images
from benchmark.train.supernet import trained_supernet
from benchmark.workers.jobs import run_all
from benchmark.workers.relay import Relay, Tell, progress_of

Work = TypeVar("Work")
Result = TypeVar("Result")
Outcome = tuple[dict[str, Any], Path]
"""A record and its folder."""


def of_images(config: RunConfig) -> tuple[Any, ...]:
    """The settings that decide which images a run loads, and whether they are enough."""
    return config.dataset, config.scoring.score_images, config.training.batch_size


@dataclass(frozen=True)
class Machine:
    """What work is done with.

    Args:
        places: where to read and write.
        device: where to compute.
        jobs: pieces of work at a time.
        checkpoint_seconds: least time between two checkpoints of a training.
    """

    places: Places
    device: torch.device
    jobs: int
    checkpoint_seconds: float


def run_stage(
    machine: Machine,
    relay: Relay,
    tell: Callable[[str], object],
    what: str,
    function: Callable[[Machine, Tell, Work], Result],
    work: Sequence[Work],
) -> list[Result]:
    """Do pieces of work of one kind side by side, in ``machine.jobs`` processes.

    Args:
        machine: what to do it with.
        relay: shows the progress.
        tell: told a line when a piece is done.
        what: the pieces are, for that line.
        function: does one piece; no two may write to the same folder.
        work: the pieces.

    Returns:
        what ``function`` returned, in the order of ``work``.
    """
    results: dict[int, Result] = {}
    task = partial(function, machine, relay.tell(len(work)))
    for position, result in run_all(task, work, machine.jobs, relay.drain):
        relay.drain()
        results[position] = result
        tell(f"{what} {len(results)} of {len(work)}")
    return [results[position] for position in range(len(work))]


def check_searches(
    machine: Machine,
    searches: Sequence[SearchConfig],
    retraining: Callable[[FoundArch], RetrainConfig] | None,
    what: str = "retraining",
) -> None:
    """Say what is wrong with data, limits and retraining before anything is trained.

    Args:
        machine: what searches and retrainings will be done with.
        searches: what is to be searched.
        retraining: how what is found will be trained by itself; None where it will not.
        what: where the settings of retraining come from, for a message.

    Raises:
        UserError: bad input, limits that nothing keeps, or a package that is missing.
    """
    images: dict[tuple[Any, ...], Data] = {}
    largest: dict[RetrainConfig, None] = {}
    for one in searches:
        key = of_images(one.run)
        if key not in images:
            images[key] = load_images(one.run, machine.places)
        _, space = searched_space(one, machine.places, images[key])
        if retraining is not None:
            arch = space.to_string(space.extremes()[1])
            found = FoundArch(one.run.space, arch, one.run.dataset.name, {"config": one.to_dict()})
            largest[retraining(found)] = None
    for config in largest:
        try:
            check_retraining(config, machine.places, machine.device)
        except UserError as error:
            raise UserError(f"{what}: {error}") from None


def train(machine: Machine, tell: Tell, config: RunConfig) -> None:
    """Train a supernet, if there is none yet."""
    trained_supernet(
        config,
        load_images(config, machine.places),
        machine.places,
        machine.device,
        # Supernets of one command may have the same title.
        progress_of(tell, f"{config.title} ({config.run_id()})"),
        machine.checkpoint_seconds,
    )


def search(machine: Machine, tell: Tell, config: SearchConfig) -> Outcome:
    """Search with the supernets that were trained."""
    progress = progress_of(tell, f"{config.title} ({config.run_id()})")
    return search_one(config, machine.places, machine.device, progress, machine.checkpoint_seconds)


def retrain(machine: Machine, tell: Tell, work: tuple[RetrainConfig, Path]) -> Outcome:
    """Train by itself what the search in a folder found."""
    config, folder = work
    progress = progress_of(tell, f"{config.title} ({config.run_id()})")
    found = read_arch(folder / "arch.json")
    return retrain_one(config, found.search, machine.places, machine.device, progress)
