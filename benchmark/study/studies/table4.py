"""Paper tables 4 and 7: one-shot against K-shot sharing, by three correlation coefficients."""

from __future__ import annotations

import dataclasses

from benchmark.study.definition import Row, Study, Table
from benchmark.study.figures import high_low, scatter
from benchmark.study.studies.table9 import DATASETS, SIZES
from benchmark.study.tables import correlations, measures, ranking

_ANGLE = dict(zip(DATASETS, (57.48, 60.40, 54.45), strict=True))
# Table 4 prints 61.22 for K = 8 on CIFAR-100, table 9 60.40.
_KSHOT = dict(zip(DATASETS, (62.64, 61.22, 56.33), strict=True))
_COEFFICIENTS = {
    "kendall_tau_b": (0.63, 0.61, 0.56),
    "spearman": (0.81, 0.80, 0.73),
    "pearson": (0.92, 0.84, 0.76),
}
_KSHOT |= {
    f"{dataset}/{metric}": value
    for metric, values in _COEFFICIENTS.items()
    for dataset, value in zip(DATASETS, values, strict=True)
}

STUDY = Study(
    name="table4",
    title="One-shot against K-shot sharing on NAS-Bench-201 (paper tables 4 and 7)",
    question="Does K-shot sharing at K = 8 rank architectures better than one-shot sharing, by "
    "each of three correlation coefficients?",
    kind="rank",
    rows=(
        Row(
            "one-shot",
            "SPOS (K = 1)",
            {"K": 1},
            dict(zip(DATASETS, (55.0, 56.0, 54.0), strict=True)),
        ),
        Row("anglenet", "AngleNet", {}, _ANGLE),
        Row("k-shot", "K-shot (K = 8)", {"K": 8}, _KSHOT),
    ),
    sizes={
        name: dataclasses.replace(size, rows=("one-shot", "k-shot")) for name, size in SIZES.items()
    },
    answer=ranking.answer,
    tables=(
        ranking.tau_table(
            "table4",
            "Kendall's tau-b of sharing methods (paper table 4)",
            ranking.PAPER_NOTE,
            "AngleNet's metric is not built here: its row is the paper's.",
        ),
        Table(
            "table7",
            "Correlation coefficients (paper table 7)",
            correlations.table,
            correlations.LABELS,
            correlations.NOTES,
        ),
        Table(
            "measures",
            "Other metrics, by accuracy and by −loss",
            measures.table,
            measures.LABELS,
            measures.NOTES,
            decimals=1,
            # The table above has tau-b.
            for_programs=("kendall_tau_b", "kendall_tau_a"),
        ),
    ),
    figures=(
        high_low.PICTURE,
        scatter.PICTURE,
    ),
)
