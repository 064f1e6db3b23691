"""How well the best architectures are told from the rest (paper figure 5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from benchmark.study.definition import Picture, StudyData
from benchmark.study.figures.copies import title
from benchmark.study.ranked import datasets, groups, on
from benchmark.views.style import (
    NEUTRAL,
    FigureUnavailableError,
    add_legend,
    draw_mean,
    panels,
    set_title,
    styles,
)
from benchmark.views.values import numbers

_KEY = "high_low_tau_by_size"


def figure(data: StudyData) -> Figure:
    """High-versus-low tau in percent against the high group's size, a line per row.

    Bands are one sample standard deviation over seeds; the dashed line counts parameters.

    Raises:
        FigureUnavailableError: no record has the curve.
    """
    shown = [one for one in datasets(data) if _curve(on(data, one), "metrics")[0].size]
    if not shown:
        raise FigureUnavailableError(f"no record has metrics.{_KEY}")
    looks = styles(row.label for row in data.rows)
    drawing, axes = panels(len(shown))
    for panel, dataset in zip(axes, shown, strict=True):
        for row, own in groups(data, dataset):
            sizes, values = _curve(own, "metrics")
            draw_mean(panel, sizes, 100 * values, row.label, looks[row.label])
        sizes, values = _curve(on(data, dataset), "controls.params")
        if sizes.size:
            panel.plot(
                sizes, 100 * values.mean(axis=0), color=NEUTRAL, linestyle=(0, (5, 2)),
                label="parameters",
            )  # fmt: skip
        ticks, _ = _curve(on(data, dataset), "metrics")
        panel.set_xscale("log")
        panel.set_xticks(ticks, [str(size) for size in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel("size of the high group (best archs)")
        panel.set_ylabel("high-versus-low tau (%)")
        set_title(panel, title(data, dataset))
    add_legend(drawing, axes, looks)
    return drawing


def _curve(runs: pd.DataFrame, owner: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Group sizes (G,) that any run has, and values (runs, G)."""
    prefix = f"{owner}.{_KEY}."
    names = [str(name) for name in runs.columns]
    found = sorted(int(name.removeprefix(prefix)) for name in names if name.startswith(prefix))
    # Runs on larger samples bring columns that are empty here.
    sizes = [size for size in found if not np.isnan(numbers(runs, f"{prefix}{size}")).all()]
    values = [numbers(runs, f"{prefix}{size}") for size in sizes]
    return np.array(sizes, dtype=np.int64), np.array(values).reshape(len(sizes), len(runs)).T


PICTURE = Picture("high_low", "How well the best architectures are told from the rest.", figure)
"""As most studies show it."""
