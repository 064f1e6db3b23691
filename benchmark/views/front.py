"""What a search scored against its cost: all of it, the front, the limits, the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.views.pictures import own_style
from benchmark.views.style import COLOURS, NEUTRAL, add_legend, panels, set_title
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
