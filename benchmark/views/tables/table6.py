"""Paper table 6: one-shot, random, fixed and learnt codes under each limit on FLOPs."""

from __future__ import annotations

import pandas as pd

from benchmark.views.clusters import LIMITS, Cluster, differing, main_comparison
from benchmark.views.tables import _found
from benchmark.views.tables._render import Table
from benchmark.views.tables._wide import Row

# Table 6 of the paper, top-1 in percent under 330 and under 420 MFLOPs.
PAPER = {
    "one-shot": (76.2, 77.0),
    "random": (76.2, 77.1),
    "fixed": (76.4, 77.2),
    "simplex": (77.2, 77.6),
}

SWITCHES = ("factors",)


def table(retrained: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Accuracy after retraining by sharing and limits, a block per data set.

    Args:
        retrained: the result of ``benchmark.records.load_searches.load_retrained``.
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Returns:
        Columns ``dataset``, ``space``, ``sharing``, ``K``, ``searches_widths``, ``limits``,
        ``top1`` and ``top5`` in percent with their ``_sd``, the paper's top-1 under its two
        limits, counts, and what sets the protocols apart. A row of the paper without records has
        dashes.
    """
    members = _members(retrained, searches)
    own = _found.own_fields(members, SWITCHES)
    fields = differing(members, own)
    rows: list[Row] = []
    for cells, block in _found.blocks(members):
        for sharing, (tight, wide) in PAPER.items():
            head: Row = {**cells, "sharing": sharing, "paper_330": tight, "paper_420": wide}
            rows += [
                {
                    **head,
                    "K": str(one.K),
                    "searches_widths": "yes" if one.searches_widths else "no",
                    "limits": one.limits,
                    **_found.accuracy_cells(one),
                    **_found.protocol_cells(one, fields),
                }
                for one in block
                if one.sharing == sharing
            ] or [head]
    columns = ["dataset", "space", "sharing", "K", "searches_widths", "limits"]
    measured = ["top1", "top1_sd", "top5", "top5_sd", "paper_330", "paper_420"]
    columns += [*measured, "num_seeds", "num_retrained"]
    return _found.as_frame(rows, columns, measured, members, own)


def _members(retrained: pd.DataFrame, searches: pd.DataFrame) -> list[Cluster]:
    every = _found.retrained_clusters(retrained, searches)
    return main_comparison(
        [one for one in every if one.space == "mobilenetv2" and one.sharing in PAPER],
        (*LIMITS, *SWITCHES),
        lambda one: (one.sharing, one.K, one.searches_widths, one.limits),
    )


TABLE = Table(
    title="Ways of sharing under limits on FLOPs (paper table 6)",
    build=table,
    notes=(
        _found.RETRAINED_NOTE,
        _found.PAPER_NOTE,
        _found.SIDE_NOTE,
        "The paper's rows search no widths; its random codes are a mean of ten draws.",
    ),
    labels=_found.FOUND_LABELS
    | {
        "paper_330": "paper, ImageNet, 330 MFLOPs: top-1 (%)",
        "paper_420": "paper, ImageNet, 420 MFLOPs: top-1 (%)",
    },
    formats={"paper_330": ".1f", "paper_420": ".1f"},
    reads=("retrained", "searches"),
    about=_found.about(_members, SWITCHES),
    wants="retrained architecture of a MobileNetV2 search",
)
