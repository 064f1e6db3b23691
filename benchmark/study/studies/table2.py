"""Table 2: what is found under four limits on multiply-adds, beside published networks."""

from __future__ import annotations

import pandas as pd

from benchmark.study.definition import Picture, Row, Study, StudyData, Table, of_row
from benchmark.study.dots import accuracy_dots
from benchmark.study.found import PAPER_NOTE, RETRAINED_NOTE, accuracy_cells, answer, cost_cells
from benchmark.study.studies import _search_sizes as sizes
from benchmark.views.values import MISSING

_WIDEST = {"factors": "1.0"}
# The paper's K-shot networks: group, without and with widths (top-1, top-5, M multiply-adds, M
# parameters). It does not state the limits; here a group's is the larger of its two.
_FOUND = {
    "D": ((73.4, 90.7, 133, 2.6), (73.7, 90.9, 145, 2.8)),
    "C": ((76.3, 92.6, 281, 4.4), (76.5, 92.7, 286, 4.7)),
    "B": ((77.2, 93.3, 332, 6.2), (77.4, 93.5, 343, 6.4)),
    "A": ((77.6, 93.6, 422, 6.5), (77.9, 93.8, 412, 7.8)),
}
_PUBLISHED = {
    "D": (
        ("ShuffleNetV2 1.0", 69.4, 146),
        ("MobileNetV2 0.5", 63.3, 150),
        ("FBNetV2-F3", 73.2, 126),
    ),
    "C": (
        ("SCARLET-C", 75.6, 280),
        ("MobileNetV2 1.0", 72.0, 300),
        ("MnasNet-A1", 75.2, 312),
    ),
    "B": (
        ("Proxyless-R", 74.6, 320),
        ("AngleNet", 74.2, 325),
        ("SPOS", 76.2, 328),
        ("MnasNet-A2", 75.6, 340),
        ("ST-NAS-A", 76.4, 326),
        ("SCARLET-B", 76.3, 329),
        ("GreedyNAS-B", 76.8, 324),
        ("MCT-NAS-B", 76.9, 327),
        ("FairNAS-C", 76.7, 325),
        ("BetaNet-A", 75.9, 333),
    ),
    "A": (
        ("AngleNet", 76.1, 470),
        ("MnasNet-A3", 76.7, 403),
        ("EfficientNet-B0", 76.3, 390),
    ),
}
"""Of each group the table's other networks: name, top-1 in percent, million multiply-adds."""
_MILLION = 1e6


def _rows() -> tuple[Row, ...]:
    rows = []
    for group, (plain, wide) in _FOUND.items():
        for suffix, settings, (top1, top5, flops, params) in (
            ("", _WIDEST, plain),
            ("-widths", {}, wide),
        ):
            paper = {"top1": top1, "top5": top5, "flops": flops, "params": params}
            label = f"K-shot {group}{', widths' if suffix else ''}"
            rows.append(Row(f"{group}{suffix}", label, settings, paper))
    return tuple(rows)


def _limits(most: dict[str, float]) -> dict[str, dict[str, object]]:
    """Each group's limit, for its two rows."""
    return {
        f"{group}{suffix}": {"max_flops": limit}
        for group, limit in most.items()
        for suffix in ("", "-widths")
    }


def _table(data: StudyData) -> pd.DataFrame:
    """Published networks of each group by their multiply-adds, then the two found here."""
    lines: list[dict[str, object]] = []
    for group, published in _PUBLISHED.items():
        for name, top1, flops in sorted(published, key=lambda one: one[2]):
            lines.append({"method": name, "paper": top1, "paper_flops": flops, "n": MISSING})
        for row in data.rows:
            if row.name.partition("-")[0] != group:
                continue
            retrained = of_row(data.retrained, row)
            lines.append(
                {
                    "method": row.label,
                    **accuracy_cells(data, row),
                    **cost_cells(retrained, "flops", "flops", _MILLION),
                    **cost_cells(retrained, "params", "params", _MILLION),
                    "paper": row.paper["top1"],
                    "paper_flops": row.paper["flops"],
                }
            )
    names = ["method", "top1", "top1_sd", "top5", "top5_sd", "flops", "flops_sd", "params"]
    return pd.DataFrame(lines)[[*names, "params_sd", "paper", "paper_flops", "n"]]


STUDY = Study(
    name="table2",
    title="What is found under four limits, beside published networks (paper table 2)",
    question="How accurate is what K-shot search finds under four limits on multiply-adds, with "
    "and without searching widths?",
    kind="search+retrain",
    rows=_rows(),
    sizes={
        "tiny": sizes.tiny(row_settings=_limits({"D": 1e5, "C": 1.4e5, "B": 1.8e5, "A": 2.2e5})),
        "cpu": sizes.cpu(row_settings=_limits({"D": 5e5, "C": 8e5, "B": 1e6, "A": 1.25e6})),
        "paper": sizes.paper(
            seeds=(0, 1, 2),
            row_settings=_limits({"D": 145e6, "C": 286e6, "B": 343e6, "A": 422e6}),
        ),
    },
    answer=lambda data: answer(data, "A-widths", "A"),
    tables=(
        Table(
            "table2",
            "Accuracy and cost of what is found, by limit, beside published networks",
            _table,
            decimals=1,
            labels={
                "top1": "top-1 %",
                "top5": "top-5 %",
                "flops": "MFLOPs",
                "params": "M params",
                "paper": "paper %",
                "paper_flops": "paper MFLOPs",
            },
            formats={"paper": ".1f", "paper_flops": ".0f", "flops": ".3g", "params": ".3g"},
            notes=(
                RETRAINED_NOTE,
                "Paper: top-1 on ImageNet and multiply-adds as its table prints them.",
                "Limits at paper scale: 145, 286, 343 and 422 MFLOPs, the more of a group's two.",
                "Networks without n are not built here: their rows are the paper's.",
                PAPER_NOTE,
            ),
        ),
    ),
    figures=(
        Picture(
            "table2",
            "Top-1 after retraining; a dot is a search, the line its row's mean.",
            accuracy_dots,
        ),
    ),
)
