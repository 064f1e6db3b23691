"""Draw the pictures of "How to read a table": made-up rankings, and a committed study's figures.

Run from the repository's root: ``python docs/pictures/draw.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.study.file import load_study
from benchmark.views.pictures import own_style, save_figure
from benchmark.views.ranks import agreement, by_loss, controls, tau
from benchmark.views.style import COLOURS, NEUTRAL, panels
from kshot_core.metrics.correlation import kendall_tau_b, tau_top

HERE = Path(__file__).resolve().parent
STUDY = HERE.parents[1] / "results" / "studies" / "table9-cpu" / "study.json"
NUM_ARCHS = 500
Values = NDArray[np.float64]


def truth() -> Values:
    """Stand-alone accuracies in percent (A,), skewed as those of a benchmark."""
    return 94.0 - 25.0 * np.random.default_rng(0).beta(1.2, 4.0, NUM_ARCHS)


def predictions(true: Values, wanted: float) -> Values:
    """Predictions (A,) of about this tau-b: the truth's ranks and noise, by bisection."""
    ranks = true.argsort().argsort() / len(true)
    noise = np.random.default_rng(1).normal(size=len(true))
    low, high = 0.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if kendall_tau_b(ranks + middle * noise, true) > wanted else (
            low, middle
        )  # fmt: skip
    return ranks + low * noise


def draw_taus() -> Figure:
    """Three rankings."""
    true = truth()
    figure, axes = panels(3)
    for panel, wanted in zip(axes, (0.3, 0.6, 0.9), strict=True):
        predicted = predictions(true, wanted)
        panel.scatter(predicted, true, s=9, alpha=0.6, linewidths=0, color=COLOURS[0])
        best = predicted.argmax()
        panel.scatter(predicted[best], true[best], s=120, marker="*", color=COLOURS[1])
        panel.set_title(f"tau-b {100 * kendall_tau_b(predicted, true):.0f} %", fontsize=10)
        panel.set_xlabel("prediction (star: the best by it)")
        panel.set_ylabel("stand-alone accuracy (%)")
    return figure


def draw_tops() -> Figure:
    """Two rankings of equal tau-b: the best tenth in its order, and in none."""
    true = truth()
    top = true.argsort()[-NUM_ARCHS // 10 :]
    figure, axes = panels(2)
    for panel, mixed in zip(axes, (False, True), strict=True):
        places = true.argsort().argsort().astype(float)
        if mixed:
            places[top] = np.random.default_rng(2).permutation(places[top])
        # The rest gets as much noise as makes tau-b equal.
        noise = np.random.default_rng(3).normal(size=NUM_ARCHS)
        noise[top] = 0
        low, high = 0.0, 4000.0
        for _ in range(40):
            middle = (low + high) / 2
            above = kendall_tau_b(places + middle * noise, true) > 0.6
            low, high = (middle, high) if above else (low, middle)
        predicted = places + low * noise
        values = predicted.argsort().argsort()
        rest = np.setdiff1d(np.arange(NUM_ARCHS), top)
        for chosen, colour, label in ((rest, NEUTRAL, "the rest"), (top, COLOURS[1], "best tenth")):
            panel.scatter(
                values[chosen], true[chosen], s=9, alpha=0.7, linewidths=0, color=colour,
                label=label,
            )  # fmt: skip
        both = f"{100 * kendall_tau_b(predicted, true):.0f} %"
        within = f"{100 * tau_top(predicted, true, 0.1):.0f} %"
        panel.set_title(f"tau-b {both}; within the best tenth {within}", fontsize=10)
        panel.set_xlabel("place by prediction")
        panel.set_ylabel("stand-alone accuracy (%)")
        panel.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def draw_controls() -> Figure:
    """The runs of table 9's study beside what trains nothing and seed agreement."""
    data = load_study(STUDY)
    bars: list[tuple[str, float, str]] = []
    for row in data.rows:
        runs = data.runs[data.runs["row"] == row.name]
        if len(runs):
            bars.append((f"{row.label}, by accuracy", tau(runs).mean, COLOURS[0]))
            bars.append((f"{row.label}, by −loss", by_loss(runs).mean, COLOURS[5]))
    bars += [(f"counting {name}", value, NEUTRAL) for name, value in controls(data.runs).items()]
    bars.append(("seed agreement", agreement(data.runs), COLOURS[2]))
    figure, (panel,) = panels(1)
    figure.set_size_inches(7.2, 0.36 * len(bars) + 0.9)
    panel.barh(
        [name for name, _, _ in bars], [100 * value for _, value, _ in bars],
        color=[colour for _, _, colour in bars],
    )  # fmt: skip
    for place, (_, value, _) in enumerate(bars):
        panel.text(100 * value + 1, place, f"{100 * value:.1f}", va="center", fontsize=9)
    panel.invert_yaxis()
    panel.set_xlim(0, 100)
    panel.set_xlabel("tau-b (%), CIFAR-10")
    return figure


def main() -> None:
    """Draw all of them beside this file."""
    for name, draw in (("tau", draw_taus), ("top", draw_tops), ("controls", draw_controls)):
        with own_style():
            figure = draw()
        save_figure(figure, HERE / f"{name}.png")


if __name__ == "__main__":
    main()
