"""Run what a study is missing: rankings; or supernets, searches, and retraining of what they found.

Whatever is of one kind runs side by side, and no two pieces of work write to the same folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from benchmark.cli.errors import UserError
from benchmark.config.arch_file import FoundArch
from benchmark.config.retrain import RetrainConfig, config_of_found
from benchmark.config.run import RunConfig
from benchmark.config.scores import NamedScores
from benchmark.config.search import SearchConfig
from benchmark.pipeline.stages import (
    RETRAIN,
    SEARCH,
    TRAIN,
    Crew,
    Failure,
    Machine,
    Stage,
    check_searches,
    of_images,
    title_of,
    title_of_search,
)
from benchmark.records.files import check_writable
from benchmark.run.execute import run_one
from benchmark.study.definition import Size, Study
from benchmark.study.jobs import Job, finished, jobs_of, retraining_of
from benchmark.train.epochs import Progress
from benchmark.train.setup import Places, load_images, load_target, ranked_space

Work = TypeVar("Work")


def check_study(study: Study, scale: str, places: Places) -> None:
    """Say what is wrong with a study's data, limits and settings before anything is trained.

    Args:
        study: the study.
        scale: its size.
        places: where to read and write.

    Raises:
        UserError: no such scale, bad input, a damaged file, limits that nothing keeps.
    """
    check_writable(places.results)
    size, missing = study.size(scale), _missing(study, scale, places.results)
    if study.kind == "rank":
        spaces = sorted({job.run.space.name for job in missing})
        if len(spaces) > 1 and places.truth is not None:
            raise UserError(
                f"study {study.name} has {len(spaces)} search spaces ({', '.join(spaces)}), and "
                "--truth FILE is of one; name each with --truth SPACE=FILE"
            )
        _check_runs([job.run for job in missing], places)
        return
    searches = [job.config for job in missing if isinstance(job.config, SearchConfig)]
    retraining = partial(_retraining, size) if study.kind == "search+retrain" else None
    check_searches(searches, places, torch.device("cpu"), retraining)


def run_study(
    study: Study, scale: str, crew: Crew, ended: Callable[[], object] = lambda: None
) -> list[Failure]:
    """Run every job of a study that has no record yet; what fails is left out, and named.

    Args:
        study: the study, which ``check_study`` found nothing wrong with.
        scale: its size.
        crew: who does the work.
        ended: called after every piece of work.

    Returns:
        what failed or diverged, and what could not be begun without it.

    Raises:
        UserError: a damaged file.
    """
    size, results = study.size(scale), crew.machine.places.results
    missing = _missing(study, scale, results)
    num_done = len(jobs_of(study, scale)) - len(missing)
    failures: list[Failure] = []

    def every(stage: Stage[Any, Any], work: Iterable[Any], num: int = 0) -> set[Any]:
        """Do pieces of work; the set of those that failed. What reads a diverged one says so."""
        results = crew.run(stage, list(dict.fromkeys(work)), num, ended)
        lost = {one: it for one, it in results.items() if isinstance(it, Failure)}
        failures.extend(lost.values())
        return {one for one, it in lost.items() if it.outcome == "failed"}

    if study.kind == "rank":
        runs = [job.run for job in missing]
        # Rows that differ only in scoring read one supernet, which no two processes train.
        trainings = {one.training_only(): one for one in runs}
        lost = {one.training_only() for one in every(TRAIN, trainings.values())}
        able = _without(lost, runs, lambda one: [one.training_only()], title_of, failures)
        every(_RANK, able, num_done)
        return failures
    searches = [job.config for job in missing if isinstance(job.config, SearchConfig)]
    lost = every(TRAIN, [net.training_only() for one in searches for net in one.supernets()])
    every(SEARCH, _without(lost, searches, _trainings, title_of_search, failures), num_done)
    if study.kind == "search+retrain":
        retrained: dict[RetrainConfig, Path] = {}
        for job in jobs_of(study, scale):
            folder = finished(results, job.config)
            if folder is None:
                continue  # its search failed
            config = retraining_of(size, folder, job.seed)
            if finished(results, config) is None:
                retrained.setdefault(config, folder)
        every(RETRAIN, retrained.items())
    return failures


def scores_to_make(study: Study, scale: str, results: Path) -> list[str]:
    """Names of the scores from elsewhere that rows of a study name and that have no record."""
    jobs = [job.config for job in jobs_of(study, scale) if finished(results, job.config) is None]
    return [config.name for config in jobs if isinstance(config, NamedScores)]


def _missing(study: Study, scale: str, results: Path) -> list[Job]:
    """The jobs that are to be run."""
    jobs = [job for job in jobs_of(study, scale) if not isinstance(job.config, NamedScores)]
    return [job for job in jobs if finished(results, job.config) is None]


def _trainings(config: SearchConfig) -> list[RunConfig]:
    return [one.training_only() for one in config.supernets()]


def _without(
    lost: Set[RunConfig],
    work: Sequence[Work],
    reads: Callable[[Work], list[RunConfig]],
    title: Callable[[Work], str],
    failures: list[Failure],
) -> list[Work]:
    """The pieces of work whose supernets were trained; the others join the failures."""
    able = []
    for one in dict.fromkeys(work):
        if not lost & {*reads(one)}:
            able.append(one)
        else:
            failures.append(Failure(title(one), "failed", "its supernet's training failed"))
    return able


def _check_runs(runs: Sequence[RunConfig], places: Places) -> None:
    """Say what is wrong with truth and images before anything is trained."""
    seen: set[tuple[Any, ...]] = set()
    for one in runs:
        key = (*of_images(one), one.ranking)
        if key not in seen:
            seen.add(key)
            load_target(one, places)
            ranked_space(one, load_images(one, places))


def _retraining(size: Size, found: FoundArch) -> RetrainConfig:
    """How what a search finds will be trained by itself; any seed stands for all."""
    return config_of_found(size.retrain_preset, found, found.dataset, size.retrain)


def _rank(machine: Machine, progress: Progress, config: RunConfig) -> None:
    run_one(config, machine.places, machine.device, progress, machine.checkpoint_seconds)


_RANK = Stage("run", title_of, _rank)
