"""What the figures of searches and of found architectures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.views.clusters import (
    LIMITS,
    Cluster,
    clusters,
    differing,
    main_comparison,
    mere_switches,
)
from benchmark.views.figures._labels import labels
from benchmark.views.figures._style import (
    FigureUnavailableError,
    Named,
    add_legend,
    panels,
    set_title,
    styles,
)
from benchmark.views.found import outcome_clusters, outcomes

# Data set, space and limits of a panel.
_Place = tuple[str, str, str]
# What a setting that is on adds to a name.
_WORDS = {"factors": "widths", "regularisation": "r_c", "method": "random search"}


def heads(members: Sequence[Cluster]) -> tuple[list[str], list[str]]:
    """What clusters are: sharing, K, widths, r_c, random search; and the settings that this says.

    What all have in common is left out.
    """
    said = mere_switches(members, list(_WORDS))
    telling = [name for name in said if not all(_on(one, name) for one in members)]
    names = [
        ", ".join([_sharing(one), *(_WORDS[name] for name in telling if _on(one, name))])
        for one in members
    ]
    return names, said


def _sharing(one: Cluster) -> str:
    return "one-shot" if one.sharing == "one-shot" else f"K = {one.K} {one.sharing}"


def _on(one: Cluster, setting: str) -> bool:
    on = {"factors": one.searches_widths, "regularisation": one.regularised}
    return on.get(setting, one.protocol.get("method") == "random")


def named_clusters(
    members: Sequence[Cluster], own: Sequence[str], prefixes: Sequence[str] | None = None
) -> Named:
    """Names and looks of clusters, in their order.

    Args:
        members: the clusters.
        own: settings that the figure shows in another way.
        prefixes: in place of sharing and K.
    """
    found, said = heads(members)
    found = found if prefixes is None else list(prefixes)
    own = (*own, *said) if prefixes is None else own
    found_labels = labels(found, [one.protocol for one in members], differing(members, own))
    names = {id(one): name for one, name in zip(members, found_labels.names, strict=True)}
    return Named(names, styles(found_labels.names), found_labels.key)


def main_searches(searches: pd.DataFrame, extra: Sequence[str] = ()) -> list[Cluster]:
    """Clusters of searches, without those of side studies.

    Args:
        searches: the result of ``load_searches``.
        extra: as for ``clusters``.
    """
    compared = ("method", "factors", "regularisation", *LIMITS)
    return main_comparison(
        clusters(searches, extra=extra),
        compared,
        lambda one: (one.sharing, one.K, *(one.protocol.get(name) for name in compared)),
    )


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
    members: Sequence[Cluster],
    field: str,
    own: Sequence[str] = (),
    kind: Callable[[Cluster], str] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Top-1 after retraining against a setting: a panel per data set, space and limits.

    A line joins clusters that differ in nothing but the setting; points are single searches,
    lines their mean, bars the sample standard deviation. A cluster without a line is left out.

    Args:
        members: the clusters.
        field: the setting, a number.
        own: settings that ``kind`` tells.
        kind: of a cluster, what its line is, in place of sharing and K.

    Raises:
        FigureUnavailableError: no line has two values of the setting.
    """
    lines: dict[tuple[_Place, Any], list[Cluster]] = {}
    for one in members:
        rest = {name: value for name, value in one.protocol.items() if name != field}
        place = (one.dataset, one.space, one.limits)
        lines.setdefault((place, (one.sharing, one.K, *rest.items())), []).append(one)
    lines = {key: line for key, line in lines.items() if len(line) > 1}
    if not lines:
        raise FigureUnavailableError(
            f"no retrained searches differ in {field.replace('_', ' ')} alone"
        )
    drawn = [line[0] for line in lines.values()]
    prefixes = [kind(one) for one in drawn] if kind else None
    named = named_clusters(drawn, (field, *LIMITS, *own), prefixes)
    places = list(dict.fromkeys(place for place, _ in lines))
    drawing, axes = panels(len(places))
    for panel, place in zip(axes, places, strict=True):
        here = [line for (where, _), line in lines.items() if where == place]
        for line in here:
            _draw_line(panel, line, field, named.names[id(line[0])], named)
        panel.set_ylabel("top-1 after retraining (%)")
        dataset, space, limits = place
        num = sum(one.num_seeds for line in here for one in line)
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
