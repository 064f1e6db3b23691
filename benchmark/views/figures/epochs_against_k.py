"""Paper figure 7: accuracy of what is found against the epochs of the supernet, a line per K."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.views.figures._searches import accuracy_against, retrained_clusters
from benchmark.views.figures._style import Plot
from benchmark.views.groups import SHARINGS


def figure(retrained: pd.DataFrame, searches: pd.DataFrame) -> Figure:
    """Top-1 in percent after retraining against the supernet's epochs, a line per K.

    Args:
        retrained: the result of ``benchmark.records.load_searches.load_retrained``.
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Raises:
        FigureUnavailableError: no two retrained searches differ in epochs alone.
    """
    members = retrained_clusters(retrained, searches, SHARINGS)
    drawing, axes = accuracy_against(members, "epochs")
    for panel in axes:
        panel.set_xlabel("epochs of the supernet")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    return drawing


PLOT = Plot(figure, ("retrained", "searches"))
