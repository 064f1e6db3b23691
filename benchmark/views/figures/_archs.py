"""Found architectures with their titles, for the figures that draw them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

from benchmark.config.space import SpaceSettings
from benchmark.views.clusters import LIMITS
from benchmark.views.drawing import Entry
from benchmark.views.figures._searches import first_run, main_searches, named_clusters
from benchmark.views.figures._style import FigureUnavailableError
from benchmark.views.found import arch_id
from benchmark.views.groups import Estimate, numbers, text


def entries(
    space: str, searches: pd.DataFrame, retrained: pd.DataFrame
) -> tuple[list[Entry], tuple[str, ...]]:
    """What was found in a kind of space, each architecture once, and the key to their titles.

    The first seed of each group of searches is shown, and what was retrained without a search here.

    Args:
        space: the space's name.
        searches: the result of ``load_searches``.
        retrained: the result of ``load_retrained``.

    Raises:
        FigureUnavailableError: nothing was found there.
    """
    members = main_searches(searches[searches["space"] == space])
    named = named_clusters(members, LIMITS)
    found: dict[tuple[str, str], tuple[pd.Series, str, list[str]]] = {}
    for one in members:
        run = first_run(one)
        key = (one.dataset, arch_id(run, run["best.arch"]))
        words = f"{named.names[id(one)]}, limits: {one.limits}"
        found.setdefault(key, (run, str(run["best.arch"]), []))[2].append(words)
    here = set(searches["folder"])
    for _, run in retrained[retrained["space"] == space].iterrows():
        key = (str(run["config.dataset"]), arch_id(run, run["config.arch"]))
        if run["search.record"] not in here:
            found.setdefault(key, (run, str(run["config.arch"]), [_origin(run)]))
    if not found:
        raise FigureUnavailableError(f"no architecture of {space} was searched for or retrained")
    result = []
    for (dataset, name), (run, arch, finders) in found.items():
        title = f"{name}: {dataset}; {'; '.join(finders)}: {_costs(run)}, "
        title += _accuracy(run, dataset, name, retrained)
        result.append((_settings(run), title, arch))
    return result, named.key


def _costs(run: pd.Series) -> str:
    flops, params = run.get("best.flops"), run.get("best.params")
    if flops is None:
        flops, params = run["flops"], run["params"]
    return f"{float(flops) / 1e6:.4g} MFLOPs, {float(params or 0) / 1e6:.3g} M parameters"


def _accuracy(run: pd.Series, dataset: str, name: str, retrained: pd.DataFrame) -> str:
    """Accuracies after retraining, one for each way of it, or what the search knows."""
    same = [
        str(row["config.dataset"]) == dataset and arch_id(row, row["config.arch"]) == name
        for _, row in retrained.iterrows()
    ]
    rows = retrained[pd.Series(same, index=retrained.index, dtype=bool)]
    if not rows.empty:
        recipes = [
            column
            for column in rows.columns
            if column.startswith("config.") and column != "config.seed"
        ]
        ways = rows[recipes].map(text).agg("|".join, axis=1)
        means = [
            Estimate.of(numbers(part, "top1")).mean for _, part in rows.groupby(ways, sort=True)
        ]
        return f"top-1 {' and '.join(f'{mean:.2f}' for mean in means)} % retrained"
    if pd.notna(run["best.true"]):
        return f"true accuracy {run['best.true']:.2f} %"
    return f"{run['best.accuracy']:.2f} % with shared weights"


def _origin(run: pd.Series) -> str:
    """Where a retrained architecture comes from whose search is not at hand."""
    if pd.isna(run["search.record"]):
        return "given"
    return f"found elsewhere, {run['search.record']}"


def _settings(run: pd.Series) -> SpaceSettings:
    """A record's space; a column with gaps has turned whole numbers into floats."""
    values: dict[str, Any] = {}
    for name, default in dataclasses.asdict(SpaceSettings()).items():
        value = run.get(f"config.{name}")
        if pd.notna(value):
            values[name] = type(default)(value)
    return SpaceSettings(**values)
