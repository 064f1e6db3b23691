"""What the figures of searches and of found architectures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.clusters import LIMITS, Cluster, differing
from benchmark.figures._labels import labels
from benchmark.figures._style import (
    FigureUnavailableError,
    Named,
    add_legend,
    panels,
    set_title,
    styles,
)
from benchmark.found import outcome_clusters, outcomes

# Data set, space and limits of a panel.
_Place = tuple[str, str, str]


def head(one: Cluster) -> str:
    """Sharing and K of a cluster."""
    return "one-shot" if one.sharing == "one-shot" else f"K = {one.K} {one.sharing}"


def named_clusters(
    members: Sequence[Cluster], own: Sequence[str], heads: Sequence[str] | None = None
) -> Named:
    """Names and looks of clusters, in their order.

    Args:
        members: the clusters.
        own: settings that the figure shows in another way.
        heads: what each is; by default sharing and K.
    """
    heads = [head(one) for one in members] if heads is None else heads
    found = labels(heads, [one.protocol for one in members], differing(members, own))
    names = {id(one): name for one, name in zip(members, found.names, strict=True)}
    return Named(names, styles(found.names), found.key)


def first_run(one: Cluster) -> pd.Series:
    """The record of the lowest seeds."""
    seeds = [name for name in ("config.seed", "config.search_seed") if name in one.rows.columns]
    return one.rows.sort_values(seeds).iloc[0]


def files(one: Cluster, name: str) -> list[tuple[pd.Series, Path]]:
    """A cluster's records that have a file, and the folders it lies in."""
    runs = [(row, Path(row["path"])) for _, row in one.rows.iterrows()]
    return [(row, folder) for row, folder in runs if (folder / name).is_file()]


def retrained_clusters(
    retrained: pd.DataFrame, searches: pd.DataFrame, sharings: Sequence[str]
) -> list[Cluster]:
    """Clusters of what was found under these ways of sharing and retrained."""
    joined = outcomes(retrained, searches)
    if joined.empty:
        return []
    every = outcome_clusters(joined[joined["retrainings"].map(bool)])
    return [one for one in every if one.sharing in sharings]


def accuracy_against(
    members: Sequence[Cluster], field: str, heads: Mapping[int, str], own: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """Top-1 after retraining against a setting: a panel per data set, space and limits.

    A line joins clusters that differ in nothing but the setting; points are single searches,
    lines their mean, bars the sample standard deviation.

    Args:
        members: the clusters.
        field: the setting, a number.
        heads: what each cluster's line is, by ``id``.
        own: settings that ``heads`` and the axes show.

    Raises:
        FigureUnavailableError: no line has two values of the setting.
    """
    every = (field, *LIMITS, *own)
    named = named_clusters(members, every, [heads[id(one)] for one in members])
    lines: dict[tuple[_Place, str], list[Cluster]] = {}
    for one in members:
        place = (one.dataset, one.space, one.limits)
        lines.setdefault((place, named.names[id(one)]), []).append(one)
    if not any(len({one.protocol[field] for one in line}) > 1 for line in lines.values()):
        raise FigureUnavailableError(
            f"no retrained searches differ in {field.replace('_', ' ')} alone"
        )
    places = list(dict.fromkeys(place for place, _ in lines))
    drawing, axes = panels(len(places))
    for panel, place in zip(axes, places, strict=True):
        here = {name: line for (where, name), line in lines.items() if where == place}
        for name, line in here.items():
            _draw_line(panel, line, field, name, named)
        panel.set_ylabel("top-1 after retraining (%)")
        dataset, space, limits = place
        num = sum(one.num_seeds for line in here.values() for one in line)
        set_title(panel, f"{dataset}, {space}", f"{num} retrained archs, limits: {limits}")
    add_legend(drawing, axes, named.looks, named.key)
    return drawing, axes


def _draw_line(panel: Axes, line: list[Cluster], field: str, name: str, named: Named) -> None:
    ordered = sorted(line, key=lambda one: float(one.protocol[field]))
    places = [float(one.protocol[field]) for one in ordered]
    values = [one.estimate("top1") for one in ordered]
    look = named.looks[name]
    panel.errorbar(
        places, [one.mean for one in values], np.nan_to_num([one.sd for one in values]),
        capsize=3, label=name, **look,
    )  # fmt: skip
    for place, one in zip(places, ordered, strict=True):
        tops = one.rows["top1"]
        panel.scatter([place] * len(tops), tops, s=9, alpha=0.5, color=look["color"])
