"""Make a truth table: train architectures alone, ``python -m benchmark.standalone``.

Every result is added to a file beside the table as soon as it is there, so a stopped run goes on
where it was. The table has the same format as any other.
"""

from __future__ import annotations

import dataclasses
import json
import math
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
from benchmark.config.choice import Known
from benchmark.config.options import add_settings, given_settings
from benchmark.config.space import StandaloneSpace
from benchmark.config.values import flagged
from benchmark.datasets import DATASETS, DataRequest, load_splits
from benchmark.records import environment
from benchmark.records.files import write_json
from benchmark.truth.table import TruthTable
from benchmark.workers.jobs import num_cores, run_all
from kshot_core.checks import check_at_least
from kshot_core.retraining.standalone import (
    StandaloneRecipe,
    build_fleet,
    standalone_scores,
    train_standalone,
)
from kshot_core.settings import setting, settings_of
from kshot_core.space import Arch, Listable, Space, listing
from kshot_core.spaces import NASBench201
from kshot_core.tasks import task_of
from kshot_core.tasks.batches import ScoringBatches, TrainingBatches
from kshot_core.tasks.images import ImageSet

_CPU = torch.device("cpu")
_SCORED_TOGETHER = 500
"""Images of a pass at scoring, of all networks of a fleet together."""
_MOST_LISTED = 100_000
"""Architectures of a space without an order that is listed; of a larger one some are drawn."""
_SPACE = StandaloneSpace("nasbench201", channels=8, cells=1)


@dataclasses.dataclass(frozen=True)
class StandaloneConfig:
    """Everything that decides a truth table.

    Args:
        dataset: what to train and validate on.
        num_archs: architectures, drawn uniformly from those with a path.
        num_seeds: trainings of each, seeds 0, 1, ...
        space: of the architectures; networks trained alone keep running averages.
        fleet: trainings side by side in one process. A matter of speed, and of rounding.
        recipe: how each is trained.
        train_images: examples of an epoch, the first ones; 0 for all.
        score_images: examples to validate on, the first ones; 0 for all.
    """

    dataset: str = "digits"
    num_archs: int = 300
    num_seeds: int = 2
    space: StandaloneSpace = _SPACE
    fleet: int = setting(
        16, "trainings side by side in a process; a GPU takes hundreds", often=True
    )
    recipe: StandaloneRecipe = StandaloneRecipe()
    train_images: int = setting(0, "examples of an epoch, the first ones; 0 for all", often=True)
    score_images: int = setting(0, "examples to validate on, the first ones; 0 for all", often=True)

    def __post_init__(self) -> None:
        """Refuse impossible numbers with ``ValueError``."""
        check_at_least(self, {"num_seeds": 1, "fleet": 1, "train_images": 0, "score_images": 0})

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {**dataclasses.asdict(self), "space": self.space.to_dict()}

    @classmethod
    def read(cls, text: str) -> object:
        """The settings in JSON text as this version writes them; None where it holds none."""
        try:
            values = {"train_images": 0, "score_images": 0, **json.loads(text)}
            return {**values, "space": StandaloneSpace.from_dict(values["space"]).to_dict()}
        except (ValueError, TypeError, KeyError, AttributeError, UserError):
            return None


def _space(given: dict[str, Any]) -> StandaloneSpace:
    """The space asked for; the narrow NAS-Bench-201 is the default one's alone."""
    name = given.pop("space", _SPACE.name)
    return _SPACE.changed(**given) if name == _SPACE.name else StandaloneSpace(name, **given)


def draw_archs(num: int, space: Space | None = None) -> list[Arch]:
    """``num`` architectures with a path, uniform without replacement, always the same ones.

    A longer list begins with the shorter ones, so a table can be added to.

    Args:
        num: how many, at least 2.
        space: where from; NASBench201() if it is None.

    Raises:
        UserError: fewer than 2, or more than there are.
    """
    space = space or NASBench201()
    everything = space.archs() if isinstance(space, Listable) else listing(space, _MOST_LISTED)
    if everything is None:
        return _drawn(num, space)
    valid = [arch for arch in everything if space.is_valid(arch)]
    if not 2 <= num <= len(valid):
        raise UserError(f"--archs must be 2..{len(valid)}, got {num}")
    random.Random(0).shuffle(valid)
    return valid[:num]


def _drawn(num: int, space: Space) -> list[Arch]:
    """Architectures of a space too large to list, each once."""
    if not 2 <= num <= _MOST_LISTED:
        raise UserError(f"--archs must be 2..{_MOST_LISTED}, got {num}")
    generator = random.Random(0)
    found: dict[Arch, None] = {}
    while len(found) < num:
        if space.is_valid(arch := space.sample(generator)):
            found[arch] = None
    return list(found)


@cache
def _examples(
    dataset: str, data: Path | None, device: torch.device, settings: StandaloneSpace, num: int
) -> tuple[Space, TrainingBatches, ScoringBatches]:
    """Space with the examples' sizes, training and validation examples; once per process."""
    splits = load_splits(dataset, DataRequest(folder=data))
    if num > splits.num_train:
        raise UserError(f"--train-images asks for {num} examples, {dataset} has {splits.num_train}")
    splits = splits.first(num) if num else splits
    return settings.build(splits), splits.training(device), splits.validation(device)


def train_fleet(
    config: StandaloneConfig,
    data: Path | None,
    device: torch.device,
    work: Sequence[tuple[Arch, int]],
) -> list[dict[str, Any]]:
    """Train architectures, each with its seed; returns their lines of the results file."""
    archs, seeds = [arch for arch, _ in work], [seed for _, seed in work]
    started = time.perf_counter()
    space, training, validation = _examples(
        config.dataset, data, device, config.space, config.train_images
    )
    task = task_of(space)
    fleet = build_fleet(space, archs, seeds).to(device)
    train_standalone(fleet, training, config.recipe, seeds, task)
    if isinstance(validation, ImageSet):
        size = max(1, _SCORED_TOGETHER // len(work))
        batches = validation.scoring_batches(size, config.score_images or None, True)
    else:
        batches = validation.scoring_batches(config.recipe.batch_size, config.score_images or None)
    scores = standalone_scores(fleet, batches, task)
    if not all(map(math.isfinite, scores)):
        raise UserError(
            f"a training of {space.name} diverged; lower --learning-rate, or set --gradient-clip"
        )
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
        data: where the files are, for data sets that need some.
        device: where to train.

    Raises:
        UserError: results of another config lie in the same place, or they are damaged.
    """
    partial_path = to.with_name(to.name + ".partial.jsonl")
    # Once here, so that a download happens once, and fails early, with nothing written.
    space, _, validation = _examples(
        config.dataset, data, device, config.space, config.train_images
    )
    if config.score_images > len(validation):
        raise UserError(
            f"--score-images asks for {config.score_images} examples, {config.dataset} has "
            f"{len(validation)} to validate on"
        )
    results = _load_partial(partial_path, config)
    archs = draw_archs(config.num_archs, space)
    work = [(arch, seed) for arch in archs for seed in range(config.num_seeds)]
    # The fleets are always the same ones, so that a stopped and resumed table has the same bytes.
    fleets = [work[start : start + config.fleet] for start in range(0, len(work), config.fleet)]
    todo = [
        fleet
        for fleet in fleets
        if any((space.to_string(arch), seed) not in results for arch, seed in fleet)
    ]
    with Bars() as bars, partial_path.open("a", encoding="utf-8") as file:
        show = bars.add(f"{config.dataset} alone", len(work))
        show(len(work) - sum(map(len, todo)))
        for _, done in run_all(partial(train_fleet, config, data, device), todo, jobs):
            for result in done:
                results[result["arch"], result["seed"]] = result
                file.write(json.dumps(result, sort_keys=True) + "\n")
            file.flush()
            show(len(results))
    table = _table(config, results, to, space)
    table.save(to)
    account = {
        "config": config.to_dict(),
        "environment": environment.describe(device),
        "data": load_splits(config.dataset, DataRequest(folder=data)).description,
        "core_seconds": round(sum(result["seconds"] for result in results.values())),
    }
    write_json(to.with_suffix(".json"), account)
    partial_path.unlink()
    return table


def _load_partial(path: Path, config: StandaloneConfig) -> dict[tuple[str, int], dict[str, Any]]:
    """Results so far. The first line of the file is the config they belong to."""
    head = json.dumps(config.to_dict(), sort_keys=True)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(head + "\n", encoding="utf-8")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another --to") from None
    lines = text.splitlines()
    if not lines or StandaloneConfig.read(lines[0]) != config.to_dict():
        raise UserError(f"{path} holds results of another config; move it away or change --to")
    if not text.endswith("\n"):
        # The process was stopped while writing the last line: that one is trained again.
        lines.pop()
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    results = [json.loads(line) for line in lines[1:]]
    return {(result["arch"], result["seed"]): result for result in results}


def _table(
    config: StandaloneConfig,
    results: dict[tuple[str, int], dict[str, Any]],
    path: Path,
    space: Space,
) -> TruthTable:
    name = f"{config.dataset}/valid/{config.recipe.epochs}ep"
    archs = [space.to_string(arch) for arch in draw_archs(config.num_archs, space)]
    frame = pd.DataFrame(
        {
            f"{name}/seed{seed}": [results[arch, seed]["accuracy"] for arch in archs]
            for seed in range(config.num_seeds)
        },
        index=pd.Index(archs, name="arch"),
    )
    frame.insert(0, f"{name}/mean", frame.mean(axis=1).round(4))
    return TruthTable(path, frame, of=space)


def main(argv: Sequence[str] | None = None) -> TruthTable:
    """Run the program; returns the table made."""
    given = _parser().parse_args(argv)
    if given.jobs is not None and given.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {given.jobs}")
    if given.seeds < 1:
        raise UserError(f"--seeds must be at least 1, got {given.seeds}")
    if given.to.exists():
        raise UserError(f"{given.to} exists already; move it away or choose another --to")
    space = _space(given_settings(given, _SPACE.known()))
    try:
        config = StandaloneConfig(
            dataset=given.dataset,
            num_archs=given.archs,
            num_seeds=given.seeds,
            space=space,
            recipe=StandaloneRecipe(**given_settings(given, _known(StandaloneRecipe))),
            **given_settings(given, _known(StandaloneConfig)),
        )
    except ValueError as error:
        raise UserError(
            flagged(error, _known(StandaloneRecipe) | _known(StandaloneConfig))
        ) from None
    device = environment.choose_device(given.device)
    jobs = given.jobs or (num_cores() if device.type == "cpu" else 1)
    table = make_truth(config, given.to, jobs, given.data, device)
    print(f"{given.to}: {config.num_archs} architectures, {config.num_seeds} seeds each")
    return table


def _known(part: type[object]) -> Known:
    return {name: [("", one)] for name, one in settings_of(part).items()}


def _parser() -> Parser:
    parser = Parser(
        prog="python -m benchmark.standalone",
        description="Train architectures alone and write a truth table. A stopped run goes on.",
    )
    parser.add_argument(
        "--dataset", default="digits", help=f"one of {', '.join(DATASETS)} (%(default)s)"
    )
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="table to write")
    parser.add_argument(
        "--archs", type=int, default=StandaloneConfig.num_archs, help="architectures (%(default)s)"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=StandaloneConfig.num_seeds,
        help="trainings of each (%(default)s)",
    )
    add_settings(parser, _known(StandaloneConfig), defaults=True)
    parser.add_argument("--jobs", type=int, help="processes (one a core; one on a GPU)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, auto (auto)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the data set's files are")
    group = parser.add_argument_group("training")
    add_settings(group, _known(StandaloneRecipe), defaults=True)
    group = parser.add_argument_group("search space (default: NAS-Bench-201, narrow)")
    add_settings(group, _SPACE.known())
    return parser
