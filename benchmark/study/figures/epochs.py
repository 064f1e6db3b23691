"""Kendall's tau while training, measured on a small fixed sample of architectures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.records.load import load_log
from benchmark.study.definition import Picture, StudyData
from benchmark.study.figures.copies import title
from benchmark.study.ranked import datasets, groups
from benchmark.views.style import FigureUnavailableError, add_legend, panels, set_title, styles

_KEY = "kendall_tau_b"


def figure(data: StudyData) -> Figure:
    """Tau-b in percent against the epoch: seeds thin, their mean thick, a colour per row.

    Raises:
        FigureUnavailableError: no run's log has tau in it.
        UserError: a log is damaged.
    """
    looks = styles(row.label for row in data.rows)
    found = {}
    for dataset in datasets(data):
        curves = [(row.label, _curves(own)) for row, own in groups(data, dataset)]
        curves = [(label, curve) for label, curve in curves if not curve.empty]
        if curves:
            found[dataset] = curves
    if not found:
        raise FigureUnavailableError("no run's log.jsonl has Kendall's tau in it")
    drawing, axes = panels(len(found))
    for panel, (dataset, lines) in zip(axes, found.items(), strict=True):
        for label, curve in lines:
            table, look = 100 * curve, looks[label]
            if table.shape[1] > 1:
                panel.plot(table.index, table, color=look["color"], linewidth=0.6, alpha=0.4)
            # A mean over fewer seeds than there are would jump where one is missing.
            mean = table.mean(axis=1, skipna=False)
            panel.plot(mean.index, mean, markersize=4, linewidth=2, label=label, **look)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("epoch")
        panel.set_ylabel("Kendall tau-b on a sample (%)")
        set_title(panel, title(data, dataset))
    add_legend(drawing, axes, looks)
    return drawing


def _curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Tau by epoch (rows) and run (columns), epochs where any run measured it."""
    columns = {}
    for folder in map(Path, runs["path"]):
        if not (folder / "log.jsonl").is_file():
            continue
        log = load_log(folder)
        if _KEY in log.columns:
            taus = pd.to_numeric(log.set_index("epoch")[_KEY]).astype(np.float64).dropna()
            columns[folder.name] = taus[~taus.index.duplicated(keep="last")]
    return pd.DataFrame(columns).sort_index()


PICTURE = Picture("epochs", "Kendall's tau while training.", figure)
"""As most studies show it."""
