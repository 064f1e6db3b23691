"""Run what a study is missing: rankings; or supernets, searches, and retraining of what they found.

Whatever is of one kind runs side by side, and no two pieces of work write to the same folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.config.arch_file import FoundArch
from benchmark.config.retrain import RetrainConfig, config_of_found
from benchmark.config.run import RunConfig
from benchmark.config.scores import NamedScores
from benchmark.config.search import SearchConfig
from benchmark.datasets import Data
from benchmark.pipeline.stages import OF_IMAGES, Machine, retrain, run_stage, search, train
from benchmark.records.files import check_writable
from benchmark.retrain.execute import check_retraining
from benchmark.run.execute import run_one
from benchmark.search.execute import searched_space
from benchmark.study.definition import Size, Study
from benchmark.study.jobs import finished, jobs_of, retraining_of
from benchmark.train.setup import Places, load_images, load_target, ranked_space
from benchmark.workers.relay import Relay, Tell, progress_of


def run_study(
    study: Study, scale: str, machine: Machine, tell: Callable[[str], object] = lambda line: None
) -> None:
    """Run every job of a study that has no record yet.

    Args:
        study: the study.
        scale: its size.
        machine: what to run with.
        tell: told a line when a piece of work is done.

    Raises:
        UserError: bad input, a damaged file, limits that nothing keeps, a diverged training.
    """
    size, results = study.size(scale), machine.places.results
    check_writable(results)
    jobs = jobs_of(study, scale)
    missing = [job for job in jobs if finished(results, job.config) is None]
    for job in missing:
        if isinstance(job.config, NamedScores):
            name = job.config.name
            tell(
                f"no scores {name}: python -m benchmark.run --scores {name}.csv makes their record"
            )
    missing = [job for job in missing if not isinstance(job.config, NamedScores)]
    with Relay(machine.jobs) as relay:
        every = partial(run_stage, machine, relay, tell)
        if study.kind == "rank":
            runs = [job.run for job in missing]
            _check_runs(runs, machine.places)
            # Rows that differ only in scoring read one supernet, which no two processes train.
            every("supernet", train, list({one.training_only(): one for one in runs}.values()))
            every("run", _rank, list(dict.fromkeys(runs)))
            return
        retrains = study.kind == "search+retrain"
        searches = [job.config for job in missing if isinstance(job.config, SearchConfig)]
        _check_searches(searches, size if retrains else None, machine)
        supernets = [one.training_only() for job in missing for one in job.supernets()]
        every("supernet", train, list(dict.fromkeys(supernets)))
        every("search", search, list(dict.fromkeys(searches)))
        if not retrains:
            return
        retrained: dict[RetrainConfig, Path] = {}
        for job in jobs:
            folder = finished(results, job.config)
            assert folder is not None, "it was run just now"
            config = retraining_of(size, folder, job.seed)
            if finished(results, config) is None:
                retrained.setdefault(config, folder)
        every("retraining", retrain, list(retrained.items()))


def _check_runs(runs: Sequence[RunConfig], places: Places) -> None:
    """Say what is wrong with truth and images before anything is trained."""
    seen: set[tuple[Any, ...]] = set()
    for one in runs:
        key = tuple(getattr(one, name) for name in (*OF_IMAGES, "archs", "truth_column"))
        if key not in seen:
            seen.add(key)
            load_target(one, places)
            ranked_space(one, load_images(one, places))


def _check_searches(searches: Sequence[SearchConfig], size: Size | None, machine: Machine) -> None:
    """Say what is wrong with data, limits and retraining before anything is trained."""
    images: dict[tuple[Any, ...], Data] = {}
    largest: dict[RetrainConfig, None] = {}
    for one in searches:
        key = tuple(getattr(one.run, name) for name in OF_IMAGES)
        if key not in images:
            images[key] = load_images(one.run, machine.places)
        _, space = searched_space(one, machine.places, images[key])
        if size is not None:
            settings = one.run.space_settings()
            arch = space.to_string(space.extremes()[1])
            found = FoundArch(settings, arch, one.run.dataset, {"config": one.to_dict()})
            given = dict(size.retrain)
            largest[config_of_found(size.retrain_preset, found, found.dataset, given)] = None
    for config in largest:
        try:
            check_retraining(config, machine.places, machine.device)
        except UserError as error:
            raise UserError(f"retraining: {error}") from None


def _rank(machine: Machine, tell: Tell, config: RunConfig) -> None:
    title = f"{config.dataset} {config.sharing} K={config.K} seed {config.seed}"
    # Runs of a study may have the same title.
    progress = progress_of(tell, f"{title} ({config.run_id()})")
    run_one(config, machine.places, machine.device, progress, machine.checkpoint_seconds)
