"""Kendall's tau of each row of a study, a dot a run, by accuracy and by the negative loss."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.study.definition import Picture, StudyData, of_row
from benchmark.study.dots import draw_dots
from benchmark.study.figures.copies import title
from benchmark.study.ranked import datasets, on
from benchmark.views.ranks import METRIC, agreement, best_control, each_by_loss
from benchmark.views.style import NEUTRAL, FigureUnavailableError, add_legend, panels, set_title
from benchmark.views.values import numbers

_ROW_INCHES = 0.38


def figure(data: StudyData) -> Figure:
    """A pair of panels per data set, by accuracy and by −loss, a row of dots per row of the study.

    Lines show the best control and the agreement of two seeds of the truth.

    Raises:
        FigureUnavailableError: there is no run yet.
    """
    shown = [name for name in datasets(data) if len(on(data, name))]
    if not shown:
        raise FigureUnavailableError("there is no run yet")
    drawing, axes = panels(2 * len(shown), max_columns=2)
    for index, dataset in enumerate(shown):
        runs = on(data, dataset)
        own = {row.label: of_row(runs, row) for row in data.rows}
        accuracy = {label: 100 * numbers(one, f"metrics.{METRIC}") for label, one in own.items()}
        loss = {label: 100 * each_by_loss(one) for label, one in own.items()}
        for panel, (name, values) in zip(
            axes[2 * index : 2 * index + 2],
            {"accuracy": accuracy, "−loss": loss}.items(),
            strict=True,
        ):
            draw_dots(panel, _known(values), f"Kendall tau-b (%) by {name}")
            _lines(panel, best_control(runs), agreement(runs))
            set_title(panel, title(data, dataset))
    rows = math.ceil(len(axes) / 2)
    drawing.set_figheight(rows * (1.6 + _ROW_INCHES * len(data.rows)))
    if any(panel.get_legend_handles_labels()[1] for panel in axes):
        add_legend(drawing, axes, [])
    return drawing


def _known(values: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    return {label: one[~np.isnan(one)] for label, one in values.items()}


def _lines(panel: Axes, counted: tuple[str, float] | None, agreed: float) -> None:
    if counted is not None:
        name, value = counted
        panel.axvline(100 * value, color=NEUTRAL, linewidth=1.2, linestyle="--", label=name)
    if not math.isnan(agreed):
        panel.axvline(100 * agreed, color="black", linewidth=1.2, label="seed agreement")


PICTURE = Picture("rows", "Tau-b of each row, a dot a run.", figure)
"""As most studies show it."""
