"""From data to a retrained network in one command: ``python -m benchmark.pipeline``.

Trains a supernet, searches it under a limit on multiply-adds and retrains what was found, once for
each seed. Whatever is finished is not repeated. Several searches that are to be compared are a
study: ``python -m benchmark.study``.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from benchmark.cli.errors import UserError
from benchmark.cli.parser import Parser, one_of
from benchmark.config.arch_file import FoundArch, read_arch
from benchmark.config.options import add_machine, add_places, add_settings, given_settings
from benchmark.config.presets import PRESETS
from benchmark.config.retrain import RETRAIN_PRESETS, RetrainConfig, config_of_found
from benchmark.config.run import HELP, RunConfig
from benchmark.config.search import SEARCH_HELP, SearchConfig, search_config
from benchmark.datasets import Data
from benchmark.pipeline.stages import OF_IMAGES, Machine, Outcome, retrain, run_stage, search, train
from benchmark.records.environment import choose_device
from benchmark.records.files import check_writable
from benchmark.retrain.command import outcome_lines as retrained_lines
from benchmark.retrain.execute import check_retraining
from benchmark.search.command import APART, outcome_lines
from benchmark.search.execute import searched_space
from benchmark.train.setup import Places, load_images
from benchmark.workers.jobs import num_cores
from benchmark.workers.relay import Relay

_APART = (*APART, "seed")


@dataclass(frozen=True)
class Request:
    """What one command line asks for.

    Args:
        searches: what to run, one for each seed.
        places: where to read and write.
        device: where to compute.
        jobs: pieces of work at a time.
        checkpoint_seconds: least time between two checkpoints of a supernet's training.
        retrain_preset: settings of retraining.
        retrain_epochs: instead of that preset's; None for its own.
    """

    searches: list[SearchConfig]
    places: Places
    device: torch.device
    jobs: int
    checkpoint_seconds: float
    retrain_preset: str
    retrain_epochs: int | None

    @property
    def machine(self) -> Machine:
        """What the work is done with."""
        return Machine(self.places, self.device, self.jobs, self.checkpoint_seconds)


def parse(argv: Sequence[str] | None = None) -> Request:
    """Read the command line.

    Raises:
        UserError: values that cannot work, one clear line.
    """
    given = _parser().parse_args(argv)
    device = choose_device(given.device)
    for option, value in {"--seeds": given.seeds, "--jobs": given.jobs}.items():
        if value is not None and value < 1:
            raise UserError(f"{option} must be at least 1, got {value}")
    one_of("--retrain-preset", given.retrain_preset, RETRAIN_PRESETS)
    run = given_settings(given, RunConfig, _APART)
    search = given_settings(given, SearchConfig, ("run",))
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    return Request(
        [
            search_config(given.preset, given.dataset, run | {"seed": seed}, search)
            for seed in seeds
        ],
        Places(given.results, given.data, given.truth, given.split),
        device,
        given.jobs or (num_cores() if device.type == "cpu" else 1),
        given.checkpoint_seconds,
        given.retrain_preset,
        given.retrain_epochs,
    )


def run(request: Request, tell: Callable[[str], object]) -> tuple[list[Outcome], list[Outcome]]:
    """Run everything asked for; returns what searches and retrainings left.

    Args:
        request: what to run.
        tell: told a line when a piece of work is done.

    Raises:
        UserError: bad input, a damaged file, limits that nothing keeps, a diverged training.
    """
    check_writable(request.places.results)
    searches = list(dict.fromkeys(request.searches))
    _check(request, searches)
    supernets = dict.fromkeys(
        one.training_only() for search in searches for one in search.supernets()
    )
    with Relay(request.jobs) as relay:
        return _work(request, relay, tell, list(supernets), searches)


def _work(
    request: Request,
    relay: Relay,
    tell: Callable[[str], object],
    supernets: list[RunConfig],
    searches: list[SearchConfig],
) -> tuple[list[Outcome], list[Outcome]]:
    """Train, search and retrain what is missing."""
    # Whatever is of one kind can run side by side, and no two pieces write to the same folder.
    every = partial(run_stage, request.machine, relay, tell)
    every("supernet", train, supernets)
    found = every("search", search, searches)
    work = {_retraining(request, read_arch(path / "arch.json")): path for _, path in found}
    return found, every("retraining", retrain, list(work.items()))


def _check(request: Request, searches: list[SearchConfig]) -> None:
    """Say what is wrong with data, limits and retraining before anything is trained."""
    images: dict[tuple[Any, ...], Data] = {}
    largest = []
    for one in searches:
        key = tuple(getattr(one.run, name) for name in OF_IMAGES)
        if key not in images:
            images[key] = load_images(one.run, request.places)
        _, space = searched_space(one, request.places, images[key])
        arch = space.to_string(space.extremes()[1])
        settings = one.run.space_settings()
        found = FoundArch(settings, arch, one.run.dataset, {"config": one.to_dict()})
        largest.append(_retraining(request, found))
    for config in dict.fromkeys(largest):
        try:
            check_retraining(config, request.places, request.device)
        except UserError as error:
            raise UserError(f"--retrain-preset {request.retrain_preset}: {error}") from None


def _retraining(request: Request, found: FoundArch) -> RetrainConfig:
    """The settings with which an architecture is retrained."""
    given: dict[str, Any] = {}
    if request.retrain_epochs is not None:
        given["epochs"] = request.retrain_epochs
    return config_of_found(request.retrain_preset, found, found.dataset, given)


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Run the program; returns the records of searches, then of retrainings."""
    request = parse(argv)
    # One piece of work by itself shows its progress, and needs no process of its own.
    if len(request.searches) == 1:
        request = dataclasses.replace(request, jobs=1)
    console = Console()
    searches, retrained = run(request, lambda line: console.print(Text(line)))
    for lines in (*starmap(outcome_lines, searches), *starmap(retrained_lines, retrained)):
        for line in lines:
            console.print(Text(line), soft_wrap=True)
    return [record for record, _ in [*searches, *retrained]]


def _parser() -> argparse.ArgumentParser:
    presets = (f"{name}: {(f.__doc__ or '').split('.')[0]}" for name, f in PRESETS.items())
    parser = Parser(
        prog="python -m benchmark.pipeline",
        description="Train a supernet, search it under a limit on multiply-adds, retrain what was "
        "found. With no option at all: a small MobileNetV2 space, operations and "
        "widths, on the embedded data set.",
        epilog=f"Presets: {'; '.join(presets)}",
    )
    main_group = parser.add_argument_group("what to run")
    main_group.add_argument("--dataset", default="digits", help=HELP["dataset"] + " (digits)")
    main_group.add_argument("--preset", default="small", help=HELP["preset"] + " (small)")
    main_group.add_argument("--seeds", type=int, default=1, metavar="N", help="of each (1)")
    main_group.add_argument(
        "--first-seed", type=int, default=0, metavar="S", help="number of the first of them (0)"
    )
    main_group.add_argument(
        "--retrain-preset",
        default="quick",
        help=f"settings of retraining: {', '.join(RETRAIN_PRESETS)} (quick)",
    )
    main_group.add_argument(
        "--retrain-epochs", type=int, metavar="N", help="instead of that preset's"
    )
    search = parser.add_argument_group("search (default: the preset's)")
    add_settings(search, SearchConfig, SEARCH_HELP, ("run",))
    add_places(parser)
    machine = parser.add_argument_group("machine")
    machine.add_argument("--jobs", type=int, metavar="N", help="at a time (cores; 1 on a GPU)")
    add_machine(machine)
    settings = parser.add_argument_group("supernet (default: the preset's)")
    add_settings(settings, RunConfig, HELP, _APART)
    return parser
