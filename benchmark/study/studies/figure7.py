"""Figure 7: accuracy of what is found against K and the epochs of the supernet."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.study.definition import Picture, Row, Study, StudyData, Table
from benchmark.study.found import PAPER_NOTE, RETRAINED_NOTE, accuracy_cells, answer, row_named
from benchmark.study.lines import Line, accuracy_lines
from benchmark.study.studies import _search_sizes as sizes

_COPIES = (1, 2, 4, 8)
_LENGTHS = {"half": 0.5, "once": 1.0, "twice": 2.0}


def _epochs(once: int) -> dict[str, dict[str, object]]:
    """The rows' epochs, where the middle ones have ``once``."""
    return {
        f"K{K}-{length}": {"epochs": round(share * once)}
        for K in _COPIES
        for length, share in _LENGTHS.items()
    }


def _epochs_of(data: StudyData, row: Row) -> int:
    return int(data.study.settings_of(row, data.scale)["epochs"])


def _table(data: StudyData) -> pd.DataFrame:
    rows = []
    for K in _COPIES:
        cells: dict[str, object] = {"K": str(K)}
        nums = []
        for length in _LENGTHS:
            row = row_named(data, f"K{K}-{length}")
            found = accuracy_cells(data, row, ("top1",))
            num = _epochs_of(data, row)
            label = f"{num} epoch" + "s" * (num != 1)
            cells |= {label: found["top1"], f"{label}_sd": found["top1_sd"]}
            nums.append(found["n"])
        cells["n"] = nums[0] if len(set(nums)) == 1 else ", ".join(nums)
        rows.append(cells)
    return pd.DataFrame(rows)


def _figure(data: StudyData) -> Figure:
    lines = []
    for K in _COPIES:
        rows = [row_named(data, f"K{K}-{length}") for length in _LENGTHS]
        lines.append(Line(f"K = {K}", [(_epochs_of(data, row), row) for row in rows]))
    drawing = accuracy_lines(data, lines, "epochs of the supernet")
    drawing.axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    return drawing


STUDY = Study(
    name="figure7",
    title="Copies against epochs (paper figure 7)",
    question="Do more copies need more epochs before they find more than one copy does?",
    kind="search+retrain",
    rows=tuple(
        Row(f"K{K}-{length}", f"K = {K}, {length} as many epochs", {"K": K})
        for K in _COPIES
        for length in _LENGTHS
    ),
    sizes={
        "tiny": sizes.tiny(settings={"warmup_epochs": 0}, row_settings=_epochs(2)),
        "cpu": sizes.cpu(
            settings={"generations": 4, "train_images": 5000, "warmup_epochs": 0},
            row_settings=_epochs(2),
            retrain={"epochs": 1},
        ),
        "paper": sizes.paper(seeds=(0, 1, 2), row_settings=_epochs(120)),
    },
    answer=lambda data: answer(data, "K8-twice", "K1-twice"),
    tables=(
        Table(
            "figure7",
            "Top-1 (%) of what is found, by K and epochs of the supernet",
            _table,
            decimals=1,
            notes=(RETRAINED_NOTE, PAPER_NOTE),
        ),
    ),
    figures=(
        Picture(
            "figure7",
            "Top-1 after retraining against the supernet's epochs; a point is a search.",
            _figure,
        ),
    ),
)
