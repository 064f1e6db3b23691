"""A figure of values by row: a dot a job, the mean and the spread of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.study.definition import Row, StudyData
from benchmark.study.found import accuracies
from benchmark.views.style import COLOURS, NEUTRAL, FigureUnavailableError, panels
from benchmark.views.values import Estimate

_ROW_INCHES = 0.38


def draw_dots(panel: Axes, values: Mapping[str, NDArray[np.float64]], xlabel: str) -> None:
    """Rows from the top down: single jobs as dots, their mean as a line, its spread as a bar.

    Args:
        panel: where to.
        values: label of a row -> values (N,), N of 0 leaves the row empty.
        xlabel: of the values.
    """
    places = range(len(values))
    for place, one in zip(places, values.values(), strict=True):
        if not len(one):
            continue
        found = Estimate.of(one)
        # A single job has no spread: no bar.
        panel.errorbar(
            [found.mean], [place], xerr=[found.sd], fmt="|", markersize=14, capsize=3,
            color=NEUTRAL,
        )  # fmt: skip
        panel.scatter(one, [place] * len(one), s=22, color=COLOURS[0], zorder=3)
    panel.set_yticks(list(places), list(values))
    panel.set_ylim(len(values) - 0.5, -0.5)
    panel.set_xlabel(xlabel)
    panel.set_ylabel("")


def accuracy_dots(data: StudyData, rows: Sequence[Row] | None = None) -> Figure:
    """Top-1 after retraining of each row.

    Raises:
        FigureUnavailableError: nothing was retrained yet.
    """
    rows = data.rows if rows is None else rows
    values = {row.label: accuracies(data, row).to_numpy(dtype=float) for row in rows}
    if not any(map(len, values.values())):
        raise FigureUnavailableError("nothing that this study found was retrained yet")
    drawing, (panel,) = panels(1)
    drawing.set_figheight(1.2 + _ROW_INCHES * len(values))
    draw_dots(panel, values, "top-1 after retraining (%), a dot a search")
    return drawing
