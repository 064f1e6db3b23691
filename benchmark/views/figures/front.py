"""What a search scored against its cost: all of it, the Pareto front, the limits, the chosen one.

Also by itself, for the folder of a search: ``front_figure``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.records.load_searches import load_evaluated, load_front
from benchmark.views.clusters import LIMITS
from benchmark.views.figures._searches import files, main_searches, named_clusters
from benchmark.views.figures._style import (
    COLOURS,
    NEUTRAL,
    FigureUnavailableError,
    Plot,
    add_legend,
    panels,
    set_title,
)
from benchmark.views.pictures import own_style
from kshot_core.search.limits import Limits

_MILLION = 1e6


class Scored(Protocol):
    """An architecture's accuracy in percent and its multiply-adds."""

    @property
    def accuracy(self) -> float:
        """Percent."""
        ...

    @property
    def flops(self) -> float:
        """Multiply-adds of one image."""
        ...


def front_figure(
    evaluated: Sequence[Scored], front: Sequence[Scored], best: Scored, limits: Limits
) -> Figure:
    """Accuracy in percent against MFLOPs of one search.

    Args:
        evaluated: everything it scored.
        front: those that no other one beats in both.
        best: the one it chose.
        limits: that all of them keep.
    """
    with own_style():
        drawing, (panel,) = panels(1)
        _draw(panel, evaluated, front, best, limits)
        set_title(panel, f"{len(evaluated):,} archs scored")
        add_legend(drawing, [panel], ())
        return drawing


def figure(searches: pd.DataFrame) -> Figure:
    """Accuracy in percent against MFLOPs, a panel for the first seed of each group of searches.

    Args:
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Raises:
        FigureUnavailableError: no search has ``evaluated.csv`` and ``front.csv``.
        UserError: a file is damaged.
    """
    every = main_searches(searches)
    named = named_clusters(every, LIMITS)
    shown = []
    for one in every:
        whole = [pair for pair in files(one, "front.csv") if (pair[1] / "evaluated.csv").is_file()]
        if whole:
            shown.append((one, *min(whole, key=lambda pair: (pair[0]["config.seed"], pair[1]))))
    if not shown:
        raise FigureUnavailableError("no search has an evaluated.csv and a front.csv")
    drawing, axes = panels(len(shown))
    for panel, (one, run, folder) in zip(axes, shown, strict=True):
        evaluated = load_evaluated(folder, int(run["num_scored"]))
        limits = Limits(
            **{
                name: run[f"config.{name}"] or None
                for name in ("max_flops", "max_params", "min_flops")
            }
        )
        _draw(panel, _points(evaluated), _points(load_front(folder)), _best(run), limits)
        set_title(
            panel,
            f"{one.dataset}: {named.names[id(one)]}",
            f"{len(evaluated):,} archs, limits: {one.limits}, seed {run['config.seed']}",
        )
    add_legend(drawing, axes, (), named.key)
    return drawing


def _draw(
    panel: Axes, evaluated: Sequence[Scored], front: Sequence[Scored], best: Scored, limits: Limits
) -> None:
    # Thousands of points as vectors would make a PDF slow to open.
    panel.scatter(
        [one.flops / _MILLION for one in evaluated], [one.accuracy for one in evaluated],
        s=8, alpha=0.5, linewidths=0, color=NEUTRAL, rasterized=True, label="scored",
    )  # fmt: skip
    panel.plot(
        [one.flops / _MILLION for one in front], [one.accuracy for one in front],
        drawstyle="steps-post", marker="o", markersize=3, linewidth=1.2, color=COLOURS[0],
        label="Pareto front",
    )  # fmt: skip
    panel.scatter(
        [best.flops / _MILLION], [best.accuracy], s=110, marker="*", color=COLOURS[1], zorder=3,
        label="chosen",
    )  # fmt: skip
    for place, limit in enumerate(filter(None, (limits.max_flops, limits.min_flops))):
        panel.axvline(
            limit / _MILLION, color="black", linewidth=1.2, linestyle="--",
            label="limit" if place == 0 else None,
        )  # fmt: skip
    panel.set_xlabel("million multiply-adds")
    panel.set_ylabel("held-out accuracy (%)")


class _Point:
    def __init__(self, accuracy: float, flops: float) -> None:
        self.accuracy, self.flops = float(accuracy), float(flops)


def _points(table: pd.DataFrame) -> list[_Point]:
    return [_Point(*pair) for pair in zip(table["accuracy"], table["flops"], strict=True)]


def _best(run: pd.Series) -> _Point:
    return _Point(run["best.accuracy"], run["best.flops"])


PLOT = Plot(figure, ("searches",))
