"""Train a found architecture from scratch: ``python -m benchmark.retrain --arch arch.json``.

A retraining that was stopped goes on after its last epoch, a finished one is not repeated. Ends
with the accuracy on test images, the weights as safetensors and the network as ONNX. ``torchrun``
shares each batch among processes.
"""

from __future__ import annotations

import argparse
import dataclasses
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
from benchmark.config.options import add_settings, given_settings
from benchmark.config.retrain import (
    RETRAIN_HELP,
    RETRAIN_PRESETS,
    STRUCTURE,
    RetrainConfig,
    config_of_found,
    config_of_text,
)
from benchmark.config.run import flag
from benchmark.records.environment import choose_device
from benchmark.records.files import check_writable
from benchmark.retrain.execute import retrain_one
from benchmark.train.setup import Places
from benchmark.workers.torchrun import processes as join

_APART = ("arch", "dataset", "preset", *STRUCTURE)


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
    structure = {name: value for name in STRUCTURE if (value := getattr(given, name)) is not None}
    settings = given_settings(given, RetrainConfig, _APART)
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
        dataset = given.dataset or RetrainConfig.dataset
        config = config_of_text(given.preset, given.arch, dataset, structure | settings)
    return Request(config, search, Places(given.results, given.data), choose_device(given.device))


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
            title = f"{config.dataset} {config.space} seed {config.seed}"
            progress = progress_bars(bars, title) if bars else _silent
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
    names = (f"{name}: {(f.__doc__ or '').split('.')[0]}" for name, f in RETRAIN_PRESETS.items())
    parser = Parser(
        prog="python -m benchmark.retrain",
        description="Train a found architecture from scratch, judge it by the test images, and "
        "export its weights and its ONNX graph.",
        epilog="Presets: " + "; ".join(names),
    )
    main_group = parser.add_argument_group("what to train")
    main_group.add_argument("--arch", metavar="FILE|TEXT", help=RETRAIN_HELP["arch"])
    main_group.add_argument("--dataset", help=RETRAIN_HELP["dataset"] + " (the search's)")
    main_group.add_argument("--preset", default="quick", help=RETRAIN_HELP["preset"] + " (quick)")
    places = parser.add_argument_group("places")
    places.add_argument("--data", type=Path, metavar="DIR", help="folder of the images")
    places.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="output (results)"
    )
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, auto (auto)")
    structure = parser.add_argument_group("the space of an architecture given as text")
    rest = [field.name for field in dataclasses.fields(RetrainConfig)]
    rest = [name for name in rest if name not in STRUCTURE]
    add_settings(structure, RetrainConfig, RETRAIN_HELP, rest)
    settings = parser.add_argument_group("settings (default: the preset's)")
    add_settings(settings, RetrainConfig, RETRAIN_HELP, _APART)
    return parser
