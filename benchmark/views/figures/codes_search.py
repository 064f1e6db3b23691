"""Paper figures 6 and 8: histogram of the codes of everything a search scored, by copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.cli.errors import UserError
from benchmark.records.load import load_codes
from benchmark.records.load_searches import SEARCH_AGAIN
from benchmark.views.clusters import LIMITS
from benchmark.views.figures._labels import add_key
from benchmark.views.figures._searches import files, main_searches, named_clusters
from benchmark.views.figures._style import FigureUnavailableError, Plot, panels, set_title
from benchmark.views.figures.codes import draw_codes


def figure(searches: pd.DataFrame) -> Figure:
    """Histogram of each copy's coefficient over searched architectures, a panel per search.

    The first seed of each group of searches with K > 1 is shown; fixed codes are 1/K and are left
    out, and ensembles have none.

    Args:
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Raises:
        FigureUnavailableError: no search with K > 1 has its ``codes.npy``.
        UserError: a ``codes.npy`` is damaged.
    """
    every = [
        one for one in main_searches(searches) if one.sharing in ("random", "few-shot", "simplex")
    ]
    named = named_clusters(every, LIMITS)
    shown = [(one, files(one, "codes.npy")) for one in every]
    shown = [(one, found) for one, found in shown if found]
    if not shown:
        raise FigureUnavailableError("no search with K > 1 and codes that vary has a codes.npy")
    drawing, axes = panels(len(shown))
    for panel, (one, found) in zip(axes, shown, strict=True):
        run, folder = min(found, key=lambda pair: (pair[0]["config.seed"], str(pair[1])))
        codes = _codes(folder, (int(run["num_scored"]), one.K))
        draw_codes(panel, codes)
        set_title(
            panel,
            f"{one.dataset}: {named.names[id(one)]}",
            f"{len(codes):,} archs, limits: {one.limits}, seed {run['config.seed']}",
        )
    add_key(drawing, named.key)
    return drawing


def _codes(search: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The codes (A, K) of everything a search scored."""
    codes = load_codes(search, SEARCH_AGAIN)
    if codes.shape != shape:
        path = search / "codes.npy"
        raise UserError(f"{path} should be of shape {shape}, got {codes.shape}; {SEARCH_AGAIN}")
    return codes


PLOT = Plot(figure, ("searches",))
