"""Table 6: one-shot, random, fixed and learnt codes under two limits on multiply-adds."""

from __future__ import annotations

import pandas as pd

from benchmark.study.definition import Picture, Row, Study, StudyData, Table
from benchmark.study.dots import accuracy_dots
from benchmark.study.found import PAPER_NOTE, RETRAINED_NOTE, accuracy_cells, answer, row_named
from benchmark.study.studies import _search_sizes as sizes

# Ways of sharing: label, settings, the paper's top-1 under 330 and 420 million multiply-adds.
_WAYS: dict[str, tuple[str, dict[str, object], float, float]] = {
    "one-shot": ("one-shot", {"K": 1}, 76.2, 77.0),
    "random": ("random K-shot", {"sharing": "random"}, 76.2, 77.1),
    "fixed": ("fixed K-shot", {"sharing": "fixed"}, 76.4, 77.2),
    "simplex": ("K-shot", {"sharing": "simplex"}, 77.2, 77.6),
}
_LIMITS = ("tight", "wide")


def _limits(most: float) -> dict[str, dict[str, object]]:
    """The wide limit and 330/420 of it, for the rows of each."""
    limits = {"tight": round(most * 330 / 420), "wide": most}
    return {
        f"{way}-{limit}": {"max_flops": value} for way in _WAYS for limit, value in limits.items()
    }


def _recorded(
    limits: dict[str, dict[str, object]],
) -> dict[str, dict[str, object]]:
    """The rows' settings with the warm-up at 1/K that random codes had when they were recorded."""
    warm = {"warmup": "uniform", "warmup_epochs": 1}
    return {name: own | (warm if "random" in name else {}) for name, own in limits.items()}


def _rows() -> tuple[Row, ...]:
    rows = []
    for limit in _LIMITS:
        for way, (label, settings, tight, wide) in _WAYS.items():
            published = {"top1": tight if limit == "tight" else wide}
            rows.append(Row(f"{way}-{limit}", f"{label}, {limit} limit", settings, published))
    return tuple(rows)


def _table(data: StudyData) -> pd.DataFrame:
    rows = []
    for way, (label, *_) in _WAYS.items():
        cells: dict[str, object] = {"method": label}
        for limit in _LIMITS:
            row = row_named(data, f"{way}-{limit}")
            found = accuracy_cells(data, row, ("top1",))
            cells |= {
                limit: found["top1"],
                f"{limit}_sd": found["top1_sd"],
                f"paper_{limit}": row.paper["top1"],
                "n" if limit == "wide" else "n_tight": found["n"],
            }
        rows.append(cells)
    return pd.DataFrame(rows)


STUDY = Study(
    name="table6",
    title="Ways of sharing under two limits (paper table 6)",
    question="Do codes that a simplex-net learns find more than fixed or random ones, or one copy?",
    kind="search+retrain",
    rows=_rows(),
    sizes={
        "tiny": sizes.tiny(row_settings=_limits(2e5)),
        "cpu": sizes.cpu(row_settings=_recorded(_limits(1e6))),
        "paper": sizes.paper(seeds=(0, 1, 2), row_settings=_limits(420e6)),
    },
    answer=lambda data: answer(data, "simplex-wide", "fixed-wide"),
    tables=(
        Table(
            "table6",
            "Accuracy of what is found, by sharing and limit",
            _table,
            decimals=1,
            labels={
                "tight": "tight limit (%)",
                "paper_tight": "paper 330",
                "n_tight": "n tight",
                "wide": "wide limit (%)",
                "paper_wide": "paper 420",
                "n": "n",
            },
            formats={"paper_tight": ".1f", "paper_wide": ".1f"},
            notes=(
                RETRAINED_NOTE,
                "Limits: the paper's 330 and 420 million multiply-adds; elsewhere as far apart.",
                PAPER_NOTE,
                "At the cpu size random codes warm up at 1/K for one epoch, elsewhere not at all.",
                "The paper's rows search no widths; its random codes are a mean of ten draws.",
            ),
        ),
    ),
    figures=(
        Picture(
            "table6",
            "Top-1 after retraining; a dot is a search, the line its row's mean.",
            accuracy_dots,
        ),
    ),
)
