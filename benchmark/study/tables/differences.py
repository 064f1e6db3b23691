"""What each row of a study ranks better or worse than its first row, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from benchmark.study.definition import Row, StudyData, Table
from benchmark.study.paired import Difference
from benchmark.study.ranked import NAMES, datasets, groups, on
from benchmark.views.ranks import METRIC, agreement, best_control, each_by_loss
from benchmark.views.values import MISSING, numbers

SCORES = ("accuracy", "loss")

LABELS = {
    "dataset": "data set",
    "name": "",
    "accuracy": "by accuracy",
    "accuracy_interval": "95 %, accuracy",
    "accuracy_p": "p, accuracy",
    "loss": "by −loss",
    "loss_interval": "95 %, −loss",
    "loss_p": "p, −loss",
}
NOTES = (
    "Points of tau-b more (+) or less (−) than the first row; pairs have the seed in common.",
    "95 %, p: of the mean over pairs, Student's paired t-test.",
)


def table(data: StudyData) -> pd.DataFrame:
    """A line per data set and row after the first.

    Returns:
        Columns ``dataset`` (where there are several), ``name``, for each of ``SCORES`` the mean
        difference in points, its ``_interval`` and ``_p``, and ``n``, the number of pairs.
    """
    every = datasets(data)
    lines = [
        {"dataset": NAMES.get(dataset, dataset), **_line(row, differences(data, dataset, row))}
        for dataset in every
        for row in data.rows[1:]
    ]
    frame = pd.DataFrame(lines)
    return frame.drop(columns="dataset") if len(every) == 1 else frame


def differences_from(what: str) -> Table:
    """The table, for a study whose first row is ``what``."""
    return Table(
        "differences",
        f"Differences from {what}",
        table,
        LABELS,
        NOTES,
        decimals=1,
        formats={"accuracy_p": ".2g", "loss_p": ".2g"},
        for_programs=("accuracy_p",),
    )


def differences(data: StudyData, dataset: str, row: Row) -> dict[str, Difference]:
    """A row less the first one in points of tau-b, by score; without pairs, none."""
    values = {one.name: _by_seed(runs) for one, runs in groups(data, dataset)}
    first, own = values.get(data.rows[0].name), values.get(row.name)
    if first is None or own is None:
        return {}
    seeds = first.index.intersection(own.index)
    if not len(seeds):
        return {}
    return {
        score: Difference.of(100 * own.loc[seeds, score], 100 * first.loc[seeds, score])
        for score in SCORES
    }


def _by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """Tau-b by accuracy and by −loss, a row per seed."""
    values = {"accuracy": numbers(runs, f"metrics.{METRIC}"), "loss": each_by_loss(runs)}
    return pd.DataFrame(values, index=runs["seed"].astype(int))


def _line(row: Row, found: dict[str, Difference]) -> dict[str, object]:
    line: dict[str, object] = {"name": row.label}
    for score in SCORES:
        one = found.get(score)
        known = one is not None and not math.isnan(one.low)
        line |= {
            score: math.nan if one is None else one.mean,
            f"{score}_interval": f"{one.low:+.1f} to {one.high:+.1f}" if one and known else MISSING,
            f"{score}_p": one.p if one and known else math.nan,
        }
    num = next(iter(found.values())).num if found else 0
    return {**line, "n": num}


def answer(data: StudyData) -> str:
    """By −loss, each row less the first one on the first data set with pairs; then the controls."""
    for dataset in datasets(data):
        told = list(_told(data, dataset))
        if told:
            break
    else:
        return "No pair of runs yet."
    runs = on(data, dataset)
    first = data.rows[0]
    level = {row.name: each_by_loss(own) for row, own in groups(data, dataset)}[first.name].mean()
    counted = best_control(runs)
    aside = "" if counted is None else f" Counting {counted[0]} reaches {100 * counted[1]:.1f} %"
    agreed = agreement(runs)
    if aside:
        aside += (
            f", two seeds of the truth {100 * agreed:.1f} %." if not math.isnan(agreed) else "."
        )
    name = NAMES.get(dataset, dataset)
    return (
        f"On {name} {first.label} ranks to {100 * level:.1f} % tau-b by −loss; "
        f"less that, {'; '.join(told)}.{aside}"
    )


def _told(data: StudyData, dataset: str) -> Iterator[str]:
    for row in data.rows[1:]:
        found = differences(data, dataset, row)
        if found:
            yield f"{row.label}: {found['loss'].text('points')}"
