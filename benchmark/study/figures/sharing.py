"""What sharing weights does: rankings while training, order and gradients by distance."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from benchmark.study.definition import StudyData
from benchmark.study.scored import Scored, Values, scored
from benchmark.study.watched import watched
from benchmark.views.style import (
    NEUTRAL,
    FigureUnavailableError,
    add_legend,
    draw_mean,
    panels,
    set_title,
    styles,
)
from kshot_core.evaluation.traits import DEPTH, PARAMETERS
from kshot_core.metrics.pairs import order_by_distance

MOST_PANELS = 6
_FEWEST_PAIRS = 30
"""A mean of fewer pairs is not drawn."""
_EPOCHS = "needs runs with track_every 1, which keeps the weights of each epoch"
_GRADIENTS = "needs runs with gradient_archs, which compares gradients in pairs"
_ORDER = (
    "tau-b with the truth", "tau-b with the last ranking", "preference for parameters",
    "preference for depth",
)  # fmt: skip


def while_training(data: StudyData, only: str = "") -> Figure:
    """Rankings after each epoch that was looked at, a panel per row.

    Tau-b with the truth, tau-b with the ranking after the last epoch, and what is preferred at
    equal truth: parameters, or depth where all architectures cost the same. Means over seeds,
    bands of one standard deviation.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown, the first six that were tracked.

    Raises:
        FigureUnavailableError: no run was tracked.
        UserError: a file is damaged.
    """
    seen = {label: watched(one) for label, one in scored(data, only).items()}
    shown = [(label, one) for label, one in seen.items() if one is not None][:MOST_PANELS]
    if not shown:
        raise FigureUnavailableError(f"it {_EPOCHS}")
    looks = styles(_ORDER)
    drawing, axes = panels(len(shown))
    for panel, (label, one) in zip(axes, shown, strict=True):
        last = one.with_last()
        # The last ranking agrees with itself.
        last[:, -1] = np.nan
        lines = {_ORDER[0]: one.with_truth(), _ORDER[1]: last}
        trait = next((name for name in (PARAMETERS, DEPTH) if name in one.traits), None)
        if trait is not None:
            lines[f"preference for {trait}"] = one.preference(trait)
        for name, values in lines.items():
            draw_mean(panel, one.epochs, 100 * values, name, looks[name])
        panel.axhline(0, color=NEUTRAL, linewidth=0.8)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("epoch")
        panel.set_ylabel("correlation (%)")
        set_title(panel, label, f"{len(one.true)} tracked archs{_seeds(len(one.merit))}")
    add_legend(drawing, axes, _ORDER)
    return drawing


def order(data: StudyData, only: str = "") -> Figure:
    """Pairs in the right order by the number of sites that differ, a panel per row.

    All pairs, and at equal gaps: as if true scores differed as much as among the nearest pairs.
    Means over seeds, bands of one standard deviation; 50 % is chance.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown, the first six.

    Raises:
        FigureUnavailableError: there is no run whose architectures are known.
    """
    shown = list(scored(data, only).items())[:MOST_PANELS]
    if not shown:
        raise FigureUnavailableError("there is no run whose architectures are known")
    names = ("at equal gaps of the truth", "all pairs")
    looks = styles(names)
    drawing, axes = panels(len(shown))
    for panel, (label, one) in zip(axes, shown, strict=True):
        found = order_by_distance(one.predicted, one.true, _live(one))
        enough = found.num >= _FEWEST_PAIRS
        for name, values in zip(names, (found.at_equal_gaps, found.right), strict=True):
            draw_mean(panel, found.distance[enough], 100 * values[:, enough], name, looks[name])
        panel.axhline(50, color=NEUTRAL, linewidth=0.8)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("sites that differ")
        panel.set_ylabel("pairs in the right order (%)")
        set_title(panel, label, f"{len(one.true):,} archs{_seeds(len(one.predicted))}")
    add_legend(drawing, axes, names)
    return drawing


def gradients(data: StudyData, only: str = "") -> Figure:
    """Cosine of two architectures' gradients in the weights that they share, a panel per row.

    By the part of their searched weights that both use: a dot per pair, the mean of fifths of the
    pairs as a line.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown, the first six with gradients.

    Raises:
        FigureUnavailableError: no run compared gradients.
        UserError: a file is damaged.
    """
    found = {label: one.gradients() for label, one in scored(data, only).items()}
    shown = [(label, one) for label, one in found.items() if one is not None][:MOST_PANELS]
    if not shown:
        raise FigureUnavailableError(f"it {_GRADIENTS}")
    drawing, axes = panels(len(shown))
    look = styles(["pairs"])["pairs"]
    for panel, (label, one) in zip(axes, shown, strict=True):
        known = one[np.isfinite(one["cosine"])]
        cosine = known["cosine"].astype(np.float64)
        share = 100 * known["in_common"].astype(np.float64)
        panel.scatter(share, cosine, s=7, alpha=0.35, linewidths=0, color=look["color"],
                      rasterized=True, label="a pair")  # fmt: skip
        at, mean = _fifths(share, cosine)
        panel.plot(at, mean, color="black", marker="o", markersize=4, label="mean of a fifth")
        panel.axhline(0, color=NEUTRAL, linewidth=0.8)
        panel.set_ylim(-1.05, 1.05)
        panel.set_xlabel("searched weights that both use (%)")
        panel.set_ylabel("cosine of gradients")
        alone = len(one) - len(known)
        set_title(panel, label, f"{len(known):,} pairs, {alone:,} share no searched weight")
    add_legend(drawing, axes, ["a pair", "mean of a fifth"])
    return drawing


def _fifths(x: Values, y: Values) -> tuple[Values, Values]:
    """Means of x and y over fifths of the pairs by x; equal x stay together."""
    edges = np.unique(np.quantile(x, np.linspace(0, 1, 6)[1:])) if x.size else np.empty(0)
    group: NDArray[np.int64] = np.searchsorted(edges, x, side="left").astype(np.int64)
    each = [group == one for one in np.unique(group)]
    return np.array([x[one].mean() for one in each]), np.array([y[one].mean() for one in each])


def _live(one: Scored) -> list[tuple[int, ...]]:
    return [one.space.canonical(arch) for arch in one.archs]


def _seeds(num: int) -> str:
    return f", {num} seed{'s' * (num > 1)}"
