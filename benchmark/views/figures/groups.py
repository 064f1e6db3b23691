"""Paper figure 9: iterative against joint training of supernets and simplex-net, by groups m."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmark.views.clusters import Cluster
from benchmark.views.figures._searches import accuracy_against, retrained_clusters
from benchmark.views.figures._style import Plot

_NAMES = {"alternate": "iterative", "joint": "joint"}


def figure(retrained: pd.DataFrame, searches: pd.DataFrame) -> Figure:
    """Top-1 in percent after retraining against m, a line per schedule and K.

    Args:
        retrained: the result of ``benchmark.records.load_searches.load_retrained``.
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Raises:
        FigureUnavailableError: no two retrained searches differ in m alone.
    """
    members = retrained_clusters(retrained, searches, ("simplex",))
    drawing, axes = accuracy_against(members, "num_groups", ("schedule",), _kind)
    for panel in axes:
        ticks = sorted(
            {int(place) for line in panel.lines for place in np.asarray(line.get_xdata())}
        )
        panel.set_xscale("log", base=2)
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel("architectures of a simplex step, m")
    return drawing


def _kind(one: Cluster) -> str:
    schedule = one.protocol["schedule"]
    return f"K = {one.K} {_NAMES.get(schedule, schedule)}"


PLOT = Plot(figure, ("retrained", "searches"))
