"""Train supernets, list those there are, remove their weights: ``python -m benchmark.train``.

What ranks (``benchmark.run``) or searches (``benchmark.search``) with the same settings reads them
and trains nothing. A training that was stopped goes on after its last checkpoint.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.cli.errors import UserError
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
from benchmark.config.run import RankingSettings, RunConfig, run_config
from benchmark.records.environment import choose_device
from benchmark.records.files import check_writable
from benchmark.train.kept import Kept, clear, kept_supernets
from benchmark.train.setup import Places, load_images, places_of
from benchmark.train.supernet import supernet_folder
from benchmark.train.together import divided, train_together
from benchmark.workers.jobs import num_cores, run_all
from benchmark.workers.relay import Relay, Tell
from kshot_core.evaluation.settings import ScoringSettings
from kshot_core.settings import settings_of

# Which weights are kept decides none of them, but is asked for here.
_SCORING = {*settings_of(ScoringSettings), *settings_of(RankingSettings)} - {"track_every"}
_APART = {*RUNS_APART, *_SCORING}


def main(argv: Sequence[str] | None = None) -> list[Path]:
    """Run the program; returns the folders of the supernets trained, listed or cleared.

    Raises:
        UserError: bad input, a damaged file, or a training that diverged.
    """
    given = _parser().parse_args(argv)
    console = Console()
    if given.clear is not None:
        cleared = clear(given.results, given.clear)
        freed = sum(one.num_bytes for one in cleared)
        console.print(f"weights of {len(cleared)} supernets removed: {freed / 1e6:,.1f} MB")
        return [one.path for one in cleared]
    if given.list:
        return _show(console, kept_supernets(given.results))
    return _train(given, console)


def _train(given: argparse.Namespace, console: Console) -> list[Path]:
    if given.seeds < 1 or min(given.K) < 1 or (given.jobs is not None and given.jobs < 1):
        raise UserError("--K, --seeds and --jobs must be at least 1")
    settings = given_settings(given, RunConfig.known(), _APART)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    configs = [
        run_config(
            given.preset, given.dataset, {"K": K, "sharing": sharing, "seed": seed}, settings
        )
        for sharing in dict.fromkeys(given.sharing)
        for K in dict.fromkeys(given.K)
        for seed in seeds
    ]
    check_used(settings, configs)
    # Nothing is scored here, so that there may be fewer images for it than a preset's.
    configs = [one.changed(score_images=0) for one in configs]
    configs = list({one.training_only(): one for one in configs}.values())
    device = choose_device(given.device)
    places = places_of(given)
    check_writable(places.results)
    for one in configs:
        one.space.build(load_images(one, places))
    jobs = given.jobs or (num_cores() if device.type == "cpu" else 1)
    work = [[configs[number] for number in numbers] for numbers in divided(configs, jobs)]
    jobs = min(jobs, len(work))
    with Bars() as bars, Relay(jobs > 1, bars.show) as relay:
        task = partial(_together, places, device, given.checkpoint_seconds, relay.tell())
        for _ in run_all(task, work, jobs, relay.drain):
            relay.drain()
    folders = [supernet_folder(places.results, one).path for one in configs]
    for folder in folders:
        console.print(Text(f"supernet: {folder}/"), style="bold", soft_wrap=True)
    return folders


def _together(
    places: Places, device: Any, seconds: float, tell: Tell, configs: list[RunConfig]
) -> None:
    train_together(configs, places, device, tell, seconds)


def _show(console: Console, supernets: Sequence[Kept]) -> list[Path]:
    table = Table()
    table.add_column("supernet", overflow="fold")
    for name in ("state", "MB", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in supernets:
        seconds = "" if one.seconds is None else f"{one.seconds:,.0f}"
        table.add_row(str(one.path), one.state, f"{one.num_bytes / 1e6:,.1f}", seconds)
    console.print(table)
    total = sum(one.num_bytes for one in supernets)
    console.print(f"{len(supernets)} supernets, {total / 1e6:,.1f} MB")
    return [one.path for one in supernets]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.train",
        description="Train K-shot supernets and keep them for benchmark.run and benchmark.search, "
        "which train nothing then. With no option at all: K = 1 and K = 8 on the embedded data "
        "set.",
        epilog=presets_text(),
    )
    main_group = parser.add_argument_group("what to train")
    add_dataset(main_group, "quick")
    add_runs(main_group)
    add_seeds(main_group, 1, "of each K (1)")
    kept = parser.add_argument_group("supernets that are there; nothing is trained")
    kept.add_argument("--list", action="store_true", help="show them, with size and state")
    kept.add_argument(
        "--clear", nargs="+", metavar="FOLDER", help="remove the weights of these, or of all"
    )
    add_places(parser)
    machine = parser.add_argument_group("machine")
    add_machine(machine, "at a time (cores; 1 on a GPU)")
    settings = parser.add_argument_group("settings (default: the preset's)")
    add_settings(settings, RunConfig.known(), _APART)
    return parser
