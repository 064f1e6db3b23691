"""Predicted against stand-alone accuracy, the raw material of every correlation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmark.records.load import load_predictions
from benchmark.study.definition import StudyData
from benchmark.study.ranked import NAMES, datasets, groups
from benchmark.views.ranks import score_name
from benchmark.views.style import COLOURS, FigureUnavailableError, panels, set_title

MAX_PANELS = 8


def figure(data: StudyData) -> Figure:
    """Predicted against true score, a point per architecture, a panel per row.

    The first seed of each row is shown, on the first data set that has runs.

    Raises:
        FigureUnavailableError: there is no run.
        UserError: a file is damaged.
    """
    for dataset in datasets(data):
        found = [(row, own.sort_values("seed").iloc[0]) for row, own in groups(data, dataset)]
        if found:
            break
    else:
        raise FigureUnavailableError("no run has its predictions")
    drawing, axes = panels(min(len(found), MAX_PANELS))
    for panel, (row, run) in zip(axes, found, strict=False):
        scores = load_predictions(Path(run["path"]))
        num = len(scores)
        # Thousands of points as vectors would make a PDF slow to open.
        panel.scatter(
            scores["accuracy"], scores["true"], s=36 / np.log10(num + 10) ** 2, alpha=0.5,
            linewidths=0, color=COLOURS[0], rasterized=True,
        )  # fmt: skip
        recorded = run["metrics.kendall_tau_b"]
        tau = "undefined" if pd.isna(recorded) else f"{100 * recorded:.1f} %"
        panel.set_xlabel(f"predicted {score_name(run)}")
        panel.set_ylabel(f"stand-alone {score_name(run)}")
        name = NAMES.get(dataset, dataset)
        set_title(panel, f"{name}: {row.label}", f"{num:,} archs, seed {run['seed']}, tau {tau}")
    return drawing
