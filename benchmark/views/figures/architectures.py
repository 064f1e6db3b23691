"""Paper figures 10 and 11: operations and widths of the architectures that were found."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from benchmark.views.drawing import draw_all
from benchmark.views.figures._archs import entries
from benchmark.views.figures._labels import add_key
from benchmark.views.figures._style import Plot


def figure(searches: pd.DataFrame, retrained: pd.DataFrame) -> Figure:
    """Drawings of the found architectures, a row each; see ``benchmark.views.drawing``.

    Args:
        searches: the result of ``benchmark.records.load_searches.load_searches``.
        retrained: the result of ``benchmark.records.load_searches.load_retrained``.

    Raises:
        FigureUnavailableError: none was found.
    """
    found, key = entries("mobilenetv2", searches, retrained)
    drawing = draw_all(found)
    add_key(drawing, key, drawing.legends[0])
    return drawing


PLOT = Plot(figure, ("searches", "retrained"))
