"""Paper figure 5: how well the best architectures are told from the rest, by size of the group."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from benchmark.views.figures._style import (
    NEUTRAL,
    FigureUnavailableError,
    add_legend,
    mean_and_sd,
    named_styles,
    panels,
    set_title,
    title,
)
from benchmark.views.groups import groups, numbers, setting_rows

_KEY = "high_low_tau_by_size"


def figure(records: pd.DataFrame) -> Figure:
    """High-versus-low tau in percent against the high group's size, a line per group of runs.

    Bands are one sample standard deviation over seeds; the dashed line is the control that counts
    parameters.

    Args:
        records: the result of ``benchmark.records.load.load_records``.

    Raises:
        FigureUnavailableError: no record has the curve.
    """
    every = groups(records)
    named = named_styles(records, every, with_k=True)
    if all(_curve(group.runs, "metrics")[0].size == 0 for group in every):
        raise FigureUnavailableError(f"no record has metrics.{_KEY}")
    rows = list(setting_rows(records, every))
    drawing, axes = panels(len(rows))
    for panel, (setting, own, members) in zip(axes, rows, strict=True):
        for group in members:
            sizes, values = _curve(group.runs, "metrics")
            mean, sd = mean_and_sd(100 * values)
            label = named.names[id(group)]
            panel.plot(sizes, mean, markersize=4, label=label, **named.looks[label])
            panel.fill_between(
                sizes,
                mean - sd,
                mean + sd,
                color=named.looks[label]["color"],
                alpha=0.15,
                linewidth=0,
            )
        sizes, values = _curve(own, "controls.params")
        panel.plot(
            sizes, 100 * values.mean(axis=0), color=NEUTRAL, linestyle=(0, (5, 2)),
            label="control: parameters",
        )  # fmt: skip
        panel.set_xscale("log")
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel("size of the high group (best archs)")
        panel.set_ylabel("high-versus-low tau (%)")
        set_title(panel, *title(setting, members))
    add_legend(drawing, axes, named.looks, named.key)
    return drawing


def _curve(records: pd.DataFrame, owner: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Group sizes (G,) that any record has, and values (runs, G)."""
    prefix = f"{owner}.{_KEY}."
    names = [str(name) for name in records.columns]
    found = sorted(int(name.removeprefix(prefix)) for name in names if name.startswith(prefix))
    # Records of larger settings bring columns that are empty here.
    sizes = [size for size in found if not np.isnan(numbers(records, f"{prefix}{size}")).all()]
    values = [numbers(records, f"{prefix}{size}") for size in sizes]
    return np.array(sizes, dtype=np.int64), np.array(values).reshape(len(sizes), -1).T
