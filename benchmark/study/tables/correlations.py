"""Three correlation coefficients of a study's rows on each data set: paper table 7."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.study.definition import StudyData, of_row
from benchmark.study.ranked import NAMES, datasets, on
from benchmark.views.ranks import AGREEMENT, agreement, controls, tau
from benchmark.views.values import MISSING

METRICS = ("kendall_tau_b", "spearman", "pearson")
LABELS = {
    "dataset": "data set",
    "name": "",
    "kendall_tau_b": "Kendall τ",
    "kendall_tau_b_paper": "paper τ",
    "spearman": "Spearman ρ",
    "spearman_paper": "paper ρ",
    "pearson": "Pearson r",
    "pearson_paper": "paper r",
}
NOTES = (
    "Mean ± sample standard deviation over n seeds, by accuracy; Pearson keeps its sign.",
    "The last rows train nothing, or are two training seeds of the truth against each other.",
)


def table(data: StudyData) -> pd.DataFrame:
    """A row per data set and row of the study, controls and seed agreement below.

    Returns:
        Columns ``dataset`` (where there are several), ``name``, the coefficients with their
        ``_sd`` and the paper's beside them, and ``n``, the number of runs.
    """
    every, lines = datasets(data), list[dict[str, object]]()
    for dataset in every:
        runs, head = on(data, dataset), {"dataset": NAMES.get(dataset, dataset)}
        for row in data.rows:
            own = of_row(runs, row)
            line: dict[str, object] = {**head, "name": row.label}
            for metric in METRICS:
                value = tau(own, metric)
                line |= {metric: value.mean, f"{metric}_sd": value.sd}
                line[f"{metric}_paper"] = float(row.paper.get(f"{dataset}/{metric}", math.nan))
            lines.append({**line, "n": len(own)})
        if not len(runs):
            continue
        for name in (*controls(runs), AGREEMENT):
            line = {**head, "name": name, "n": MISSING}
            for metric in METRICS:
                value_of = {**controls(runs, metric), AGREEMENT: agreement(runs, metric)}
                line[metric] = value_of.get(name, math.nan)
            lines.append(line)
    frame = pd.DataFrame(lines)
    return frame.drop(columns="dataset") if len(every) == 1 else frame
