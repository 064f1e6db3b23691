"""Table 5: what each part of the method adds to the accuracy of what is found."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from benchmark.study.definition import Picture, Row, Study, StudyData, Table
from benchmark.study.dots import accuracy_dots
from benchmark.study.found import PAPER_NOTE, RETRAINED_NOTE, accuracy_cells, answer
from benchmark.study.studies import _search_sizes as sizes

_WIDEST = {"factors": "1.0"}


def _row(name: str, label: str, settings: Mapping[str, object], top1: float, top5: float) -> Row:
    return Row(name, label, settings, {"top1": top1, "top5": top5})


_ROWS = (
    _row("one-shot", "one-shot", {"K": 1, **_WIDEST}, 77.0, 93.4),
    _row("one-shot-widths", "one-shot with widths", {"K": 1}, 77.1, 93.4),
    _row("fixed", "K-shot, codes of 1/K", {"sharing": "fixed", **_WIDEST}, 77.2, 93.5),
    _row("simplex", "K-shot, learnt codes", _WIDEST, 77.5, 93.6),
    _row("widths", "K-shot, learnt codes, widths", {"regularisation": 0.0}, 77.6, 93.6),
    _row("whole", "K-shot, learnt codes, widths, r_c", {}, 77.9, 93.8),
)
_PARTS = {
    "K-shot": ("fixed", "simplex", "widths", "whole"),
    "one-shot": ("one-shot", "one-shot-widths"),
    "simplex-net": ("simplex", "widths", "whole"),
    "channel": ("one-shot-widths", "widths", "whole"),
    "r_c": ("whole",),
}


def _table(data: StudyData) -> pd.DataFrame:
    rows = []
    for number, row in enumerate(data.rows, start=1):
        parts = {part: "yes" if row.name in names else "" for part, names in _PARTS.items()}
        cells = accuracy_cells(data, row)
        num = cells.pop("n")
        published = f"{row.paper['top1']:.1f}, {row.paper['top5']:.1f}"
        rows.append({"#": str(number), **parts, **cells, "paper": published, "n": num})
    return pd.DataFrame(rows)


STUDY = Study(
    name="table5",
    title="What each part of the method adds (paper table 5)",
    question="Do K copies, the simplex-net, widths and r_c each find a better architecture?",
    kind="search+retrain",
    rows=_ROWS,
    sizes={
        "tiny": sizes.tiny(),
        "cpu": sizes.cpu(),
        "paper": sizes.paper(seeds=(0, 1, 2)),
    },
    answer=lambda data: answer(data, "whole", "one-shot"),
    tables=(
        Table(
            "table5",
            "Accuracy of what is found, by parts of the method",
            _table,
            decimals=1,
            labels={
                "simplex-net": "simplex",
                "top1": "top-1 %",
                "top5": "top-5 %",
                "paper": "paper %",
                "r_c": "r_c",
            },
            notes=(
                RETRAINED_NOTE,
                "Paper: its top-1 and top-5, under 420 million multiply-adds.",
                PAPER_NOTE,
            ),
        ),
    ),
    figures=(
        Picture(
            "table5",
            "Top-1 after retraining; a dot is a search, the line its row's mean.",
            accuracy_dots,
        ),
    ),
)
