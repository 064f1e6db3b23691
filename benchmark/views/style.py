"""What figures share: panels, colours that colour-blind readers can tell apart, one legend."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TypedDict

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

# Okabe & Ito's palette without black (paper's figures) and without yellow (faint on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
KINDS = (COLOURS[0], COLOURS[2], COLOURS[1], *COLOURS[3:])
"""Of the kinds of what is drawn of an architecture, from 1 on."""
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P")
NEUTRAL = "#666666"
PANEL_INCHES = (4.6, 3.5)
LEGEND_ROW_INCHES = 0.24
_CHARACTERS_PER_INCH = 11


class FigureUnavailableError(Exception):
    """The records hold nothing this figure could show; the message says what is missing."""


class Style(TypedDict):
    """Keyword arguments of a line."""

    color: str
    linestyle: str
    marker: str


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """A look for each label, in order: colours and markers first, then kinds of line."""
    looks = itertools.cycle(itertools.product(LINES, zip(COLOURS, MARKERS, strict=True)))
    return {
        label: Style(color=colour, linestyle=line, marker=marker)
        for label, (line, (colour, marker)) in zip(dict.fromkeys(labels), looks, strict=False)
    }


def panels(num_panels: int, max_columns: int = 3) -> tuple[Figure, list[Axes]]:
    """A figure of ``num_panels`` equal panels, readable when printed a page wide."""
    num_columns = min(num_panels, max_columns)
    num_rows = math.ceil(num_panels / num_columns)
    figure = Figure(
        figsize=(max(PANEL_INCHES[0] * num_columns, 5.6), PANEL_INCHES[1] * num_rows),
        layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08),
    )
    axes = figure.subplots(num_rows, num_columns, squeeze=False).flatten().tolist()
    for spare in axes[num_panels:]:
        spare.remove()
    for panel in axes[:num_panels]:
        panel.grid(visible=True, color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes[:num_panels]


def add_legend(figure: Figure, axes: Sequence[Axes], order: Iterable[str]) -> None:
    """One legend below all panels: labels once, ``order`` first; the figure grows to fit it.

    Args:
        figure: where to.
        axes: panels with labelled series.
        order: labels in their order.
    """
    found: dict[str, Artist] = {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(str(label), handle)
    # Panels may lack some series, so that the order of finding says nothing.
    leading = {label: found[label] for label in order if label in found}
    found = leading | found
    longest = max(len(label) for label in found)
    width, height = figure.get_size_inches()
    num_columns = max(1, min(len(found), int(width / (0.09 * longest + 0.8))))
    num_rows = math.ceil(len(found) / num_columns)
    figure.set_size_inches(width, height + LEGEND_ROW_INCHES * num_rows)
    figure.legend(
        list(found.values()), list(found), loc="outside lower center", ncols=num_columns,
        frameon=False, fontsize=9,
        # Long enough for a broken line to be told from a full one, with a marker in its middle.
        handlelength=3,
    )  # fmt: skip


def set_title(panel: Axes, *lines: str) -> None:
    """A panel's title, broken into further lines where it would run into its neighbour's."""
    width = int(_CHARACTERS_PER_INCH * PANEL_INCHES[0])
    panel.set_title("\n".join(textwrap.fill(line, width) for line in lines), fontsize=10)


def draw_mean(
    panel: Axes, x: ArrayLike, values: NDArray[np.float64], label: str, look: Style
) -> None:
    """A line through the mean of values (N, X) over N, in a band of one sample standard deviation.

    Args:
        panel: drawn on.
        x: places (X,).
        values: a row per run; a single one has no band.
        label: of the line.
        look: of ``styles``.
    """
    mean = values.mean(axis=0)
    sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])
    panel.plot(x, mean, markersize=4, label=label, **look)
    panel.fill_between(x, mean - sd, mean + sd, color=look["color"], alpha=0.15, linewidth=0)
