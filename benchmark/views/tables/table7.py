"""Paper table 7: three correlation coefficients on each data set."""

from __future__ import annotations

import pandas as pd

from benchmark.views.tables._render import CONTROLS_NOTE, Table
from benchmark.views.tables._wide import METRIC_NAMES, wide_table

# Table 7 of the paper: K-shot on CIFAR-10, CIFAR-100, ImageNet16-120.
PAPER = (
    ("kendall_tau_b", "K-shot (simplex)", "8", (0.63, 0.61, 0.56)),
    ("spearman", "K-shot (simplex)", "8", (0.81, 0.80, 0.73)),
    ("pearson", "K-shot (simplex)", "8", (0.92, 0.84, 0.76)),
)


def table(records: pd.DataFrame) -> pd.DataFrame:
    """Kendall tau-b, Spearman and signed Pearson of each method and K, controls last.

    Args:
        records: the result of ``benchmark.records.load.load_records``.

    Returns:
        Columns ``metric``, ``source``, ``method``, ``K``, one per data set with its ``_sd``,
        ``beats_controls`` (in the same correlation), counts, and what sets the protocols apart.
    """
    frame = wide_table(records, list(METRIC_NAMES), PAPER, scale=1.0)
    # Stable, so that the paper's row leads each coefficient and its controls end it.
    order = {name: place for place, name in enumerate(METRIC_NAMES.values())}
    return frame.sort_values(
        "metric", key=lambda names: names.map(order), kind="stable"
    ).reset_index(drop=True)


TABLE = Table(
    title="Correlation coefficients of sharing methods (paper table 7)",
    build=table,
    decimals=3,
    notes=(
        "Mean ± sample standard deviation over seeds; Pearson keeps its sign.",
        CONTROLS_NOTE,
    ),
)
