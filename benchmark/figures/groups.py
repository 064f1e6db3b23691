"""Paper figure 9: iterative against joint training of supernets and simplex-net, by groups m."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmark.figures._searches import accuracy_against, retrained_clusters
from benchmark.figures._style import Plot

_NAMES = {"alternate": "iterative", "joint": "joint"}


def figure(retrained: pd.DataFrame, searches: pd.DataFrame) -> Figure:
    """Top-1 in percent after retraining against m, a line per schedule and K.

    Args:
        retrained: the result of ``benchmark.load_searches.load_retrained``.
        searches: the result of ``benchmark.load_searches.load_searches``.

    Raises:
        FigureUnavailableError: no two retrained searches differ in m alone.
    """
    members = retrained_clusters(retrained, searches, ("simplex",))
    heads = {
        id(one): f"K = {one.K} {_NAMES.get(one.protocol['schedule'], one.protocol['schedule'])}"
        for one in members
    }
    drawing, axes = accuracy_against(members, "num_groups", heads, ("schedule",))
    for panel in axes:
        values = {one.protocol["num_groups"] for one in members}
        ticks = sorted(map(int, values))
        panel.set_xscale("log", base=2)
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel("architectures of a simplex step, m")
    return drawing


PLOT = Plot(figure, ("retrained", "searches"))
