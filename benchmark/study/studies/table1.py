"""Table 1: what training, searching and memory cost at each number of copies K."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmark.study.definition import Picture, Row, Study, StudyData, Table, of_row
from benchmark.study.studies import _search_sizes as sizes
from benchmark.views.style import (
    COLOURS,
    FigureUnavailableError,
    add_legend,
    panels,
)
from benchmark.views.values import Estimate, estimate

_COPIES = (1, 2, 4, 8, 12)
# Stage: unit, frame, column, how many of the column's unit make one, the paper's row.
_STAGES: dict[str, tuple[str, str, str, float, tuple[float, ...]]] = {
    "training": ("s/epoch", "supernets", "seconds_per_epoch", 1.0,
                 (2.27, 2.28, 2.32, 2.37, 2.43)),
    "search": ("s/arch", "searches", "seconds_per_arch", 1.0,
               (0.233, 0.234, 0.237, 0.242, 0.246)),
    "memory": ("MB", "supernets", "peak_memory_bytes", 2.0**20,
               (17.5, 17.7, 17.9, 18.4, 18.9)),
}  # fmt: skip
_TIMES = ("supernets", "seconds_per_epoch")
_UNITS = {"training": "hours/epoch", "search": "hours", "memory": "GB"}


def _value(data: StudyData, row: Row, frame: str, column: str) -> Estimate:
    return estimate(of_row(getattr(data, frame), row), column)


def _table(data: StudyData) -> pd.DataFrame:
    rows = []
    for stage, (unit, frame, column, scale, published) in _STAGES.items():
        found = [_value(data, row, frame, column) for row in data.rows]
        ours: dict[str, object] = {"cost": f"{stage}, {unit}"}
        ratios: dict[str, object] = {"cost": f"{stage}, ratio"}
        theirs: dict[str, object] = {"cost": f"paper, {_UNITS[stage]}"}
        same: dict[str, object] = {"cost": "paper, ratio"}
        for row, one, value in zip(data.rows, found, published, strict=True):
            ours |= {row.label: one.mean / scale, f"{row.label}_sd": one.sd / scale}
            ratios[row.label] = one.mean / found[0].mean
            theirs[row.label] = value
            same[row.label] = value / published[0]
        nums = [str(one.num) for one in found]
        num = nums[0] if len(set(nums)) == 1 else ", ".join(nums)
        rows += [{**ours, "n": num}, {**ratios, "n": num}, theirs, same]
    return pd.DataFrame(rows)


def _figure(data: StudyData) -> Figure:
    drawing, (panel,) = panels(1)
    labels = []
    for colour, (stage, (_, frame, column, _, published)) in zip(
        COLOURS, _STAGES.items(), strict=False
    ):
        means = np.array([_value(data, row, frame, column).mean for row in data.rows])
        theirs = np.array(published) / published[0]
        labels += [stage, f"{stage}, paper"]
        panel.plot(_COPIES, means / means[0], marker="o", color=colour, label=labels[-2])
        panel.plot(_COPIES, theirs, linestyle=":", color=colour, label=labels[-1])
    if not any(np.isfinite(np.asarray(line.get_ydata())).any() for line in panel.lines[::2]):
        raise FigureUnavailableError("nothing of this study was trained yet")
    panel.set_xticks(_COPIES)
    panel.set_ylim(bottom=0)
    panel.set_xlabel("K")
    panel.set_ylabel("as a multiple of K = 1")
    add_legend(drawing, [panel], labels)
    return drawing


def _answer(data: StudyData) -> str:
    said = []
    for stage, (_, frame, column, *_) in _STAGES.items():
        one, eight = (_value(data, data.rows[at], frame, column) for at in (0, 3))
        if one.num and eight.num:
            said.append(f"{stage} {eight.mean / one.mean:.2f} (n = {min(one.num, eight.num)})")
    if not said:
        return "Not measured yet."
    alone = all(one.num < 2 for one in (_value(data, row, *_TIMES) for row in data.rows))
    verdict = "; one seed, and times beside other work: no finding" if alone else ""
    return f"K = 8 as a multiple of K = 1: {', '.join(said)}{verdict}."


STUDY = Study(
    name="table1",
    title="What K copies cost (paper table 1)",
    question="Does merging before the forward pass keep the cost of K copies near that of one?",
    kind="search",
    rows=tuple(Row(f"K{K}", f"K = {K}", {"K": K}) for K in _COPIES),
    sizes={
        "tiny": sizes.tiny(),
        "cpu": sizes.cpu(),
        "paper": sizes.paper(settings={"epochs": 6, "generations": 1}, seeds=(0, 1, 2)),
    },
    answer=_answer,
    tables=(
        Table(
            "table1",
            "Cost of training and search",
            _table,
            decimals=2,
            notes=(
                "Mean ± sample standard deviation over n seeds.",
                "On a processor memory is the whole process's, most of which is not the network.",
                "Ratio: to K = 1. Memory is that of training; the paper's at batch 128.",
                "Times were taken beside other work; docs/performance.md has those alone.",
                "The paper's figures are of ImageNet on V100 GPUs: compare the ratios alone.",
            ),
        ),
    ),
    figures=(Picture("table1", "Cost of K copies as a multiple of one copy's.", _figure),),
)
