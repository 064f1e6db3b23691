"""Train K-shot supernets, rank architectures, compare with the truth: ``python -m benchmark.run``.

One run per K and seed, several at a time; a finished run is not run again and an interrupted one
goes on. Ends by printing its table and where everything is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.cli.parser import Parser
from benchmark.cli.progress import Bars
from benchmark.config.job import check_used
from benchmark.config.options import (
    RUNS_APART,
    add_dataset,
    add_machine,
    add_places,
    add_runs,
    add_seeds,
    add_settings,
    given_settings,
    presets_text,
)
from benchmark.config.presets import preset
from benchmark.config.run import RunConfig, run_config
from benchmark.config.values import flag
from benchmark.datasets.fingerprint import fingerprint
from benchmark.records.environment import choose_device
from benchmark.records.files import check_writable
from benchmark.records.load import read_runs
from benchmark.run.execute import run_folder, run_one
from benchmark.run.known import check_known, is_known
from benchmark.run.own import notes, own_figure, own_table
from benchmark.run.scores import rank_scores
from benchmark.train.setup import Places, load_images, load_target, places_of, ranked_space
from benchmark.train.together import divided, train_together
from benchmark.views.pictures import own_style, save_figure
from benchmark.workers.jobs import num_cores, run_all
from benchmark.workers.relay import Relay, Tell, progress_of


@dataclass(frozen=True)
class Request:
    """What one command line asks for.

    Args:
        configs: one per run.
        places: where to read and write.
        device: where to compute.
        jobs: runs at a time.
        checkpoint_seconds: least time between two checkpoints.
        scores: a file of scores to rank instead of training; None to train.
    """

    configs: list[RunConfig]
    places: Places
    device: torch.device
    jobs: int
    checkpoint_seconds: float
    scores: Path | None = None


def parse(argv: Sequence[str] | None = None) -> Request:
    """Read the command line: a preset, overridden by whatever option is given.

    Raises:
        UserError: values that cannot work, one clear line.
    """
    given = _parser().parse_args(argv)
    num_seeds = given.seeds
    if num_seeds is None:
        num_seeds = preset(given.preset, given.dataset).get("num_seeds", 1)
    settings = given_settings(given, RunConfig.known(), RUNS_APART)
    if given.scores is not None:
        idle = sorted(settings.keys() - {"space", "truth_column"})
        if idle:
            raise UserError(f"--scores trains nothing, so {flag(idle[0])} has no part in it")
        if given.tensorboard is not None:
            raise UserError("--scores trains nothing, so --tensorboard has no part in it")
        config = run_config(given.preset, given.dataset, {**settings, "K": 1, "archs": 0})
        places = places_of(given)
        return Request([config], places, torch.device("cpu"), 1, 0.0, given.scores)
    if num_seeds < 1 or (given.jobs is not None and given.jobs < 1):
        option, value = ("--seeds", num_seeds) if num_seeds < 1 else ("--jobs", given.jobs)
        raise UserError(f"{option} must be at least 1, got {value}")
    if min(given.K) < 1:
        raise UserError(f"--K must be at least 1, got {min(given.K)}")
    configs = [
        run_config(
            given.preset, given.dataset, {"K": K, "sharing": sharing, "seed": seed}, settings
        )
        for sharing in dict.fromkeys(given.sharing)
        for K in dict.fromkeys(given.K)
        for seed in range(given.first_seed, given.first_seed + num_seeds)
    ]
    configs = list(dict.fromkeys(configs))
    check_used(settings, configs)
    device = choose_device(given.device)
    # A GPU is shared by several runs only if asked for; it is one machine to all of them.
    jobs = given.jobs or (num_cores() if device.type == "cpu" else 1)
    places = places_of(given)
    return Request(configs, places, device, jobs, given.checkpoint_seconds)


def run(request: Request) -> list[dict[str, Any]]:
    """Run everything asked for; returns the records in the order of the configs.

    Those that diverged are left out, and end no other.

    Raises:
        UserError: bad input, found before training where it can be; or every run diverged.
    """
    check_writable(request.places.results)
    alike: dict[RunConfig, list[RunConfig]] = {}
    for config in request.configs:
        key = config.changed(seed=0, K=1, sharing="one-shot", score_codes="own")
        alike.setdefault(key, []).append(config)
    for config, own in alike.items():
        # Both are quick next to training: what is wrong with them is said first, and a download
        # happens once, not in every process.
        target = load_target(config, request.places)
        images = load_images(config, request.places)
        ranked_space(config, images)
        check_known(own, request.places, fingerprint(images), target.table.path)
    work = divided(request.configs, request.jobs)
    jobs = min(request.jobs, len(work))
    records: dict[int, dict[str, Any] | str] = {}
    with Bars() as bars, Relay(jobs > 1, bars.show) as relay:
        task = partial(_run_in_process, request, relay.tell())
        for _, finished in run_all(task, work, jobs, relay.drain):
            relay.drain()
            records |= finished
    done = [one for _, one in sorted(records.items()) if isinstance(one, dict)]
    if not done:
        raise UserError(str(records[0]))
    return done


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Run the program: runs, then their table; returns the records."""
    request = parse(argv)
    results = request.places.results
    if request.scores is not None:
        check_writable(results)
        record, folder = rank_scores(request.scores, request.configs[0], request.places)
        records, folders = [record], [folder]
    else:
        records = run(request)
        folders = [run_folder(results, config).path for config in request.configs]
    console = Console()
    runs = read_runs([path / "record.json" for path in folders], results)
    for line in notes(runs, len(folders)):
        console.print(Text(line), style="bold", soft_wrap=True)
    console.print(own_table(runs))
    # Beside the records, where they are of one data set and space: the runs asked for last.
    picture = folders[0].parent.parent / "runs.png"
    with own_style():
        save_figure(own_figure(runs), picture)
    console.print(Text(f"records: {results / 'records'}/, figure: {picture}"), style="bold")
    return records


def _run_in_process(
    request: Request, tell: Tell, numbers: list[int]
) -> dict[int, dict[str, Any] | str]:
    """Run configs, their supernets trained in lockstep if there are several.

    Returns:
        by number the record, or in a line why the run diverged.
    """
    places, device, seconds = request.places, request.device, request.checkpoint_seconds
    configs = {number: request.configs[number] for number in numbers}
    if len(configs) > 1:
        # One that diverges ends their steps in common; what is left of the others they run alone.
        with suppress(DivergedJobError):
            train_together(
                [one for one in configs.values() if not is_known(one, places)],
                places,
                device,
                tell,
                seconds,
            )
    # Cores that have no run of their own help with the scoring.
    workers = request.jobs // len(request.configs)
    ended: dict[int, dict[str, Any] | str] = {}
    for number, config in configs.items():
        progress = progress_of(tell, config.title)
        try:
            ended[number] = run_one(config, places, device, progress, seconds, workers)
        except DivergedJobError as error:
            ended[number] = str(error)
    return ended


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.run",
        description="Train K-shot supernets of a search space, score architectures with them, and "
        "compare the ranking with stand-alone accuracies. With no option at all: K = 1 and K = 8 "
        "on the embedded data set.",
        epilog=presets_text(),
    )
    main_group = parser.add_argument_group("what to run")
    add_dataset(main_group, "quick")
    add_runs(main_group)
    add_seeds(main_group, None, "runs of each K (the preset's)")
    main_group.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="rank the scores in this table (arch, score) instead of training anything",
    )
    add_places(parser)
    machine = parser.add_argument_group("machine")
    add_machine(machine, "runs at a time (cores; 1 on a GPU)")
    settings = parser.add_argument_group("settings (default: the preset's)")
    add_settings(settings, RunConfig.known(), RUNS_APART)
    return parser
