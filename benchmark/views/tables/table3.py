"""Paper table 3: true accuracy of the cells that searches of NAS-Bench-201 find."""

from __future__ import annotations

import pandas as pd

from benchmark.views.clusters import WAYS, Cluster, clusters, differing, main_comparison, range_text
from benchmark.views.groups import DATASETS, Estimate, numbers, place
from benchmark.views.tables import _found
from benchmark.views.tables._render import Table
from benchmark.views.tables._wide import Row, append, fill, joined

# Table 3 of the paper, percent on CIFAR-10, CIFAR-100, ImageNet16-120.
PAPER = (
    ("GDAS", (93.52, 67.52, 40.91), (0.15, 0.15, 0.12)),
    ("DARTS-", (93.80, 71.36, 45.12), (0.40, 1.51, 0.82)),
    ("SPOS (one-shot)", (93.67, 69.83, 44.71), (0.26, 0.21, 0.17)),
    ("AngleNet", (94.01, 72.96, 45.83), (0.37, 0.26, 0.19)),
    ("K-shot", (94.19, 73.45, 46.53), (0.16, 0.05, 0.11)),
    ("optimal", (94.37, 73.51, 47.31), None),
)
SWITCHES = ("factors",)
# These have columns of their own.
_OWN = ("method", "truth_column", "truth.column", "truth.sha256")


def table(searches: pd.DataFrame) -> pd.DataFrame:
    """True accuracy in percent of the best cell found, mean and sd over searches.

    Args:
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Returns:
        Columns ``source``, ``sharing``, ``K``, ``method``, one per data set with its ``_sd``,
        counts, ``limits``, ``truth``, and what sets the protocols apart. The best cell there is
        within the limits stands below.
    """
    members = _members(searches)
    if not members:
        return pd.DataFrame()
    own = (*_found.own_fields(members, SWITCHES), *_OWN)
    fields = differing(members, own)
    found: list[Row] = []
    optima: list[Row] = []
    for one in members:
        name = one.dataset
        shared: Row = {"limits": one.limits, "truth": _truth(one)}
        key = shared | {"source": "this work", "sharing": one.sharing, "K": str(one.K)}
        key |= {"method": one.protocol["method"], **_found.protocol_cells(one, fields)}
        row = fill(found, key, name, one.estimate("best.true"), 1.0)
        append(row, "num_seeds", str(one.num_seeds), name)
        append(row, "num_scored", range_text(one.rows["num_scored"]), name)
        best = Estimate.of(numbers(one.rows, "optimum.true")[:1])
        if best.mean == best.mean and not any(
            shared.items() <= row.items() and row[name] == best.mean
            for row in optima
            if name in row
        ):
            fill(optima, shared | {"source": "optimum", "sharing": "truth table"}, name, best, 1.0)
    found.sort(key=lambda row: (place(str(row["sharing"]), WAYS), int(str(row["K"]))))
    for row in found:
        row |= {name: joined(row[name]) for name in ("num_seeds", "num_scored")}
    datasets = [*DATASETS, *sorted({one.dataset for one in members} - set(DATASETS))]
    measured = [name for dataset in datasets for name in (dataset, f"{dataset}_sd")]
    columns = ["source", "sharing", "K", "method", *measured, "num_seeds", "num_scored"]
    rows = [*_published(), *found, *optima]
    return _found.as_frame(rows, [*columns, "limits", "truth"], measured, members, own)


def _published() -> list[Row]:
    rows: list[Row] = []
    for name, means, spreads in PAPER:
        row: Row = {"source": "paper", "sharing": name, **dict(zip(DATASETS, means, strict=True))}
        if spreads:
            row |= {f"{d}_sd": sd for d, sd in zip(DATASETS, spreads, strict=True)}
        rows.append(row)
    return rows


def _members(searches: pd.DataFrame) -> list[Cluster]:
    """Searches with a truth table, by what it says."""
    known = searches[(searches["space"] == "nasbench201") & searches["best.true"].notna()]
    return main_comparison(
        clusters(known, extra=["truth.column", "truth.sha256"]),
        ["method"],
        lambda one: (one.sharing, one.K, one.protocol["method"]),
    )


def _truth(one: Cluster) -> str:
    """The truth's column without its data set, which stands above."""
    return one.protocol["truth.column"].removeprefix(f"{one.dataset}/")


TABLE = Table(
    title="True accuracy of the cells found (paper table 3), percent",
    build=table,
    notes=(
        "Mean ± sample standard deviation over searches of different seeds.",
        "The accuracy is the truth table's of the one cell that a search chose by shared weights.",
        "The optimum is the best in the truth table within the same limits.",
        _found.SIDE_NOTE,
        "The paper does not say which training seed and images its figures are of.",
    ),
    labels={"sharing": "sharing", "num_seeds": "searches", "num_scored": "scored"},
    reads=("searches",),
    about=_found.about(_members, SWITCHES),
    wants="search of NAS-Bench-201 with its truth table",
)
