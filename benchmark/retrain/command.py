"""Train a found architecture from scratch: ``python -m benchmark.retrain --arch arch.json``.

A retraining that was stopped goes on after its last epoch, a finished one is not repeated. Ends
with the accuracy on test images, the weights as safetensors and the network as ONNX. ``torchrun``
shares each batch among processes.
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

from benchmark.cli.errors import UserError
from benchmark.cli.parser import Parser
from benchmark.cli.progress import Bars, progress_bars
from benchmark.cli.text import is_file, read_path
from benchmark.config.arch_file import read_arch
from benchmark.config.job import check_used
from benchmark.config.options import (
    add_results,
    add_settings,
    given_settings,
    help_of,
    presets_text,
)
from benchmark.config.retrain import (
    RETRAIN_PRESETS,
    RetrainConfig,
    config_of_found,
    config_of_text,
)
from benchmark.config.values import flag
from benchmark.records.environment import choose_device
from benchmark.records.files import check_writable
from benchmark.retrain.execute import retrain_one
from benchmark.train.setup import Places, places_of
from benchmark.workers.torchrun import processes as join

_APART = {"arch", "dataset", "preset"}


@dataclass(frozen=True)
class Request:
    """What one command line asks for.

    Args:
        config: what to train.
        search: where the architecture comes from; None where it was given as text.
        places: where to read and write.
        device: where to compute.
    """

    config: RetrainConfig
    search: dict[str, Any] | None
    places: Places
    device: torch.device


def parse(argv: Sequence[str] | None = None) -> Request:
    """Read the command line: a preset, overridden by whatever option is given.

    Raises:
        UserError: values that cannot work, one clear line.
    """
    given = _parser().parse_args(argv)
    if given.arch is None:
        raise UserError("--arch is missing: give a search's arch.json, or an architecture's text")
    known = RetrainConfig.known()
    space = RetrainConfig.space.known()
    structure = given_settings(given, space)
    settings = given_settings(given, known, _APART | space.keys())
    search = None
    if is_file(given.arch):
        found = read_arch(read_path(given.arch))
        if structure:
            raise UserError(
                f"{given.arch} says which space it is of; leave out "
                f"{', '.join(map(flag, structure))}"
            )
        config = config_of_found(given.preset, found, given.dataset or found.dataset, settings)
        search = found.search
    else:
        dataset = given.dataset or RetrainConfig.dataset.name
        config = config_of_text(given.preset, given.arch, dataset, structure | settings)
    check_used({**structure, **settings}, [config])
    return Request(config, search, places_of(given), choose_device(given.device))


def retrain(request: Request) -> tuple[dict[str, Any], Path]:
    """Do what a command line asks for; returns the record and its folder.

    Raises:
        UserError: bad input, a damaged file, or a training that diverged.
    """
    config, places = request.config, request.places
    with join(request.device) as (processes, device):
        if processes.is_first:
            check_writable(places.results)
        with Bars() if processes.is_first else nullcontext() as bars:
            progress = progress_bars(bars, config.title) if bars else _silent
            record, path = retrain_one(config, request.search, places, device, progress, processes)
        if processes.is_first:
            for line in outcome_lines(record, path):
                Console().print(Text(line), soft_wrap=True)
    return record, path


def outcome_lines(record: dict[str, Any], path: Path) -> list[str]:
    """What a retraining reached, for a terminal."""
    kept = "weights, ONNX, record"
    cost = f"{record['params'] / 1e6:.4g} M parameters"
    if record["flops"] is not None:
        cost = f"{record['flops'] / 1e6:.4g} M multiply-adds, {cost}"
    if not all((path / name).exists() for name in ("weights.safetensors", "model.onnx")):
        kept = "record (weights and ONNX are gone: delete the folder to train again)"
    return [
        (
            f"{record['top1']:.2f} % top-1, {record['top5']:.2f} % top-5 on "
            f"{record['num_test_images']} test images (last weights, not averaged: "
            f"{record['top1_raw']:.2f} and {record['top5_raw']:.2f} %)"
        ),
        cost,
        f"{kept}: {path}/",
    ]


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run the program; returns the record."""
    record, _ = retrain(parse(argv))
    return record


def _silent(stage: str, done: int, total: int) -> None:
    pass


def _parser() -> argparse.ArgumentParser:
    known, space = RetrainConfig.known(), RetrainConfig.space.known()
    parser = Parser(
        prog="python -m benchmark.retrain",
        description="Train a found architecture from scratch, judge it by the test images, and "
        "export its weights and its ONNX graph.",
        epilog=presets_text(RETRAIN_PRESETS),
    )
    main_group = parser.add_argument_group("what to train")
    main_group.add_argument("--arch", metavar="FILE|TEXT", help=help_of(known, "arch"))
    main_group.add_argument("--dataset", help=help_of(known, "dataset") + " (the search's)")
    main_group.add_argument("--preset", default="quick", help=help_of(known, "preset") + " (quick)")
    add_results(parser.add_argument_group("places"))
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, auto (auto)")
    structure = parser.add_argument_group("the space of an architecture given as text")
    add_settings(structure, space)
    settings = parser.add_argument_group("settings (default: the preset's)")
    add_settings(settings, known, _APART | space.keys())
    return parser
