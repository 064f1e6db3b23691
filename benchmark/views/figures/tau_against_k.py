"""Kendall's tau against the number of copies K, beside the paper, the controls and the ceiling."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmark.views.figures._style import (
    NEUTRAL,
    FigureUnavailableError,
    Style,
    add_legend,
    named_styles,
    panels,
    set_title,
    title,
)
from benchmark.views.groups import (
    CONTROLS,
    Estimate,
    Group,
    baseline,
    ceiling,
    controls,
    groups,
    setting_rows,
)
from benchmark.views.tables.table9 import METRIC, PAPER


def figure(records: pd.DataFrame) -> Figure:
    """Tau-b in percent against K, a panel per setting, a line per sharing and protocol.

    Points are single runs, lines their mean, bars the sample standard deviation over seeds.

    Args:
        records: the result of ``benchmark.records.load.load_records``.

    Raises:
        FigureUnavailableError: tau is undefined in every run.
    """
    every = groups(records)
    if all(np.isnan(group.values(METRIC)).all() for group in every):
        raise FigureUnavailableError("Kendall's tau is undefined in every record")
    named = named_styles(records, every, with_k=False)
    rows = list(setting_rows(records, every))
    drawing, axes = panels(len(rows))
    for panel, (setting, own, members) in zip(axes, rows, strict=True):
        for label in dict.fromkeys(named.names[id(group)] for group in members):
            line = [group for group in members if named.names[id(group)] == label]
            _draw(panel, _with_baseline(line, members), label, named.looks[label])
        _references(panel, own)
        published = {K: value for (name, K), value in PAPER.items() if name == setting.dataset}
        if published:
            panel.errorbar(
                list(published),
                [mean for mean, _ in published.values()],
                [sd for _, sd in published.values()],
                color="black", marker="x", linestyle=":", linewidth=1, label="paper (table 9)",
            )  # fmt: skip
        ticks = sorted({group.K for group in members} | set(published))
        panel.set_xscale("log", base=2)
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlim(0.8 * ticks[0], 1.25 * ticks[-1])
        panel.set_xlabel("number of copies K")
        panel.set_ylabel("Kendall tau-b (%)")
        set_title(panel, *title(setting, members))
    add_legend(drawing, axes, named.looks, named.key)
    return drawing


def _with_baseline(line: list[Group], members: list[Group]) -> list[Group]:
    """The line's groups by K, led by the K = 1 group it is compared with if it has none itself."""
    ordered = sorted(line, key=lambda group: group.K)
    first = baseline(ordered[0], members) if ordered[0].K > 1 else None
    return [first, *ordered] if first else ordered


def _draw(panel: Axes, line: list[Group], label: str, look: Style) -> None:
    values = [100 * group.values(METRIC) for group in line]
    estimates = [Estimate.of(one) for one in values]
    panel.errorbar(
        [group.K for group in line],
        [one.mean for one in estimates],
        np.nan_to_num([one.sd for one in estimates]),
        capsize=3, label=label, **look,
    )  # fmt: skip
    for group, one in zip(line, values, strict=True):
        panel.scatter([group.K] * one.size, one, s=9, alpha=0.5, color=look["color"])


def _references(panel: Axes, own: pd.DataFrame) -> None:
    """Horizontal lines at what needs no training and at what the truth itself allows."""
    dashes = {"params": (0, (5, 2)), "flops": (0, (2, 2)), "live_convolutions": (0, (1, 2))}
    for name, value in controls(own, METRIC).items():
        panel.axhline(
            100 * value.mean, color=NEUTRAL, linewidth=1.2, linestyle=dashes.get(name, "-."),
            label=f"control: {CONTROLS.get(name, name)}",
        )  # fmt: skip
    top = ceiling(own, METRIC)
    if not np.isnan(top.mean):
        panel.axhline(
            100 * top.mean, color="black", linewidth=1.2, label="ceiling: two truth seeds"
        )
