"""Figure 9: training in turns and jointly, against the number of paths m of a simplex step."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmark.study.definition import Picture, Row, Study, StudyData, Table
from benchmark.study.found import PAPER_NOTE, RETRAINED_NOTE, accuracy_cells, answer, row_named
from benchmark.study.lines import Line, accuracy_lines
from benchmark.study.studies import _search_sizes as sizes

_GROUPS = (1, 2, 4, 8, 16, 32)
_SCHEDULES = {"alternate": "in turns", "joint": "jointly"}
# Each of 32 paths needs two images.
_BATCH = {"batch_size": 64}


def _table(data: StudyData) -> pd.DataFrame:
    rows = []
    for schedule, label in _SCHEDULES.items():
        cells: dict[str, object] = {"training": label}
        nums = []
        for m in _GROUPS:
            found = accuracy_cells(data, row_named(data, f"{schedule}-{m}"), ("top1",))
            cells |= {f"m = {m}": found["top1"], f"m = {m}_sd": found["top1_sd"]}
            nums.append(found["n"])
        cells["n"] = nums[0] if len(set(nums)) == 1 else ", ".join(nums)
        rows.append(cells)
    return pd.DataFrame(rows)


def _figure(data: StudyData) -> Figure:
    lines = [
        Line(label, [(m, row_named(data, f"{schedule}-{m}")) for m in _GROUPS])
        for schedule, label in _SCHEDULES.items()
    ]
    drawing = accuracy_lines(data, lines, "architectures of a simplex step, m")
    panel = drawing.axes[0]
    panel.set_xscale("log", base=2)
    panel.set_xticks(np.array(_GROUPS), [str(m) for m in _GROUPS])
    panel.xaxis.set_minor_locator(NullLocator())
    return drawing


STUDY = Study(
    name="figure9",
    title="Training in turns and jointly (paper figure 9)",
    question="Is it better to train bank and simplex-net in turns, and on how many paths at once?",
    kind="search+retrain",
    rows=tuple(
        Row(f"{schedule}-{m}", f"{label}, m = {m}", {"schedule": schedule, "num_groups": m})
        for schedule, label in _SCHEDULES.items()
        for m in _GROUPS
    ),
    sizes={
        "tiny": sizes.tiny(settings=_BATCH),
        "cpu": sizes.cpu(settings={**_BATCH, "train_images": 10_000}, retrain={"epochs": 1}),
        "paper": sizes.paper(seeds=(0, 1, 2)),
    },
    answer=lambda data: answer(data, "alternate-16", "joint-16"),
    tables=(
        Table(
            "figure9",
            "Top-1 (%) of what is found, by schedule and m",
            _table,
            decimals=1,
            notes=(RETRAINED_NOTE, PAPER_NOTE),
        ),
    ),
    figures=(
        Picture("figure9", "Top-1 after retraining against m; a point is a search.", _figure),
    ),
)
