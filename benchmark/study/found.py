"""What searches of a study found, and what that reached when it was trained by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.study.definition import Row, StudyData, of_row
from benchmark.study.paired import Difference
from benchmark.views.values import Estimate, estimate, numbers

RETRAINED_NOTE = (
    "Top-1 and top-5: of the architecture found, trained by itself, on the test images, averaged "
    "weights; mean ± sample standard deviation over n searches."
)
PAPER_NOTE = (
    "The paper's figures are on ImageNet at full size: compare the order of the rows, not values."
)
Cells = dict[str, Any]


def accuracies(data: StudyData, row: Row, name: str = "top1") -> pd.Series:
    """Accuracy after retraining in percent, by seed; a search counts with its retrainings' mean."""
    found = of_row(data.retrained, row)
    if found.empty:
        return pd.Series(dtype=float)
    values = found.assign(value=numbers(found, name))
    return values.groupby(["seed", "search"])["value"].mean().groupby("seed").mean()


def accuracy_cells(data: StudyData, row: Row, names: Sequence[str] = ("top1", "top5")) -> Cells:
    """Accuracies with their spread, and how many searches they are of."""
    cells: Cells = {}
    for name in names:
        value = Estimate.of(accuracies(data, row, name).to_numpy(dtype=float))
        cells |= {name: value.mean, f"{name}_sd": value.sd}
    return cells | {"n": str(len(accuracies(data, row)))}


def cost_cells(frame: pd.DataFrame, name: str, column: str, scale: float = 1.0) -> Cells:
    """A cost with its spread; ``scale`` of the record's unit make the table's."""
    value = estimate(frame, column)
    return {name: value.mean / scale, f"{name}_sd": value.sd / scale}


def row_named(data: StudyData, name: str) -> Row:
    """A row of the study by its name."""
    return next(row for row in data.rows if row.name == name)


def compare(data: StudyData, first: str, second: str) -> Difference | None:
    """Top-1 after retraining of two rows, by seed; None where they share none."""
    one, other = (accuracies(data, row_named(data, name)) for name in (first, second))
    seeds = sorted(set(one.index) & set(other.index))
    return Difference.of(one[seeds], other[seeds]) if seeds else None


def answer(data: StudyData, first: str, second: str) -> str:
    """A sentence on how two rows differ in top-1 after retraining."""
    names = [row_named(data, name).label for name in (first, second)]
    found = compare(data, first, second)
    if found is None:
        return f"No seed has both {names[0]} and {names[1]} yet."
    return f"{names[0]} less {names[1]}: {found.text('points of top-1 after retraining')}."
