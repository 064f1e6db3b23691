"""How long work takes, by the records at hand: each scaled by what passes through the network."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmark.config.arch_file import FoundArch
from benchmark.config.retrain import config_of_found
from benchmark.config.run import RunConfig
from benchmark.config.scores import NamedScores
from benchmark.config.search import SearchConfig
from benchmark.config.values import flat
from benchmark.run.watching import TRACK_IMAGES
from benchmark.study.definition import Size
from benchmark.study.jobs import Job, finished_supernet
from benchmark.study.roofline import IMAGES

Values = Mapping[str, Any]
_ALL_ARCHS = 15625
"""Architectures of NAS-Bench-201's tables, which digits' own lacks."""
_SPREAD = 0.1
"""Records up to so much further away in size than the nearest count too, in natural logarithms."""
# What data sets say of their split: CIFAR and ImageNet16-120, folders of images, digits.
_COUNTS = (
    re.compile(r"\((?P<train>\d+) \+ (?P<valid>\d+) images\)"),
    re.compile(r"^(?P<train>\d+) .*to train, (?P<valid>\d+) "),
)


def seconds_of(results: Path, job: Job) -> float | None:
    """How long a run or a search will take in one process; None where no record tells.

    It takes what finished ones of the same data set and space did, of the same K if there are any
    and nearest in size, scaled by epochs, images, pixels, architectures, cells and channels.
    """
    assert not isinstance(job.config, NamedScores), "scores are not run"
    config = job.config.flat()
    kind, *place = job.config.place().parent.parent.parts
    records = _records(results, "/".join([kind, *place, "*", "*"]))
    near = [one for one in records if one["config"].get("K") == job.run.K] or records
    if not isinstance(job.config, SearchConfig):
        return _estimate(
            near,
            lambda one: {
                "training": _training(config, one),
                "scoring": _scoring(job.run, one),
            },
        )
    trained = all(finished_supernet(results, one) for one in job.supernets())
    return _estimate(
        near,
        lambda one: {
            "search": _searching(config, one),
            "supernets": 0.0 if trained else _training(config, one),
        },
    )


def seconds_of_retraining(results: Path, size: Size, job: Job) -> float | None:
    """How long the retraining of what a search finds will take; None where no record tells."""
    assert isinstance(job.config, SearchConfig), "what a search finds is retrained"
    settings = job.run.space
    space = settings.without_images()
    # Any architecture has the same epochs and images.
    text = space.to_string(space.sample(random.Random(0)))
    found = FoundArch(settings, text, job.dataset, {"config": job.config.to_dict()})
    config = config_of_found(size.retrain_preset, found, job.dataset, size.retrain).flat()
    records = _records(results, f"retrained/{job.dataset}/*/*")
    near = [one for one in records if one["config"].get("space") == space.name] or records
    return _estimate(near, lambda one: {"training": _training(config, one)})


def _estimate(
    records: Sequence[Values], factors: Callable[[Values], dict[str, float]]
) -> float | None:
    """Mean over the records nearest in size, each with its parts times their factors."""
    found = []
    for one in records:
        parts = {name: float(one["seconds"][name]) for name in factors(one)}
        took = sum(parts.values())
        seconds = sum(parts[name] * factor for name, factor in factors(one).items())
        if took > 0 and seconds > 0:
            found.append((abs(math.log(seconds / took)), seconds))
    least = min((away for away, _ in found), default=0.0)
    near = [seconds for away, seconds in found if away <= least + _SPREAD]
    return mean(near) if near else None


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


def _training(config: Values, record: Values) -> float:
    """How much longer a training is: epochs, images, and the network's size."""
    every, _ = _counts(record)
    epochs = _ratio(config, record["config"], ("epochs",))
    return epochs * _images(config, record, "train_images", every) * _network(config, record)


def _scoring(run: RunConfig, record: Values) -> float:
    """How much longer scoring is: architectures, images, and the network's size."""
    config, other = run.flat(), record["config"]
    _, every = _counts(record)
    mine = run.ranking.archs or (
        _ALL_ARCHS if run.dataset.name != "digits" else record["num_archs"]
    )
    passed = _passed(config, float(mine), every) / _passed(other, float(record["num_archs"]), every)
    return passed * _network(config, record)


def _passed(config: Values, num_archs: float, every: int) -> float:
    """Images that pass through networks when they are scored, at the end and while tracking."""
    num = num_archs * (config.get("score_images") or every or 1)
    track_every = config.get("track_every") or 0
    if track_every:
        num_times = config.get("epochs", 0) // track_every
        num += num_times * config.get("track_archs", 0) * min(TRACK_IMAGES, every or TRACK_IMAGES)
    return float(num)


def _searching(config: Values, record: Values) -> float:
    """How much longer a search is: architectures, images, and the network's size."""
    _, every = _counts(record)
    num = _ratio(config, record["config"], ("population", "generations"))
    return num * _images(config, record, "score_images", every) * _network(config, record)


def _counts(record: Values) -> tuple[int, int]:
    """Images of its data set to train and to score on; 0 where the record does not say."""
    text = str(record.get("data", {}).get("split", ""))
    for pattern in _COUNTS:
        if match := pattern.search(text):
            return int(match["train"]), int(match["valid"])
    return 0, 0


def _images(config: Values, record: Values, name: str, every: int) -> float:
    """How many more images are used, where 0 stands for every one there is."""
    mine, theirs = (one.get(name) or every for one in (config, record["config"]))
    return float(mine) / float(theirs) if mine and theirs else 1.0


def _network(config: Values, record: Values) -> float:
    """How much larger the network is: cells, channels in and out, and pixels."""
    other = record["config"]
    sides = [
        one.get("image_size") or IMAGES.get(one["dataset"], (0, 0))[1] for one in (config, other)
    ]
    pixels = (sides[0] / sides[1]) ** 2 if all(sides) else 1.0
    return pixels * _ratio(config, other, ("cells", "channels", "channels"))


def _ratio(config: Values, other: Values, names: Sequence[str]) -> float:
    ratio = 1.0
    for name in names:
        mine, theirs = config.get(name), other.get(name)
        if mine and theirs:
            ratio *= float(mine) / float(theirs)
    return ratio
