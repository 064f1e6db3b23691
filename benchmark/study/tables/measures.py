"""Every metric of a study's rows on each data set, by the score and by −loss."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.records.load import BY_LOSS
from benchmark.study.definition import StudyData, of_row
from benchmark.study.ranked import NAMES, datasets, on
from benchmark.views.ranks import AGREEMENT, agreement, controls
from benchmark.views.values import MISSING, estimate

_PERCENT = 100.0
MEASURES = {
    "kendall_tau_b": _PERCENT,
    "kendall_tau_a": _PERCENT,
    "spearman": _PERCENT,
    "pearson": _PERCENT,
    "high_low_tau": _PERCENT,
    "p_at_top.0.05": _PERCENT,
    "regret": 1.0,
}
"""Metrics, and what they are multiplied with."""
LABELS = {
    "name": "",
    "score": "by",
    "kendall_tau_b": "tau-b",
    "kendall_tau_a": "tau-a",
    "spearman": "ρ",
    "pearson": "r",
    "high_low_tau": "high-low",
    "p_at_top.0.05": "P@5 %",
    "regret": "regret",
}
NOTES = (
    "In percent, mean ± sample standard deviation over n seeds; regret in points of accuracy.",
    "ρ, r: Spearman, Pearson. High-low: tau between the truly best and all others.",
    "P@5 %: share of the predicted best 5 % that truly are the best 5 %.",
    "Regret: what is lost by taking the predicted best.",
    "The last rows train nothing, or are two training seeds of the truth against each other.",
)
_SCORES = {"metrics": "acc.", BY_LOSS: "−loss"}


def table(data: StudyData) -> pd.DataFrame:
    """Two rows per data set and row of the study, controls and seed agreement below.

    Returns:
        Columns ``name`` (with the data set where there are several), ``score``, ``MEASURES`` with
        their ``_sd``, and ``n``, the number of runs.
    """
    every, lines = datasets(data), list[dict[str, object]]()
    for dataset in every:
        runs = on(data, dataset)
        head = f"{NAMES.get(dataset, dataset)}: " if len(every) > 1 else ""
        for row in data.rows:
            own = of_row(runs, row)
            for prefix, score in _SCORES.items():
                lines.append({"name": head + row.label, "score": score} | _cells(own, prefix))
        if not len(runs):
            continue
        for name in (*controls(runs), AGREEMENT):
            line: dict[str, object] = {"name": head + name, "score": MISSING, "n": MISSING}
            for metric, scale in MEASURES.items():
                values = {**controls(runs, metric), AGREEMENT: agreement(runs, metric)}
                line[metric] = scale * values.get(name, math.nan)
            lines.append(line)
    return pd.DataFrame(lines)


def _cells(runs: pd.DataFrame, prefix: str) -> dict[str, object]:
    cells: dict[str, object] = {}
    for metric, scale in MEASURES.items():
        value = estimate(runs, f"{prefix}.{metric}")
        cells |= {metric: scale * value.mean, f"{metric}_sd": scale * value.sd}
    return cells | {"n": len(runs)}
