"""The search's counterpart of paper figure 4: the best so far against architectures scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.records.load_searches import load_evaluated
from benchmark.views.clusters import LIMITS, Cluster
from benchmark.views.figures._searches import files, main_searches, named_clusters
from benchmark.views.figures._style import (
    FigureUnavailableError,
    Named,
    Plot,
    add_legend,
    panels,
    set_title,
)
from benchmark.views.groups import MISSING, numbers

# Thin lines of more groups than this hide the thick ones.
MAX_WITH_SEEDS = 4
_OWN = (*LIMITS, "truth_column", "truth.column", "truth.sha256")


def figure(searches: pd.DataFrame) -> Figure:
    """Accuracy of the best so far, a line per group of searches: seeds thin, their mean thick.

    Where there is a truth table the accuracy is the true one of the architecture that the shared
    weights rate best so far, and the optimum within the limits is a line; else it is the accuracy
    that the shared weights give it, which compares within one supernet only.

    Args:
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Raises:
        FigureUnavailableError: no search has its ``evaluated.csv``.
        UserError: an ``evaluated.csv`` is damaged.
    """
    every = main_searches(searches, ("truth.column", "truth.sha256"))
    curves = {id(one): _curves(one) for one in every}
    every = [one for one in every if curves[id(one)]]
    if not every:
        raise FigureUnavailableError("no search has an evaluated.csv")
    named = named_clusters(every, _OWN)
    rows: dict[tuple[str, ...], list[Cluster]] = {}
    for one in every:
        rows.setdefault(_setting(one), []).append(one)
    drawing, axes = panels(len(rows))
    for panel, (setting, members) in zip(axes, rows.items(), strict=True):
        for one in members:
            _draw(panel, curves[id(one)], named.names[id(one)], named, len(members))
        optima = [numbers(one.rows, "optimum.true") for one in members]
        optimum = np.concatenate(optima)
        if not np.isnan(optimum).all():
            panel.axhline(
                float(np.nanmax(optimum)),
                color="black",
                linewidth=1.2,
                label="optimum of the truth",
            )
        dataset, space, limits, truth, _, widths = setting
        true = truth != MISSING
        panel.set_xlabel("architectures scored")
        panel.set_ylabel("true accuracy of the best (%)" if true else "held-out accuracy (%)")
        measured = truth if true else "measured with shared weights"
        what = ", ".join(filter(None, [dataset, space, widths]))
        set_title(panel, what, f"archs within limits: {limits}", measured)
    add_legend(drawing, axes, named.looks, named.key)
    return drawing


def best_so_far(evaluated: pd.DataFrame) -> NDArray[np.float64]:
    """Accuracy in percent of the best of the first n architectures, (num_scored,).

    Best is the most accurate, of equals the one of less loss, then of fewer multiply-adds; its
    accuracy is the true one where there is one.
    """
    column = "true" if "true" in evaluated.columns else "accuracy"
    best: tuple[Any, ...] | None = None
    values, value = [], np.nan
    for row in evaluated.to_dict("records"):
        rating = (-row["accuracy"], row["loss"], row["flops"])
        if best is None or rating < best:
            best, value = rating, row[column]
        values.append(value)
    return np.asarray(values, dtype=np.float64)


def _curves(one: Cluster) -> list[NDArray[np.float64]]:
    """``best_so_far`` of each search."""
    return [
        best_so_far(load_evaluated(folder, int(run["num_scored"])))
        for run, folder in files(one, "evaluated.csv")
    ]


def _setting(one: Cluster) -> tuple[str, ...]:
    """What two curves must share to be in one panel."""
    truth = (one.protocol["truth.column"], one.protocol["truth.sha256"])
    widths = "widths searched" if one.searches_widths else ""
    return (one.dataset, one.space, one.limits, *truth, widths)


def _draw(
    panel: Axes, curves: list[NDArray[np.float64]], name: str, named: Named, num_groups: int
) -> None:
    look = named.looks[name]
    longest = max(len(curve) for curve in curves)
    # A search that found nothing new any more stays where it is.
    whole = np.array([np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves])
    places = np.arange(1, longest + 1)
    if len(curves) > 1 and num_groups <= MAX_WITH_SEEDS:
        panel.plot(
            places, whole.T, color=look["color"], linestyle=look["linestyle"], linewidth=0.6,
            alpha=0.4, drawstyle="steps-post",
        )  # fmt: skip
    panel.plot(
        places, whole.mean(axis=0), label=name, linewidth=2, markersize=4,
        markevery=max(1, longest // 8), drawstyle="steps-post", **look,
    )  # fmt: skip


PLOT = Plot(figure, ("searches",))
