"""The same predictions against other columns of the truth: how far a ranking carries over."""

from __future__ import annotations

import pandas as pd

from benchmark.study.definition import StudyData, of_row
from benchmark.study.ranked import datasets, on
from benchmark.views.ranks import METRIC
from benchmark.views.values import estimate

LABELS = {"name": "", "column": "truth", "tau": "tau-b (%)"}
NOTES = (
    "The supernets saw one data set alone; against the truth of others it is a transfer.",
    "Mean ± sample standard deviation over n seeds, by accuracy.",
)


def table(data: StudyData) -> pd.DataFrame:
    """A line per row of the study and column of the truth that its runs were compared with.

    Returns:
        Columns ``name``, ``column``, ``tau`` in percent with ``tau_sd``, and ``n``.
    """
    lines = []
    for dataset in datasets(data)[:1]:
        runs = on(data, dataset)
        others = [str(name) for name in runs if str(name).startswith("also.")]
        others = [name for name in others if name.endswith(f".{METRIC}")]
        for row in data.rows:
            own = of_row(runs, row)
            if not len(own):
                continue
            own_column = str(own["truth.column"].iloc[0])
            for title, name in {
                own_column: f"metrics.{METRIC}",
                **{name.split(".")[1]: name for name in others},
            }.items():
                value = estimate(own, name)
                if value.num:
                    lines.append(
                        {
                            "name": row.label,
                            "column": title,
                            "tau": 100 * value.mean,
                            "tau_sd": 100 * value.sd,
                            "n": value.num,
                        }
                    )
    return pd.DataFrame(lines, columns=["name", "column", "tau", "tau_sd", "n"])
