"""Paper table 1: what training and searching cost, against the number of copies K."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.views.clusters import (
    ENSEMBLES,
    MACHINE,
    Cluster,
    baseline,
    clusters,
    differing,
    main_comparison,
)
from benchmark.views.tables import _found
from benchmark.views.tables._render import Table
from benchmark.views.tables._wide import Row

# Table 1 of the paper for K = 1, 2, 4, 8, 12: GPU hours of an epoch, and GPU memory at batch 128.
COPIES = (1, 2, 4, 8, 12)
PAPER = {
    "training": ((2.27, 2.28, 2.32, 2.37, 2.43), "GPU hours"),
    "search": ((0.233, 0.234, 0.237, 0.242, 0.246), "GPU hours"),
    "training memory": ((17.5, 17.7, 17.9, 18.4, 18.9), "GB"),
}
_MEGABYTE = 2.0**20
SWITCHES = ("factors",)
# The stage, whether of searches, the record's column, how many of it make a unit, the unit.
_MEASURES = (
    ("training", False, "seconds_per_epoch", 1.0, "s an epoch"),
    ("search", True, "seconds_per_arch", 1.0, "s an architecture"),
    ("training memory", False, "peak_memory_bytes", _MEGABYTE, "MB"),
    ("search memory", True, "peak_memory_bytes", _MEGABYTE, "MB"),
)


def table(supernets: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Time and peak memory by K, and relative to K = 1 on the same machine.

    Args:
        supernets: the result of ``benchmark.records.load_searches.load_supernets``.
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Returns:
        Columns ``stage``, ``dataset``, ``space``, ``sharing``, ``K``, ``value`` with its ``_sd``,
        ``unit``, ``relative``, ``paper_relative``, ``paper``, ``searches_widths``, ``limits``,
        ``num_seeds``, and what sets the protocols apart.
    """
    members = _members(supernets, searches)
    own = _found.own_fields(members, SWITCHES)
    fields = differing(members, own)
    rows: list[Row] = []
    for stage, of_searches, column, scale, unit in _MEASURES:
        for cells, found in _found.blocks(members):
            block = [one for one in found if ("method" in one.protocol) == of_searches]
            for one in block:
                value = one.estimate(column)
                rows.append(
                    {
                        **cells,
                        "stage": stage,
                        "sharing": one.sharing,
                        "K": str(one.K),
                        "value": value.mean / scale,
                        "value_sd": value.sd / scale,
                        "unit": unit,
                        "relative": _relative(one, block, column),
                        **_published(stage, one),
                        "searches_widths": "yes" if one.searches_widths else "no",
                        "limits": one.limits if of_searches else "",
                        "num_seeds": str(one.num_seeds),
                        **_found.protocol_cells(one, fields),
                    }
                )
    columns = ["stage", "dataset", "space", "sharing", "K", "value", "value_sd", "unit"]
    columns += ["relative", "paper_relative", "paper", "searches_widths", "limits", "num_seeds"]
    measured = ["value", "value_sd", "relative", "paper_relative"]
    return _found.as_frame(rows, columns, measured, members, own)


def _members(supernets: pd.DataFrame, searches: pd.DataFrame) -> list[Cluster]:
    """Clusters on one machine each; ensembles are table 8's."""
    every = clusters(supernets, extra=MACHINE) + clusters(searches, extra=MACHINE)
    return main_comparison(
        [one for one in every if one.sharing not in ENSEMBLES],
        SWITCHES,
        lambda one: ("method" in one.protocol, one.sharing, one.K, one.searches_widths),
    )


def _relative(one: Cluster, block: list[Cluster], column: str) -> float:
    """A mean as a multiple of that at K = 1; NaN where there is none to compare with."""
    single = baseline(one, block)
    under = single.estimate(column).mean if single else math.nan
    return one.estimate(column).mean / under if under > 0 else math.nan


def _published(stage: str, one: Cluster) -> Row:
    """The paper's cells for the same K."""
    if stage not in PAPER or one.sharing not in ("one-shot", "simplex") or one.K not in COPIES:
        return {}
    values, unit = PAPER[stage]
    value = values[COPIES.index(one.K)]
    return {"paper": f"{value:g} {unit}", "paper_relative": value / values[0]}


TABLE = Table(
    title="Cost of training and search against the number of copies K (paper table 1)",
    build=table,
    decimals=3,
    notes=(
        "Mean ± sample standard deviation over seeds.",
        "Relative: to K = 1 with otherwise equal settings on the same machine; else a dash.",
        "Peak memory on a GPU is torch's; on a CPU the process's, whatever it did before.",
        _found.SIDE_NOTE,
        "The paper's figures are of one ImageNet epoch on V100 GPUs: compare the ratios alone.",
    ),
    labels={
        "value": "measured",
        "relative": "relative to K = 1",
        "paper_relative": "paper, ImageNet: relative",
        "paper": "paper, ImageNet",
        "searches_widths": "width search",
    },
    reads=("supernets", "searches"),
    about=_found.about(_members, SWITCHES),
    wants="trained supernet",
)
