"""What rows of a study rank better or worse than one of them, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from functools import partial

import pandas as pd
from scipy import stats

from benchmark.study.definition import Row, StudyData, Table
from benchmark.study.paired import Difference
from benchmark.study.ranked import NAMES, datasets, groups, on
from benchmark.views.ranks import METRIC, agreement, best_control, each_by_loss
from benchmark.views.values import MISSING, frame_of, numbers

SCORES = ("accuracy", "loss")

LABELS = {
    "dataset": "data set",
    "name": "",
    "accuracy": "accuracy",
    "accuracy_interval": "95 %, accuracy",
    "accuracy_p": "p, accuracy",
    "loss": "−loss",
    "loss_interval": "95 %, −loss",
    "loss_p": "p",
    "loss_q": "q",
}
NOTES = (
    "Points of tau-b more (+) or less (−) than that row; pairs have the seed in common.",
    "On another processor a seed rounds its way to another result: such pairs share little.",
    "95 %, p: of the mean over pairs, Student's paired t-test; p of −loss.",
    "q: p adjusted for the number of rows compared (false discovery rate, Benjamini-Hochberg).",
)


def table(data: StudyData, first: str = "", others: Collection[str] = ()) -> pd.DataFrame:
    """A line per data set and row that is compared.

    Args:
        data: the study's.
        first: name of the row that the others are compared with; empty for the first one.
        others: names of these; empty for all rows but that one.

    Returns:
        Columns ``dataset`` (where there are several), ``name``, for each of ``SCORES`` the mean
        difference in points, its ``_interval`` and ``_p``, ``loss_q``, and ``n``, the number of
        pairs.
    """
    every = datasets(data)
    first = first or data.rows[0].name
    lines = [
        {
            "dataset": NAMES.get(dataset, dataset),
            **_line(row, differences(data, dataset, row.name, first)),
        }
        for dataset in every
        for row in data.rows
        if row.name != first and (not others or row.name in others)
    ]
    frame = frame_of(lines, ["dataset", "name", "n"])
    if len(frame):
        adjusted = frame.groupby("dataset", sort=False)["loss_p"].transform(_adjusted)
        frame.insert(list(frame).index("loss_p") + 1, "loss_q", adjusted)
    return frame.drop(columns="dataset") if len(every) == 1 else frame


def _adjusted(p: pd.Series) -> pd.Series:
    """P-values (N,) adjusted for those that are known."""
    known = p.dropna()
    return pd.Series(stats.false_discovery_control(known), known.index).reindex(p.index)


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
        formats={"accuracy_p": ".2g", "loss_p": ".2g", "loss_q": ".2g"},
        for_programs=("accuracy_p",),
    )


def differences(data: StudyData, dataset: str, row: str, first: str) -> dict[str, Difference]:
    """The row ``row`` less the row ``first`` in points of tau-b, by score; without pairs, none."""
    values = {one.name: by_seed(runs) for one, runs in groups(data, dataset)}
    base, own = values.get(first), values.get(row)
    if base is None or own is None:
        return {}
    seeds = base.index.intersection(own.index)
    if not len(seeds):
        return {}
    return {
        score: Difference.of(100 * own.loc[seeds, score], 100 * base.loc[seeds, score])
        for score in SCORES
    }


def by_seed(runs: pd.DataFrame) -> pd.DataFrame:
    """Tau-b of runs by each of ``SCORES``, a row per seed."""
    values = {"accuracy": numbers(runs, f"metrics.{METRIC}"), "loss": each_by_loss(runs)}
    return pd.DataFrame(values, index=runs["seed"].astype(int))


def _line(row: Row, found: dict[str, Difference]) -> dict[str, object]:
    line: dict[str, object] = {"name": row.label}
    for score in SCORES:
        one = found.get(score)
        line |= {
            score: one.mean if one else math.nan,
            f"{score}_interval": (one.interval if one else "") or MISSING,
            f"{score}_p": one.p if one else math.nan,
        }
    num = next(iter(found.values())).num if found else 0
    return {**line, "n": num}


def answer(data: StudyData) -> str:
    """Which rows rank better than the first one, which worse, and which cannot be told from it.

    By −loss, on the first data set with pairs; by accuracy what differs there; then the controls.
    """
    for dataset in datasets(data):
        found = dict(_found(data, dataset))
        if found:
            break
    else:
        return "No pair of runs yet."
    first = data.rows[0]
    level = {row.name: each_by_loss(own).mean() for row, own in groups(data, dataset)}
    name, reached = NAMES.get(dataset, dataset), 100 * level[first.name]
    said = [
        f"On {name} {first.label} ranks to {reached:.1f} % tau-b by −loss.",
        *_verdicts({label: of["loss"] for label, of in found.items()}),
    ]
    sure = {label: of["accuracy"] for label, of in found.items() if of["accuracy"].is_sure}
    said += [f"By accuracy {verdict[0].lower()}{verdict[1:]}" for verdict in _verdicts(sure)]
    said.append("In brackets 95 % intervals over pairs of seeds, not adjusted for their number.")
    counted, agreed = best_control(on(data, dataset)), agreement(on(data, dataset))
    if counted is not None:
        above = [row.label for row in data.rows if level.get(row.name, 0.0) > counted[1]]
        said.append(
            f"Counting {counted[0]} reaches {100 * counted[1]:.1f} %; "
            f"above it by −loss: {'; '.join(above) or 'no row'}."
        )
    if not math.isnan(agreed):
        said.append(f"Two seeds of the truth agree to {100 * agreed:.1f} %.")
    return " ".join(said)


def _found(data: StudyData, dataset: str) -> Iterator[tuple[str, dict[str, Difference]]]:
    for row in data.rows[1:]:
        found = differences(data, dataset, row.name, data.rows[0].name)
        if found:
            yield row.label, found


def _verdicts(found: dict[str, Difference]) -> list[str]:
    """A sentence for each verdict that some row has, e.g. ``Better: K = 8 +1.2 (...)``."""
    kinds: dict[str, list[str]] = {
        "Better": [], "Worse": [], "Not told apart from it": [], "One seed, no finding": [],
    }  # fmt: skip
    for label, one in found.items():
        kind = "Not told apart from it"
        if one.is_sure:
            kind = "Better" if one.mean > 0 else "Worse"
        elif one.num < 2:
            kind = "One seed, no finding"
        kinds[kind].append(f"{label} {one.brief}")
    return [f"{kind}: {'; '.join(labels)}." for kind, labels in kinds.items() if labels]
