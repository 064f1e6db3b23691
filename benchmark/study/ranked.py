"""A study's runs by data set and row, for its tables and figures."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmark.study.definition import Row, StudyData, of_row

NAMES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet16-120": "ImageNet16",
}


def datasets(data: StudyData) -> list[str]:
    """The data sets of a study: those of its size, then others that its runs have."""
    size = data.study.sizes.get(data.scale)
    planned = [] if size is None else [size.dataset, *size.more_datasets]
    if "config.dataset" in data.runs:
        planned += list(data.runs["config.dataset"])
    return list(dict.fromkeys(planned))


def on(data: StudyData, dataset: str) -> pd.DataFrame:
    """The runs on one data set."""
    if "config.dataset" not in data.runs:
        return data.runs
    return data.runs[data.runs["config.dataset"] == dataset]


def groups(data: StudyData, dataset: str) -> Iterator[tuple[Row, pd.DataFrame]]:
    """Each row that has runs on a data set, with these."""
    for row in data.rows:
        runs = of_row(on(data, dataset), row)
        if len(runs):
            yield row, runs
