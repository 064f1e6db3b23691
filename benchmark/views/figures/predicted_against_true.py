"""Scatter of predicted against stand-alone accuracy, the raw material of every correlation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.records.load import load_predictions
from benchmark.views.figures._labels import add_key
from benchmark.views.figures._style import (
    COLOURS,
    FigureUnavailableError,
    panels,
    series_labels,
    set_title,
)
from benchmark.views.groups import groups


def figure(records: pd.DataFrame) -> Figure:
    """Predicted against true accuracy in percent, a point per architecture, a panel per group.

    The first seed of each group is shown.

    Args:
        records: the result of ``benchmark.records.load.load_records``.

    Raises:
        FigureUnavailableError: no run has its predictions.
        UserError: a file is damaged.
    """
    every = groups(records)
    labels = series_labels(records, every, with_k=True)
    shown, reason = [], ""
    for group, label in zip(every, labels.names, strict=True):
        run = group.runs.sort_values("config.seed").iloc[0]
        try:
            shown.append((group, label, run, *_points(run)))
        except FigureUnavailableError as error:
            reason = str(error)
    if not shown:
        raise FigureUnavailableError(reason)
    drawing, axes = panels(len(shown))
    for panel, (group, label, run, predicted, true) in zip(axes, shown, strict=True):
        # Thousands of points as vectors would make a PDF slow to open.
        panel.scatter(
            predicted, true, s=36 / np.log10(true.size + 10) ** 2, alpha=0.5, linewidths=0,
            color=COLOURS[0], rasterized=True,
        )  # fmt: skip
        recorded = run["metrics.kendall_tau_b"]
        tau = "undefined" if pd.isna(recorded) else f"{100 * recorded:.1f} %"
        panel.set_xlabel("predicted accuracy (%)")
        panel.set_ylabel("stand-alone accuracy (%)")
        set_title(
            panel,
            f"{group.setting.dataset}: {label}",
            f"{true.size:,} archs, seed {run['config.seed']}, tau {tau}",
        )
    add_key(drawing, labels.key)
    return drawing


def _points(run: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A run's predictions and the truths it was compared with (A,), in percent."""
    folder = Path(run["path"])
    if not (folder / "predictions.npy").is_file():
        raise FigureUnavailableError(f"{folder} has no predictions.npy")
    scores = load_predictions(folder)
    return scores["accuracy"].astype(np.float64), scores["true"]
