"""A figure of what was found: top-1 after retraining against a setting, a line per series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from benchmark.study.definition import Row, StudyData
from benchmark.study.found import accuracies
from benchmark.views.style import FigureUnavailableError, add_legend, panels, styles
from benchmark.views.values import Estimate


@dataclass(frozen=True)
class Line:
    """A series.

    Args:
        label: for the legend.
        points: value of the setting, and the row it is of.
    """

    label: str
    points: Sequence[tuple[float, Row]]


def accuracy_lines(data: StudyData, lines: Sequence[Line], xlabel: str) -> Figure:
    """Points are single searches, lines their mean, bars the sample standard deviation, if any.

    Raises:
        FigureUnavailableError: nothing was retrained yet.
    """
    looks = styles(line.label for line in lines)
    drawing, (panel,) = panels(1)
    for line in lines:
        found = [(at, accuracies(data, row).to_numpy(dtype=float)) for at, row in line.points]
        found = [(at, values) for at, values in found if len(values)]
        if not found:
            continue
        estimates = [Estimate.of(values) for _, values in found]
        look = looks[line.label]
        panel.errorbar(
            [at for at, _ in found], [one.mean for one in estimates],
            [one.sd for one in estimates], capsize=3, label=line.label, **look,
        )  # fmt: skip
        for at, values in found:
            panel.scatter([at] * len(values), values, s=9, alpha=0.5, color=look["color"])
    if not panel.has_data():
        raise FigureUnavailableError("nothing that this study found was retrained yet")
    panel.set_xlabel(xlabel)
    panel.set_ylabel("top-1 after retraining (%)")
    add_legend(drawing, [panel], looks)
    return drawing
