"""What a study still has to do, and how long that takes, by the records at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.config.scores import NamedScores
from benchmark.study.cost import seconds_of, seconds_of_retraining
from benchmark.study.definition import Study
from benchmark.study.jobs import Config, Job, diverged, finished, jobs_of, retraining_of

DONE, DIVERGED, TO_DO = "done", "diverged", "to do"


@dataclass(frozen=True)
class Step:
    """A job, or the retraining of what it found.

    Args:
        job: the job.
        what: ``"run"``, ``"search"``, ``"retraining"`` or ``"scores"``.
        state: ``"done"``, ``"diverged"``, which is not tried again, or ``"to do"``.
        seconds: how long it will take in one process; None where it is not to be done or no record
            tells.
    """

    job: Job
    what: str
    state: str
    seconds: float | None = None


def plan(study: Study, scale: str, results: Path, timed: bool = True) -> list[Step]:
    """All steps of a study at a scale, in the order of its jobs.

    What a search that diverged would have found is not retrained, and has no step.

    Args:
        study: the study.
        scale: of its runs.
        results: the results folder.
        timed: whether steps say how long they take, for which every record is read.

    Raises:
        UserError: no such scale, or settings that cannot work.
    """
    steps, size = [], study.size(scale)
    for job in jobs_of(study, scale):
        state = _state(results, job.config)
        if isinstance(job.config, NamedScores):
            steps.append(Step(job, "scores", state, 0.0 if state == TO_DO else None))
            continue
        what = "run" if study.kind == "rank" else "search"
        steps.append(
            Step(job, what, state, seconds_of(results, job) if timed and state == TO_DO else None)
        )
        if study.kind != "search+retrain" or state == DIVERGED:
            continue
        folder, state = finished(results, job.config), TO_DO
        if folder is not None:
            state = _state(results, retraining_of(size, folder, job.seed))
        seconds = seconds_of_retraining(results, size, job) if timed and state == TO_DO else None
        steps.append(Step(job, "retraining", state, seconds))
    return steps


def _state(results: Path, config: Config | NamedScores) -> str:
    if finished(results, config) is not None:
        return DONE
    return DIVERGED if diverged(results, config) is not None else TO_DO
