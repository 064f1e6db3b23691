"""What a study still has to do, and how long that takes, by the records at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from benchmark.config.run import RunConfig
from benchmark.config.scores import NamedScores
from benchmark.config.search import SearchConfig
from benchmark.config.values import flat
from benchmark.study.definition import Study
from benchmark.study.jobs import Job, finished, finished_supernet, jobs_of, retraining_of

_ALL_ARCHS = 15625
"""Architectures of NAS-Bench-201's tables, which digits' own lacks."""


@dataclass(frozen=True)
class Step:
    """A job, or the retraining of what it found.

    Args:
        job: the job.
        what: ``"run"``, ``"search"``, ``"retraining"`` or ``"scores"``.
        done: whether it has a record.
        seconds: how long it will take in one process; None where no record tells.
    """

    job: Job
    what: str
    done: bool
    seconds: float | None


def plan(study: Study, scale: str, results: Path) -> list[Step]:
    """All steps of a study at a scale, in the order of its jobs.

    A step takes as long as finished ones of the same data set, space and K did, scaled by the
    images that pass through the network: epochs times training images, and architectures scored.

    Raises:
        UserError: no such scale, or settings that cannot work.
    """
    steps = []
    for job in jobs_of(study, scale):
        folder = finished(results, job.config)
        scores = isinstance(job.config, NamedScores)
        what = "scores" if scores else "run" if study.kind == "rank" else "search"
        seconds = 0.0 if scores else None if folder else _seconds(results, job)
        steps.append(Step(job, what, folder is not None, seconds))
        if study.kind == "search+retrain":
            config = retraining_of(study.size(scale), folder, job.seed) if folder else None
            known = config is not None and finished(results, config) is not None
            steps.append(Step(job, "retraining", known, None if known else _retraining(results)))
    return steps


def _seconds(results: Path, job: Job) -> float | None:
    """Mean over comparable records, each scaled to this job."""
    assert not isinstance(job.config, NamedScores), "scores are not run"
    run, config = job.run, job.config.flat()
    kind, *place = job.config.place().parent.parent.parts
    records = _records(results, "/".join([kind, *place, "*", "*"]))
    near = [one for one in records if one["config"].get("K") == run.K] or records
    if not near:
        return None
    if isinstance(job.config, SearchConfig):
        scoring = ("population", "generations", "score_images")
        searched = [
            float(one["seconds"]["search"]) * _ratio(config, one["config"], scoring) for one in near
        ]
        if all(finished_supernet(results, one) for one in job.supernets()):
            return mean(searched)
        trained = [float(one["seconds"]["supernets"]) * _training(config, one) for one in near]
        return mean(searched) + mean(trained)
    return mean(
        float(one["seconds"]["training"]) * _training(config, one)
        + float(one["seconds"]["scoring"]) * _scoring(run, one)
        for one in near
    )


def _retraining(results: Path) -> float | None:
    records = _records(results, "retrained/*/*/*")
    return mean(float(one["seconds"]["training"]) for one in records) if records else None


def _records(results: Path, folders: str) -> list[dict[str, Any]]:
    found = []
    for path in sorted(results.glob(f"{folders}/record.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            # An estimate does without; whoever reads the record says what is wrong with it.
            continue
        if isinstance(record, dict) and isinstance(record.get("seconds"), dict):
            found.append({**record, "config": flat(record["config"])})
    return found


def _training(config: Mapping[str, Any], record: Mapping[str, Any]) -> float:
    """How much longer a training is: epochs, images, cells, and channels in and out."""
    names = ("epochs", "train_images", "cells", "channels", "channels")
    return _ratio(config, record["config"], names)


def _scoring(run: RunConfig, record: Mapping[str, Any]) -> float:
    """How much longer scoring is: architectures, images, and the network's size."""
    other = record["config"]
    split = re.search(r"\+ (\d+) images\)", str(record.get("data", {}).get("split", "")))
    every = int(split[1]) if split else 0
    archs = run.ranking.archs or (
        _ALL_ARCHS if run.dataset.name != "digits" else record["num_archs"]
    )
    size = _ratio(run.flat(), other, ("cells", "channels", "channels"))
    wanted = run.scoring.score_images or every
    images = _ratio({"n": wanted}, {"n": other.get("score_images") or every}, ("n",))
    return size * images * archs / float(record["num_archs"])


def _ratio(config: Mapping[str, Any], other: Mapping[str, Any], names: Sequence[str]) -> float:
    ratio = 1.0
    for name in names:
        mine, theirs = config.get(name), other.get(name)
        # 0 stands for all.
        if mine and theirs:
            ratio *= float(mine) / float(theirs)
    return ratio
