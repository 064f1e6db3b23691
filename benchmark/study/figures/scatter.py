"""Predicted against stand-alone scores of each row of a study."""

from __future__ import annotations

from matplotlib.figure import Figure

from benchmark.study.definition import Picture, StudyData
from benchmark.study.ranked import NAMES, datasets, groups
from benchmark.views.scatter import scatter
from benchmark.views.style import FigureUnavailableError


def figure(data: StudyData) -> Figure:
    """Predicted against true score, a point per architecture, a panel per row.

    The first seed of each row is shown, on the first data set that has runs.

    Raises:
        FigureUnavailableError: there is no run.
        UserError: a file is damaged.
    """
    for dataset in datasets(data):
        name = NAMES.get(dataset, dataset)
        found = [
            (f"{name}: {row.label}", own.sort_values("seed").iloc[0])
            for row, own in groups(data, dataset)
        ]
        if found:
            return scatter(found)
    raise FigureUnavailableError("no run has its predictions")


PICTURE = Picture("scatter", "Predicted against stand-alone accuracy.", figure)
"""As most studies show it."""
