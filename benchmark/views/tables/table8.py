"""Paper table 8: K-shot supernets against ensembles of K supernets."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.views.clusters import ENSEMBLES, Cluster, baseline, differing, main_comparison
from benchmark.views.found import outcome_clusters, outcomes
from benchmark.views.tables import _found
from benchmark.views.tables._render import Table
from benchmark.views.tables._wide import Row

# Table 8 of the paper by sharing and K: top-1 (%), GPU hours of an epoch, GPU memory (GB).
PAPER = {
    ("one-shot", 1): (77.12, 2.27, 8.7),
    ("ensemble-max", 2): (77.58, 4.54, 17.5),
    ("ensemble-average", 2): (77.64, 4.55, 17.6),
    ("simplex", 2): (77.56, 2.28, 8.8),
    ("simplex", 4): (77.79, 2.32, 8.9),
    ("simplex", 8): (77.92, 2.37, 9.2),
}
_SHARINGS = ("one-shot", *ENSEMBLES, "simplex")
_MEGABYTE = 2.0**20
SWITCHES = ("factors",)


def table(searches: pd.DataFrame, retrained: pd.DataFrame) -> pd.DataFrame:
    """Accuracy after retraining and costs of ensembles and of K-shot supernets.

    Args:
        searches: the result of ``benchmark.records.load_searches.load_searches``.
        retrained: the result of ``benchmark.records.load_searches.load_retrained``.

    Returns:
        Columns ``dataset``, ``space``, ``sharing``, ``K``, ``searches_widths``, ``limits``,
        ``top1`` and ``top5`` in percent, ``seconds`` of training all supernets and ``memory`` of
        the search in MB, each with its ``_sd``, costs relative to one-shot, the paper's, counts,
        and what sets the protocols apart. A row of the paper without records has dashes.
    """
    members = _members(searches, retrained)
    own = _found.own_fields(members, SWITCHES)
    fields = differing(members, own)
    rows: list[Row] = []
    for cells, block in _found.blocks(members):
        ways = dict.fromkeys([*PAPER, *((one.sharing, one.K) for one in block)])
        for sharing, copies in sorted(ways, key=lambda way: (_SHARINGS.index(way[0]), way[1])):
            head: Row = {**cells, "sharing": sharing, "K": str(copies)}
            head |= _published(sharing, copies)
            found = [one for one in block if (one.sharing, one.K) == (sharing, copies)]
            rows += [
                {
                    **head,
                    "searches_widths": "yes" if one.searches_widths else "no",
                    "limits": one.limits,
                    **_found.accuracy_cells(one),
                    **_costs(one, block),
                    **_found.protocol_cells(one, fields),
                }
                for one in found
            ] or [head]
    columns = ["dataset", "space", "sharing", "K", "searches_widths", "limits"]
    measured = ["top1", "top1_sd", "top5", "top5_sd", "paper_top1", "seconds", "seconds_sd"]
    measured += ["relative", "paper_relative", "memory", "memory_sd", "relative_memory"]
    measured += ["paper_relative_memory"]
    columns += [*measured, "num_seeds", "num_retrained"]
    return _found.as_frame(rows, columns, measured, members, own)


def _costs(one: Cluster, block: list[Cluster]) -> Row:
    single = baseline(one, block)
    cells: Row = {}
    for name, column, relative, scale in (
        ("seconds", "seconds.supernets", "relative", 1.0),
        ("memory", "peak_memory_bytes", "relative_memory", _MEGABYTE),
    ):
        value = one.estimate(column)
        under = single.estimate(column).mean if single else math.nan
        cells |= {name: value.mean / scale, f"{name}_sd": value.sd / scale}
        cells[relative] = value.mean / under if under > 0 else math.nan
    return cells


def _published(sharing: str, copies: int) -> Row:
    if (sharing, copies) not in PAPER:
        return {}
    top1, hours, memory = PAPER[sharing, copies]
    _, first_hours, first_memory = PAPER["one-shot", 1]
    return {
        "paper_top1": top1,
        "paper_relative": hours / first_hours,
        "paper_relative_memory": memory / first_memory,
    }


def _members(searches: pd.DataFrame, retrained: pd.DataFrame) -> list[Cluster]:
    every = outcome_clusters(outcomes(retrained, searches), machine=True)
    return main_comparison(
        [one for one in every if one.space == "mobilenetv2" and one.sharing in _SHARINGS],
        SWITCHES,
        lambda one: (one.sharing, one.K, one.searches_widths),
    )


TABLE = Table(
    title="K-shot supernets and ensembles of K supernets (paper table 8)",
    build=table,
    notes=(
        _found.RETRAINED_NOTE,
        "Training cost: seconds of training all supernets of a search, one after another.",
        "Memory: peak of the search, which holds all of them; on a CPU the whole process's.",
        "Relative: to one-shot with otherwise equal settings on the same machine; else a dash.",
        _found.PAPER_NOTE,
        _found.SIDE_NOTE,
        "The paper's costs are 2.27 GPU hours an epoch and 8.7 GB at K = 1.",
    ),
    labels=_found.FOUND_LABELS
    | {
        "seconds": "training cost (s)",
        "relative": "relative cost",
        "paper_relative": "paper, ImageNet: relative cost",
        "memory": "memory (MB)",
        "relative_memory": "relative memory",
        "paper_relative_memory": "paper, ImageNet: relative memory",
    },
    reads=("searches", "retrained"),
    about=_found.about(_members, SWITCHES),
    wants="MobileNetV2 search",
)
