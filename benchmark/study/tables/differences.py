"""What rows of a study rank better or worse than one of them, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from functools import partial

import pandas as pd

from benchmark.study.definition import Row, StudyData, Table
from benchmark.study.paired import Difference
from benchmark.study.ranked import NAMES, datasets, groups, on
from benchmark.views.ranks import METRIC, agreement, best_control, each_by_loss
from benchmark.views.values import MISSING, frame_of, numbers

SCORES = ("accuracy", "loss")

LABELS = {
    "dataset": "data set",
    "name": "",
    "accuracy": "by accuracy",
    "accuracy_interval": "95 %, accuracy",
    "accuracy_p": "p, accuracy",
    "loss": "by −loss",
    "loss_interval": "95 %, −loss",
    "loss_p": "p",
}
NOTES = (
    "Points of tau-b more (+) or less (−) than that row; pairs have the seed in common.",
    "95 %, p: of the mean over pairs, Student's paired t-test; p of −loss.",
)


def table(data: StudyData, first: str = "", others: Collection[str] = ()) -> pd.DataFrame:
    """A line per data set and row that is compared.

    Args:
        data: the study's.
        first: name of the row that the others are compared with; empty for the first one.
        others: names of these; empty for all rows but that one.

    Returns:
        Columns ``dataset`` (where there are several), ``name``, for each of ``SCORES`` the mean
        difference in points, its ``_interval`` and ``_p``, and ``n``, the number of pairs.
    """
    every = datasets(data)
    first = first or data.rows[0].name
    lines = [
        {
            "dataset": NAMES.get(dataset, dataset),
            **_line(row, differences(data, dataset, row, first)),
        }
        for dataset in every
        for row in data.rows
        if row.name != first and (not others or row.name in others)
    ]
    frame = frame_of(lines, ["dataset", "name", "n"])
    return frame.drop(columns="dataset") if len(every) == 1 else frame


def differences_from(
    what: str, first: str = "", others: Collection[str] = (), name: str = "differences"
) -> Table:
    """The table ``name``, where ``what`` is what people call the row ``first``; see ``table``."""
    return Table(
        name,
        f"Differences from {what}",
        partial(table, first=first, others=others),
        LABELS,
        NOTES,
        decimals=1,
        formats={"accuracy_p": ".2g", "loss_p": ".2g"},
        for_programs=("accuracy_p",),
    )


def differences(data: StudyData, dataset: str, row: Row, first: str) -> dict[str, Difference]:
    """A row less the row ``first`` in points of tau-b, by score; without pairs, none."""
    values = {one.name: _by_seed(runs) for one, runs in groups(data, dataset)}
    base, own = values.get(first), values.get(row.name)
    if base is None or own is None:
        return {}
    seeds = base.index.intersection(own.index)
    if not len(seeds):
        return {}
    return {
        score: Difference.of(100 * own.loc[seeds, score], 100 * base.loc[seeds, score])
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
        found = differences(data, dataset, row, data.rows[0].name)
        if found:
            yield f"{row.label}: {found['loss'].text('points')}"
