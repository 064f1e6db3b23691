"""Table 8: K-shot supernets against ensembles of supernets that are trained apart."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.study.definition import Picture, Row, Study, StudyData, Table, of_row
from benchmark.study.dots import accuracy_dots
from benchmark.study.found import PAPER_NOTE, RETRAINED_NOTE, accuracy_cells, answer, cost_cells
from benchmark.study.studies import _search_sizes as sizes
from benchmark.views.values import numbers

_MEGABYTE = 2.0**20


def _row(
    name: str, label: str, settings: dict[str, object], hours: float, memory: float, top1: float
) -> Row:
    return Row(name, label, settings, {"cost": hours / 2.27, "memory": memory / 8.7, "top1": top1})


_ROWS = (
    _row("one-shot", "K = 1", {"K": 1}, 2.27, 8.7, 77.12),
    _row("max", "2 apart: max", {"K": 2, "ensemble": "max"}, 4.54, 17.5, 77.58),
    _row("average", "2 apart: mean", {"K": 2, "ensemble": "average"}, 4.55, 17.6, 77.64),
    _row("K2", "K = 2", {"K": 2}, 2.28, 8.8, 77.56),
    _row("K4", "K = 4", {"K": 4}, 2.32, 8.9, 77.79),
    _row("K8", "K = 8", {"K": 8}, 2.37, 9.2, 77.92),
)


def _table(data: StudyData) -> pd.DataFrame:
    rows = []
    for row in data.rows:
        searches = of_row(data.searches, row)
        accuracy = accuracy_cells(data, row, ("top1",))
        num = accuracy.pop("n")
        rows.append(
            {
                "supernets": row.label,
                **cost_cells(searches, "cost", "seconds.supernets"),
                "relative_cost": math.nan,
                "paper_cost": row.paper["cost"],
                **cost_cells(searches, "memory", "peak_memory_bytes", _MEGABYTE),
                "relative_memory": math.nan,
                "paper_memory": row.paper["memory"],
                **accuracy,
                "paper_top1": row.paper["top1"],
                "n": num,
            }
        )
    values = pd.DataFrame(rows)
    for name in ("cost", "memory"):
        each = numbers(values, name)
        values[f"relative_{name}"] = each / each[0]
    return values


STUDY = Study(
    name="table8",
    title="K-shot supernets against ensembles (paper table 8)",
    question="Does one bank of K copies find what K supernets do, at the cost of one?",
    kind="search+retrain",
    rows=_ROWS,
    sizes={
        "tiny": sizes.tiny(),
        "cpu": sizes.cpu(),
        "paper": sizes.paper(seeds=(0, 1, 2)),
    },
    answer=lambda data: answer(data, "K2", "average"),
    tables=(
        Table(
            "table8",
            "Cost, and accuracy of what is found",
            _table,
            decimals=1,
            labels={
                "cost": "cost/s",
                "relative_cost": "cost ×",
                "paper_cost": "paper",
                "memory": "MB",
                "relative_memory": "MB ×",
                "paper_memory": "paper ×",
                "top1": "top-1 %",
                "paper_top1": "paper %",
            },
            formats={
                "cost": ".0f",
                "memory": ".0f",
                "relative_cost": ".2f",
                "paper_cost": ".2f",
                "paper_memory": ".2f",
                "relative_memory": ".2f",
            },
            notes=(
                "Training: all supernets of a search in turn. Memory: peak of the search.",
                "×: to one copy, beside the paper's, whose units are 2.27 GPU hours and 8.7 GB.",
                "On a processor memory is the whole process's, most of which is not the network.",
                RETRAINED_NOTE,
                PAPER_NOTE,
            ),
        ),
    ),
    figures=(
        Picture(
            "table8",
            "Top-1 after retraining; a dot is a search, the line its row's mean.",
            accuracy_dots,
        ),
    ),
)
