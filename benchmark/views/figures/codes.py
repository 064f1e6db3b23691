"""Paper figure 6: histogram of the codes, one histogram per copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.cli.errors import UserError
from benchmark.records.load import load_codes
from benchmark.records.rows import AGAIN
from benchmark.views.figures._labels import add_key
from benchmark.views.figures._style import (
    COLOURS,
    FigureUnavailableError,
    panels,
    series_labels,
    set_title,
)
from benchmark.views.groups import groups

NUM_BINS = 40
# More histograms than this in one place hide each other.
MAX_OVERLAID = 4


def figure(records: pd.DataFrame) -> Figure:
    """Histogram of each copy's coefficient over architectures, a panel per group of runs.

    The first seed of each group with K > 1 is shown; fixed codes are 1/K and are left out. The
    vertical line is 1/K: a simplex-net that learned nothing stays there.

    Args:
        records: the result of ``benchmark.records.load.load_records``.

    Raises:
        FigureUnavailableError: no run with K > 1 has its ``codes.npy``.
        UserError: a ``codes.npy`` is damaged.
    """
    every = [one for one in groups(records) if one.K > 1 and one.sharing != "fixed"]
    labels = series_labels(records, every, with_k=True)
    shown = []
    for group, label in zip(every, labels.names, strict=True):
        run = group.runs.sort_values("config.seed").iloc[0]
        if (Path(run["path"]) / "codes.npy").is_file():
            shown.append((group, label, run, load_codes(Path(run["path"]))))
    if not shown:
        raise FigureUnavailableError("no run with K > 1 and codes that vary has a codes.npy")
    drawing, axes = panels(len(shown))
    for panel, (group, label, run, codes) in zip(axes, shown, strict=True):
        if codes.shape[1] != group.K:
            raise UserError(
                f"the codes of {run['path']} should have K = {group.K} columns, "
                f"got {codes.shape[1]}; {AGAIN}"
            )
        draw_codes(panel, codes)
        set_title(
            panel,
            f"{group.setting.dataset}: {label}",
            f"{len(codes):,} archs, seed {run['config.seed']}",
        )
    add_key(drawing, labels.key)
    return drawing


def draw_codes(panel: Axes, codes: NDArray[np.float32]) -> None:
    """Histograms of the columns of codes (A, K): overlaid as in the paper, or one above another.

    The vertical line is 1/K.
    """
    num_copies = codes.shape[1]
    # Few codes in many bins are a comb.
    num_bins = min(NUM_BINS, max(10, len(codes) // 10))
    edges = np.linspace(0.0, float(np.ceil(codes.max() * 10) / 10), num_bins + 1)
    counts = [np.histogram(codes[:, copy], bins=edges)[0] for copy in range(num_copies)]
    if num_copies <= MAX_OVERLAID:
        for copy, heights in enumerate(counts):
            colour = COLOURS[copy]
            panel.stairs(heights, edges, fill=True, alpha=0.25, color=colour)
            panel.stairs(heights, edges, color=colour, label=f"copy {copy + 1}")
        panel.set_ylabel("archs per bin")
    else:
        _draw_apart(panel, counts, edges)
    panel.axvline(1 / num_copies, color="black", linewidth=1, linestyle=":", label="1/K")
    panel.set_xlabel("coefficient λ")
    panel.legend(fontsize=8, frameon=False, loc="upper right")


def _draw_apart(panel: Axes, counts: list[NDArray[np.int64]], edges: NDArray[np.float64]) -> None:
    tallest = max(int(heights.max()) for heights in counts)
    for copy, heights in enumerate(counts):
        colour, foot = COLOURS[copy % len(COLOURS)], copy + 1.0
        panel.stairs(foot + 0.9 * heights / tallest, edges, baseline=foot, fill=True, color=colour)
    panel.set_yticks(np.arange(1, len(counts) + 1))
    panel.set_ylabel(f"copy (a full step is {tallest / 0.9:.0f} archs per bin)")
