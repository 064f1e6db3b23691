"""Make a truth table: train architectures alone, ``python -m benchmark.standalone``.

Every result is added to a file beside the table as soon as it is there, so a stopped run goes on
where it was. The table has the same format as any other.
"""

from __future__ import annotations

import dataclasses
import json
import random
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmark.cli.errors import UserError
from benchmark.cli.parser import Parser
from benchmark.cli.progress import Bars
from benchmark.datasets import DATASETS, DataRequest, load_splits
from benchmark.records import environment
from benchmark.records.files import write_json
from benchmark.truth.table import TruthTable
from benchmark.workers.jobs import num_cores, run_all
from kshot_core.retraining.standalone import (
    StandaloneRecipe,
    accuracies,
    build_fleet,
    train_standalone,
)
from kshot_core.space import Arch
from kshot_core.spaces import NASBench201
from kshot_core.tasks.batches import TrainingBatches
from kshot_core.tasks.images import ImageSet

_CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True)
class StandaloneConfig:
    """Everything that decides a truth table.

    Args:
        dataset: images to train and validate on.
        num_archs: architectures, drawn uniformly from those with a path.
        num_seeds: trainings of each, seeds 0, 1, ...
        channels: width of the first stage.
        cells: cells a stage.
        fleet: trainings side by side in one process. A matter of speed, and of rounding.
        recipe: how each is trained.
    """

    dataset: str = "digits"
    num_archs: int = 300
    num_seeds: int = 2
    channels: int = 8
    cells: int = 1
    fleet: int = 16
    recipe: StandaloneRecipe = StandaloneRecipe()


def draw_archs(num: int) -> list[Arch]:
    """``num`` architectures with a path, uniform without replacement, always the same ones.

    A longer list begins with the shorter ones, so a table can be added to.
    """
    space = NASBench201()
    valid = [arch for arch in space.archs() if space.is_valid(arch)]
    if not 2 <= num <= len(valid):
        raise UserError(f"--archs must be 2..{len(valid)}, got {num}")
    random.Random(0).shuffle(valid)
    return valid[:num]


@cache
def _images(
    dataset: str, data: Path | None, device: torch.device
) -> tuple[NASBench201, TrainingBatches, ImageSet]:
    """Space with the images' sizes, training images, validation images; once per process."""
    splits = load_splits(dataset, DataRequest(folder=data))
    space = NASBench201(
        num_classes=splits.num_classes,
        image_size=splits.image_size,
        image_channels=splits.image_channels,
        batch_norm="running",
        affine=True,
    )
    return space, splits.training(device), splits.validation(device)


def train_fleet(
    config: StandaloneConfig,
    data: Path | None,
    device: torch.device,
    work: Sequence[tuple[Arch, int]],
) -> list[dict[str, Any]]:
    """Train architectures, each with its seed; returns their lines of the results file."""
    archs, seeds = [arch for arch, _ in work], [seed for _, seed in work]
    started = time.perf_counter()
    space, training, validation = _images(config.dataset, data, device)
    space = dataclasses.replace(space, channels=config.channels, cells=config.cells)
    fleet = build_fleet(space, archs, seeds).to(device)
    train_standalone(fleet, training, config.recipe, seeds)
    scores = accuracies(fleet, validation)
    seconds = round((time.perf_counter() - started) / len(work), 2)
    return [
        {
            "arch": space.to_string(arch),
            "seed": seed,
            "accuracy": round(score, 4),
            "seconds": seconds,
        }
        for (arch, seed), score in zip(work, scores, strict=True)
    ]


def make_truth(
    config: StandaloneConfig,
    to: Path,
    jobs: int,
    data: Path | None = None,
    device: torch.device = _CPU,
) -> TruthTable:
    """Train what is not trained yet and write the table and the account of how it was made.

    Args:
        config: what to train.
        to: the table's file; results gather in ``<to>.partial.jsonl`` until it is complete.
        jobs: processes.
        data: folder of images, for data sets that need one.
        device: where to train.

    Raises:
        UserError: results of another config lie in the same place, or they are damaged.
    """
    partial_path = to.with_name(to.name + ".partial.jsonl")
    results = _load_partial(partial_path, config)
    work = [
        (arch, seed) for arch in draw_archs(config.num_archs) for seed in range(config.num_seeds)
    ]
    # The fleets are always the same ones, so that a stopped and resumed table has the same bytes.
    fleets = [work[start : start + config.fleet] for start in range(0, len(work), config.fleet)]
    to_string = NASBench201().to_string
    todo = [
        fleet
        for fleet in fleets
        if any((to_string(arch), seed) not in results for arch, seed in fleet)
    ]
    # Once here, so that a download happens once, and fails early.
    _images(config.dataset, data, device)
    with Bars() as bars, partial_path.open("a", encoding="utf-8") as file:
        show = bars.add(f"{config.dataset} alone", len(work))
        show(len(work) - sum(map(len, todo)))
        for _, done in run_all(partial(train_fleet, config, data, device), todo, jobs):
            for result in done:
                results[result["arch"], result["seed"]] = result
                file.write(json.dumps(result, sort_keys=True) + "\n")
            file.flush()
            show(len(results))
    table = _table(config, results, to)
    table.save(to)
    account = {
        "config": dataclasses.asdict(config),
        "environment": environment.describe(device),
        "data": load_splits(config.dataset, DataRequest(folder=data)).description,
        "core_seconds": round(sum(result["seconds"] for result in results.values())),
    }
    write_json(to.with_suffix(".json"), account)
    partial_path.unlink()
    return table


def _load_partial(path: Path, config: StandaloneConfig) -> dict[tuple[str, int], dict[str, Any]]:
    """Results so far. The first line of the file is the config they belong to."""
    head = json.dumps(dataclasses.asdict(config), sort_keys=True)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head + "\n", encoding="utf-8")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another --to") from None
    lines = text.splitlines()
    if lines[:1] != [head]:
        raise UserError(f"{path} holds results of another config; move it away or change --to")
    if not text.endswith("\n"):
        # The process was stopped while writing the last line: that one is trained again.
        lines.pop()
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    results = [json.loads(line) for line in lines[1:]]
    return {(result["arch"], result["seed"]): result for result in results}


def _table(
    config: StandaloneConfig, results: dict[tuple[str, int], dict[str, Any]], path: Path
) -> TruthTable:
    name = f"{config.dataset}/valid/{config.recipe.epochs}ep"
    archs = [NASBench201().to_string(arch) for arch in draw_archs(config.num_archs)]
    frame = pd.DataFrame(
        {
            f"{name}/seed{seed}": [results[arch, seed]["accuracy"] for arch in archs]
            for seed in range(config.num_seeds)
        },
        index=pd.Index(archs, name="arch"),
    )
    frame.insert(0, f"{name}/mean", frame.mean(axis=1).round(4))
    return TruthTable(path, frame)


def main(argv: Sequence[str] | None = None) -> TruthTable:
    """Run the program; returns the table made."""
    recipe, defaults = StandaloneRecipe(), StandaloneConfig()
    parser = Parser(
        prog="python -m benchmark.standalone",
        description="Train architectures alone and write a truth table. A stopped run goes on.",
    )
    parser.add_argument(
        "--dataset", default="digits", help=f"one of {', '.join(DATASETS)} (%(default)s)"
    )
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="table to write")
    parser.add_argument(
        "--archs", type=int, default=defaults.num_archs, help="architectures (%(default)s)"
    )
    parser.add_argument(
        "--seeds", type=int, default=defaults.num_seeds, help="trainings of each (%(default)s)"
    )
    parser.add_argument(
        "--channels", type=int, default=defaults.channels, help="first width (%(default)s)"
    )
    parser.add_argument(
        "--cells", type=int, default=defaults.cells, help="cells a stage (%(default)s)"
    )
    parser.add_argument(
        "--epochs", type=int, default=recipe.epochs, help="passes over the images (%(default)s)"
    )
    parser.add_argument(
        "--batch-size", type=int, default=recipe.batch_size, help="images a step (%(default)s)"
    )
    parser.add_argument(
        "--learning-rate", type=float, default=recipe.learning_rate, help="of SGD (%(default)s)"
    )
    parser.add_argument(
        "--fleet",
        type=int,
        default=defaults.fleet,
        help="trainings side by side in a process; a GPU takes hundreds (%(default)s)",
    )
    parser.add_argument("--jobs", type=int, help="processes (one a core; one on a GPU)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, auto (auto)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of images")
    given = parser.parse_args(argv)
    least = {"seeds": 1, "channels": 1, "cells": 1, "epochs": 1, "batch_size": 2, "fleet": 1}
    for name, smallest in least.items():
        if getattr(given, name) < smallest:
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} must be at least {smallest}, got {getattr(given, name)}")
    if given.jobs is not None and given.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {given.jobs}")
    if given.to.exists():
        raise UserError(f"{given.to} exists already; move it away or choose another --to")
    config = StandaloneConfig(
        dataset=given.dataset,
        num_archs=given.archs,
        num_seeds=given.seeds,
        channels=given.channels,
        cells=given.cells,
        fleet=given.fleet,
        recipe=dataclasses.replace(
            recipe,
            epochs=given.epochs,
            batch_size=given.batch_size,
            learning_rate=given.learning_rate,
        ),
    )
    device = environment.choose_device(given.device)
    jobs = given.jobs or (num_cores() if device.type == "cpu" else 1)
    table = make_truth(config, given.to, jobs, given.data, device)
    print(f"{given.to}: {config.num_archs} architectures, {config.num_seeds} seeds each")
    return table
