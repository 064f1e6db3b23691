"""Predicted against stand-alone scores, the raw material of every correlation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.records.load import load_predictions
from benchmark.views.ranks import score_name
from benchmark.views.style import COLOURS, panels, set_title

Values = NDArray[np.floating[Any]]

MAX_PANELS = 8
_FEW = 0.03
"""Share of the architectures at either end that may lie outside of what is shown."""
_FAR = 2.0
"""Times the range of the others that all must span for that."""


def scatter(titled: Sequence[tuple[str, pd.Series]]) -> Figure:
    """Predicted against true score, a point per architecture, a panel per run, eight at most.

    Args:
        titled: a title and a run's row, each; at least one.

    Raises:
        UserError: a file is damaged.
    """
    drawing, axes = panels(min(len(titled), MAX_PANELS))
    for panel, (title, run) in zip(axes, titled, strict=False):
        scores = load_predictions(Path(run["path"]))
        num = len(scores)
        # Thousands of points as vectors would make a PDF slow to open.
        panel.scatter(
            scores["accuracy"], scores["true"], s=36 / np.log10(num + 10) ** 2, alpha=0.5,
            linewidths=0, color=COLOURS[0], rasterized=True,
        )  # fmt: skip
        outside = _zoom(panel, scores["accuracy"], scores["true"])
        recorded = run["metrics.kendall_tau_b"]
        tau = "undefined" if pd.isna(recorded) else f"{100 * recorded:.1f} %"
        panel.set_xlabel(f"predicted {score_name(run)}")
        panel.set_ylabel(f"stand-alone {score_name(run)}")
        lines = [f"{num:,} archs, seed {run.get('config.seed', 0)}, tau {tau}"]
        if outside:
            lines.append(f"{outside:,} lie outside, far from all others")
        set_title(panel, title, *lines)
    return drawing


def _zoom(panel: Axes, predicted: Values, true: Values) -> int:
    """Show where all but a few lie, if these squeeze the others; returns how many are outside.

    Architectures without a path are all at chance, far from the rest.
    """
    hidden = np.zeros(len(true), dtype=bool)
    for axis, values in (("x", predicted), ("y", true)):
        low, high = np.quantile(values, [_FEW, 1 - _FEW])
        margin = 0.1 * (high - low)
        if np.ptp(values) > _FAR * (high - low) > 0:
            low, high = max(values.min(), low - margin), min(values.max(), high + margin)
            ends = low - 0.2 * margin, high + 0.2 * margin
            if axis == "x":
                panel.set_xlim(*ends)
            else:
                panel.set_ylim(*ends)
            hidden |= (values < low) | (values > high)
    return int(hidden.sum())
