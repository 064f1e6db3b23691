"""From data to a retrained network in one command: ``python -m benchmark.pipeline``.

Trains a supernet, searches it under a limit on multiply-adds and retrains what was found, once for
each seed. Whatever is finished is not repeated. Several searches that are to be compared are a
study: ``python -m benchmark.study``.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
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
from benchmark.config.job import check_used
from benchmark.config.options import (
    add_dataset,
    add_machine,
    add_places,
    add_seeds,
    add_settings,
    given_settings,
    presets_text,
)
from benchmark.config.retrain import RETRAIN_PRESETS, RetrainConfig, config_of_found
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig, search_config
from benchmark.pipeline.stages import (
    RETRAIN,
    SEARCH,
    TRAIN,
    Machine,
    Outcome,
    check_searches,
    has_diverged,
    local_crew,
    succeeded,
)
from benchmark.records.environment import choose_device
from benchmark.records.files import check_writable
from benchmark.retrain.command import outcome_lines as retrained_lines
from benchmark.search.command import APART, outcome_lines
from benchmark.train.setup import Places, places_of
from benchmark.workers.jobs import num_cores

_APART = {*APART, "seed"}


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
    settings = given_settings(given, SearchConfig.known(), _APART)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    searches = [
        search_config(given.preset, given.dataset, settings | {"seed": seed}) for seed in seeds
    ]
    check_used(settings, searches)
    return Request(
        searches,
        places_of(given),
        device,
        given.jobs or (num_cores() if device.type == "cpu" else 1),
        given.checkpoint_seconds,
        given.retrain_preset,
        given.retrain_epochs,
    )


def run(request: Request) -> tuple[list[Outcome], list[Outcome]]:
    """Run everything asked for; returns what searches and retrainings left.

    Args:
        request: what to run.

    Raises:
        UserError: bad input, a damaged file, limits that nothing keeps, a diverged training.
    """
    check_writable(request.places.results)
    searches = list(dict.fromkeys(request.searches))
    what = f"--retrain-preset {request.retrain_preset}"
    retraining = partial(_retraining, request)
    check_searches(searches, request.places, request.device, retraining, what)
    supernets = dict.fromkeys(
        one.training_only() for search in searches for one in search.supernets()
    )
    with local_crew(request.machine) as crew:
        trained = crew.run(TRAIN, list(supernets))
        # A search whose supernet diverged has a record that says so.
        succeeded({one: end for one, end in trained.items() if not has_diverged(end)})
        searched = crew.run(SEARCH, searches)
        found = succeeded(searched)
        work = {
            _retraining(request, read_arch(path / "arch.json")): path for _, path in found.values()
        }
        outcomes = crew.run(RETRAIN, list(work.items()))
        retrained = succeeded(outcomes)
    return [found[one] for one in searches], list(retrained.values())


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
    searches, retrained = run(request)
    for lines in (*starmap(outcome_lines, searches), *starmap(retrained_lines, retrained)):
        for line in lines:
            console.print(Text(line), soft_wrap=True)
    return [record for record, _ in [*searches, *retrained]]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.pipeline",
        description="Train a supernet, search it under a limit on multiply-adds, retrain what was "
        "found. With no option at all: a small MobileNetV2 space, operations and "
        "widths, on the embedded data set.",
        epilog=presets_text(),
    )
    main_group = parser.add_argument_group("what to run")
    add_dataset(main_group, "small")
    add_seeds(main_group, 1, "of each (1)")
    main_group.add_argument(
        "--retrain-preset",
        default="quick",
        help=f"settings of retraining: {', '.join(RETRAIN_PRESETS)} (quick)",
    )
    main_group.add_argument(
        "--retrain-epochs", type=int, metavar="N", help="instead of that preset's"
    )
    search = parser.add_argument_group("search (default: the preset's)")
    add_settings(search, SearchConfig.known(), RunConfig.known())
    add_places(parser)
    machine = parser.add_argument_group("machine")
    add_machine(machine, "at a time (cores; 1 on a GPU)")
    settings = parser.add_argument_group("supernet (default: the preset's)")
    add_settings(settings, RunConfig.known(), _APART)
    return parser
