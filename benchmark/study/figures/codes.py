"""Histograms of the codes, one for each copy (paper figures 6 and 8)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.cli.errors import UserError
from benchmark.records.load import load_codes
from benchmark.records.rows import AGAIN
from benchmark.study.definition import StudyData
from benchmark.study.ranked import NAMES, datasets, groups
from benchmark.views.style import COLOURS, FigureUnavailableError, panels, set_title

NUM_BINS = 40
MAX_PANELS = 6
# More histograms than this in one place hide each other.
MAX_OVERLAID = 4


def figure(data: StudyData) -> Figure:
    """Histogram of each copy's coefficient over architectures, a panel per row of several copies.

    The first seed of each row is shown, on the first data set with such runs; fixed codes are 1/K
    and are left out. The vertical line is 1/K: a simplex-net that learned nothing stays there.

    Raises:
        FigureUnavailableError: no run of several copies has its ``codes.npy``.
        UserError: a ``codes.npy`` is damaged.
    """
    for dataset in datasets(data):
        shown = []
        for row, own in groups(data, dataset):
            run = own.sort_values("seed").iloc[0]
            path = Path(run["path"])
            varies = run["config.K"] > 1 and run["config.sharing"] != "fixed"
            if varies and (path / "codes.npy").is_file():
                codes = load_codes(path)
                if codes.shape[1] != run["config.K"]:
                    raise UserError(
                        f"the codes of {path} should have K = {run['config.K']} columns, "
                        f"got {codes.shape[1]}; {AGAIN}"
                    )
                shown.append((row.label, int(run["seed"]), codes))
        if shown:
            break
    else:
        raise FigureUnavailableError("no run with K > 1 and codes that vary has a codes.npy")
    shown = shown[:MAX_PANELS]
    drawing, axes = panels(len(shown))
    for panel, (label, seed, codes) in zip(axes, shown, strict=True):
        draw_codes(panel, codes)
        name = NAMES.get(dataset, dataset)
        set_title(panel, f"{name}: {label}", f"{len(codes):,} archs, seed {seed}")
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
