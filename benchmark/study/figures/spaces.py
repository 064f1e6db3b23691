"""Figures of a study of several search spaces: a panel for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmark.study.definition import StudyData, of_row
from benchmark.study.dots import draw_dots
from benchmark.study.spaces import OfSpace, by_space, ranker_of
from benchmark.views.ranks import AGREEMENT, agreement
from benchmark.views.scatter import scatter
from benchmark.views.style import NEUTRAL, FigureUnavailableError, add_legend, panels, set_title
from kshot_core.metrics.correlation import kendall_tau_b

_ROW_INCHES = 0.5


def taus(data: StudyData) -> Figure:
    """Tau-b by −loss of every ranker, a dot a run, a panel a space; the best count, the agreement.

    Raises:
        FigureUnavailableError: there is no run yet.
        UserError: a file is damaged.
    """
    spaces = _spaces(data)
    drawing, axes = panels(len(spaces), max_columns=2)
    for panel, space in zip(axes, spaces, strict=True):
        ranked = {one.row.name: one for one in space.ranked}
        values = {}
        for row in space.rows:
            one = ranked.get(row.name)
            scores = () if one is None else one.predicted
            true = () if one is None else one.true
            values[ranker_of(row)] = np.array([100 * kendall_tau_b(each, true) for each in scores])
        draw_dots(panel, values, "Kendall tau-b (%) by −loss")
        best = space.best_count()
        if best is not None:
            tau = 100 * kendall_tau_b(best[1], space.ranked[0].true)
            panel.axvline(tau, color=NEUTRAL, linewidth=1.2, linestyle="--", label="best count")
        agreed = 100 * agreement(space.runs)
        if not np.isnan(agreed):
            panel.axvline(agreed, color="black", linewidth=1.2, label=AGREEMENT)
        counted = "" if best is None else f"; best count: {best[0]}"
        set_title(panel, space.label, f"{len(space.ranked[0].true)} archs{counted}")
    rows = -(-len(spaces) // 2)
    drawing.set_figheight(rows * (1.5 + _ROW_INCHES * max(len(one.rows) for one in spaces)))
    if any(panel.get_legend_handles_labels()[1] for panel in axes):
        add_legend(drawing, axes, ["best count", AGREEMENT])
    return drawing


def scatters(data: StudyData, only: str) -> Figure:
    """Predicted against true score, the first seed of each row.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown.

    Raises:
        FigureUnavailableError: they have no run yet.
        UserError: a file is damaged.
    """
    found = [
        (space.label, of_row(space.runs, one.row).sort_values("seed").iloc[0])
        for space in _spaces(data)
        for one in space.ranked
        if one.row.name.endswith(only)
    ]
    if not found:
        raise FigureUnavailableError("there is no run yet")
    return scatter(found)


def _spaces(data: StudyData) -> Sequence[OfSpace]:
    spaces = list(by_space(data))
    if not spaces:
        raise FigureUnavailableError("there is no run yet")
    return spaces
