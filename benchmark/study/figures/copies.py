"""Kendall's tau against the number of copies K (paper figure 4), beside controls and the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmark.study.definition import StudyData
from benchmark.study.ranked import NAMES, datasets, groups, on
from benchmark.views.ranks import METRIC, agreement, by_loss, controls, tau
from benchmark.views.style import (
    COLOURS,
    NEUTRAL,
    FigureUnavailableError,
    add_legend,
    panels,
    set_title,
)
from benchmark.views.values import Estimate, numbers

_DASHES = ((0, (5, 2)), (0, (2, 2)), (0, (1, 2)))


def figure(data: StudyData) -> Figure:
    """Tau-b in percent against K, a panel per data set.

    Points are single runs, lines their mean, bars the sample standard deviation over seeds.

    Raises:
        FigureUnavailableError: tau is undefined in every run.
    """
    shown = [name for name in datasets(data) if np.isfinite(tau(on(data, name)).mean)]
    if not shown:
        raise FigureUnavailableError("Kendall's tau is undefined in every record")
    drawing, axes = panels(len(shown))
    for panel, dataset in zip(axes, shown, strict=True):
        _draw(panel, data, dataset)
    add_legend(drawing, axes, ["by accuracy", "by −loss", "paper"])
    return drawing


def _draw(panel: Axes, data: StudyData, dataset: str) -> None:
    # Rows that differ in more than K have no place on this axis.
    found = [(row, own) for row, own in groups(data, dataset) if set(row.settings) == {"K"}]
    copies = [int(own["config.K"].iloc[0]) for _, own in found]
    estimates = {
        "by accuracy": [tau(own) for _, own in found],
        "by −loss": [by_loss(own) for _, own in found],
    }
    for (label, line), colour, marker in zip(estimates.items(), COLOURS, ("o", "s"), strict=False):
        _line(panel, copies, line, label, colour, marker)
    for K, (_, own) in zip(copies, found, strict=True):
        values = 100 * numbers(own, f"metrics.{METRIC}")
        panel.scatter([K] * values.size, values, s=9, alpha=0.5, color=COLOURS[0])
    runs = on(data, dataset)
    for (name, value), dashes in zip(controls(runs).items(), _DASHES, strict=False):
        panel.axhline(100 * value, color=NEUTRAL, linewidth=1.2, linestyle=dashes, label=name)
    top = agreement(runs)
    if not math.isnan(top):
        panel.axhline(100 * top, color="black", linewidth=1.2, label="seed agreement")
    published = {
        int(row.settings["K"]): (row.paper[dataset], row.paper.get(f"{dataset}_sd", 0.0))
        for row in data.rows
        if dataset in row.paper and "K" in row.settings
    }
    if published:
        mean, sd = zip(*published.values(), strict=True)
        panel.errorbar(
            list(published), mean, sd, color="black", marker="x", linestyle=":", linewidth=1,
            label="paper",
        )  # fmt: skip
    ticks = sorted({*copies, *published})
    panel.set_xscale("log", base=2)
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(0.8 * ticks[0], 1.25 * ticks[-1])
    panel.set_xlabel("number of copies K")
    panel.set_ylabel("Kendall tau-b (%)")
    set_title(panel, title(data, dataset, [own for _, own in found]))


def _line(
    panel: Axes, copies: list[int], line: list[Estimate], label: str, colour: str, marker: str
) -> None:
    if np.isfinite([one.mean for one in line]).any():
        panel.errorbar(
            copies,
            [100 * one.mean for one in line],
            np.nan_to_num([100 * one.sd for one in line]),
            capsize=3, color=colour, marker=marker, label=label,
        )  # fmt: skip


def title(data: StudyData, dataset: str, shown: Sequence[pd.DataFrame] = ()) -> str:
    """A panel's title: data set, number of architectures, seeds.

    Args:
        data: the study's.
        dataset: of the panel.
        shown: the runs of each row that the panel shows; none for those of every row.
    """
    seeds_of = [len(own) for own in shown] or [len(own) for _, own in groups(data, dataset)]
    num = sorted({int(one) for one in on(data, dataset)["num_archs"]})
    fewest, most = min(seeds_of), max(seeds_of)
    seeds = str(most) if fewest == most else f"{fewest} to {most}"
    archs = " or ".join(f"{one:,}" for one in num)
    plural = "seed" if seeds == "1" else "seeds"
    return f"{NAMES.get(dataset, dataset)}: {archs} archs, {seeds} {plural}"
