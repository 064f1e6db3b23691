"""Search for the best architecture under hard limits: ``python -m benchmark.search``.

Trains the supernet that its options describe, unless that one is there already, and searches it by
NSGA-II (paper section 3, appendix B). A search that was stopped goes on after the last architecture
scored, one that was killed after its last generation; a finished one is not repeated. ``torchrun``
shares training and scoring among processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from benchmark.cli.parser import Parser
from benchmark.cli.progress import Bars, progress_bars
from benchmark.config.job import check_used
from benchmark.config.options import (
    add_dataset,
    add_machine,
    add_places,
    add_settings,
    given_settings,
    presets_text,
)
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig, search_config
from benchmark.records.environment import choose_device
from benchmark.records.files import check_writable
from benchmark.search.execute import search_one
from benchmark.train.setup import Places, places_of
from benchmark.workers.torchrun import processes as join

APART = {
    "preset", "dataset", "track_every", "track_archs", "gradient_archs", "archs", "lockstep",
    "score_paths",
}  # fmt: skip
"""Settings of a search's supernet that a search does nothing with, or asks for apart."""


@dataclass(frozen=True)
class Request:
    """What one command line asks for.

    Args:
        config: of the search and its supernet.
        places: where to read and write.
        device: where to compute.
        checkpoint_seconds: least time between two checkpoints of the supernet's training.
    """

    config: SearchConfig
    places: Places
    device: torch.device
    checkpoint_seconds: float


def parse(argv: Sequence[str] | None = None) -> Request:
    """Read the command line: a preset, overridden by whatever option is given.

    Raises:
        UserError: values that cannot work, one clear line.
    """
    given = _parser().parse_args(argv)
    places = places_of(given)
    settings = given_settings(given, SearchConfig.known(), APART)
    config = search_config(given.preset, given.dataset, settings)
    check_used(settings, [config])
    return Request(config, places, choose_device(given.device), given.checkpoint_seconds)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the program; returns the record."""
    request = parse(argv)
    config, places = request.config, request.places
    with join(request.device) as (processes, device):
        if processes.is_first:
            check_writable(places.results)
        with Bars() if processes.is_first else nullcontext() as bars:
            title = config.title
            progress = progress_bars(bars, title) if bars else _silent
            record, path = search_one(
                config, places, device, progress, request.checkpoint_seconds, processes
            )
        if processes.is_first:
            console = Console()
            for line in outcome_lines(record, path):
                console.print(Text(line))
    return record


def outcome_lines(record: dict[str, Any], path: Path) -> list[str]:
    """What a search found, for a terminal."""
    found, optimum = record["best"], record["optimum"]
    lines = [
        f"found, of {record['num_scored']} architectures scored: {found['arch']}",
        (
            f"{found['accuracy']:.2f} % on held-out images with shared weights, "
            f"{found['flops'] / 1e6:.4g} M multiply-adds, {found['params'] / 1e6:.4g} M parameters"
        ),
    ]
    if found["true"] is not None and optimum is not None:
        lines.append(
            f"stand-alone accuracy {found['true']:.2f} %, the best there is {optimum['true']:.2f} %"
        )
    return [*lines, f"search: {path}/"]


def _silent(stage: str, done: int, total: int) -> None:
    pass


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.search",
        description="Search for the most accurate architecture under limits on multiply-adds and "
        "parameters, with the weights of a K-shot supernet that is trained first. With no option "
        "at all: a small MobileNetV2 space, operations and widths, on the embedded data set.",
        epilog=presets_text(),
    )
    main_group = parser.add_argument_group("what to search")
    add_dataset(main_group, "small")
    limits = parser.add_argument_group("search (default: the preset's)")
    add_settings(limits, SearchConfig.known(), RunConfig.known())
    add_places(parser)
    add_machine(parser.add_argument_group("machine"))
    settings = parser.add_argument_group("supernet (default: the preset's)")
    add_settings(settings, RunConfig.known(), APART)
    return parser
