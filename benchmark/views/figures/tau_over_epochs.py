"""Kendall's tau while training, measured on a small fixed sample of architectures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.records.load import load_log
from benchmark.views.figures._style import (
    FigureUnavailableError,
    add_legend,
    named_styles,
    panels,
    set_title,
    title,
)
from benchmark.views.groups import Group, groups, setting_rows

_KEY = "kendall_tau_b"


def figure(records: pd.DataFrame) -> Figure:
    """Tau-b in percent against the epoch: seeds thin, their mean thick, a colour per group.

    Args:
        records: the result of ``benchmark.records.load.load_records``.

    Raises:
        FigureUnavailableError: no run's log has tau in it.
        UserError: a log is damaged.
    """
    every = groups(records)
    named = named_styles(records, every, with_k=True)
    curves = {id(group): _curves(group) for group in every}
    rows = [
        (setting, [group for group in members if not curves[id(group)].empty])
        for setting, _, members in setting_rows(records, every)
    ]
    rows = [(setting, members) for setting, members in rows if members]
    if not rows:
        raise FigureUnavailableError("no run's log.jsonl has Kendall's tau in it")
    drawing, axes = panels(len(rows))
    for panel, (setting, members) in zip(axes, rows, strict=True):
        for group in members:
            label, table = named.names[id(group)], 100 * curves[id(group)]
            look = named.looks[label]
            if table.shape[1] > 1:
                panel.plot(table.index, table, color=look["color"], linewidth=0.6, alpha=0.4)
            # A mean over fewer seeds than there are would jump where one is missing.
            mean = table.mean(axis=1, skipna=False)
            panel.plot(mean.index, mean, markersize=4, linewidth=2, label=label, **look)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("epoch")
        panel.set_ylabel("Kendall tau-b on a sample (%)")
        set_title(panel, *title(setting, members))
    add_legend(drawing, axes, named.looks, named.key)
    return drawing


def _curves(group: Group) -> pd.DataFrame:
    """Tau by epoch (rows) and run (columns), epochs where any run measured it."""
    columns = {}
    for folder in map(Path, group.runs["path"]):
        if not (folder / "log.jsonl").is_file():
            continue
        log = load_log(folder)
        if _KEY in log.columns:
            taus = pd.to_numeric(log.set_index("epoch")[_KEY]).astype(np.float64).dropna()
            columns[folder.name] = taus[~taus.index.duplicated(keep="last")]
    return pd.DataFrame(columns).sort_index()
