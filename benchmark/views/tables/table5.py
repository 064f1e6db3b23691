"""Paper table 5: what each part of the method adds to the accuracy of the found architecture."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.views.clusters import Cluster, differing, main_comparison
from benchmark.views.tables import _found
from benchmark.views.tables._render import Table
from benchmark.views.tables._wide import Row


@dataclass(frozen=True)
class Part:
    """A row of the paper's table: what is on, and the accuracies in percent."""

    sharing: str
    widths: bool
    regularised: bool
    top1: float
    top5: float


# Table 5 of the paper, under 420 MFLOPs.
PAPER = (
    Part("one-shot", widths=False, regularised=False, top1=77.0, top5=93.4),
    Part("one-shot", widths=True, regularised=False, top1=77.1, top5=93.4),
    Part("fixed", widths=False, regularised=False, top1=77.2, top5=93.5),
    Part("simplex", widths=False, regularised=False, top1=77.5, top5=93.6),
    Part("simplex", widths=True, regularised=False, top1=77.6, top5=93.6),
    Part("simplex", widths=True, regularised=True, top1=77.9, top5=93.8),
)

# Settings that the table's own columns show.
SWITCHES = ("factors", "regularisation")


def part_of(one: Cluster) -> tuple[str, bool, bool]:
    """Sharing, whether widths are searched, and whether r_c tells them apart."""
    return one.sharing, one.searches_widths, one.regularised


def table(retrained: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Accuracy after retraining by parts of the method, a block per data set.

    Args:
        retrained: the result of ``benchmark.records.load_searches.load_retrained``.
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Returns:
        Columns ``number``, ``dataset``, ``space``, the parts, ``K``, ``limits``, ``top1`` and
        ``top5`` in percent with their ``_sd``, the paper's, counts, and what sets the protocols
        apart. A row of the paper without records has dashes.
    """
    members = _members(retrained, searches)
    own = _found.own_fields(members, SWITCHES)
    fields = differing(members, own)
    rows: list[Row] = []
    for cells, block in _found.blocks(members):
        for number, part in enumerate(PAPER, start=1):
            wanted = (part.sharing, part.widths, part.regularised)
            several = {"K-shot": part.sharing != "one-shot", "one-shot": part.sharing == "one-shot"}
            several |= {"simplex-net": part.sharing == "simplex", "channel": part.widths}
            several |= {"r_c": part.regularised}
            head: Row = {
                "number": str(number),
                **cells,
                **{name: "yes" if on else "" for name, on in several.items()},
                "paper_top1": part.top1,
                "paper_top5": part.top5,
            }
            found = [one for one in block if part_of(one) == wanted]
            rows += [
                {
                    **head,
                    "K": str(one.K),
                    "limits": one.limits,
                    **_found.accuracy_cells(one),
                    **_found.protocol_cells(one, fields),
                }
                for one in found
            ] or [head]
    columns = ["number", "dataset", "space", "K-shot", "one-shot", "simplex-net", "channel", "r_c"]
    measured = ["top1", "top1_sd", "top5", "top5_sd", "paper_top1", "paper_top5"]
    columns += ["K", "limits", *measured, "num_seeds", "num_retrained"]
    return _found.as_frame(rows, columns, measured, members, own)


def _members(retrained: pd.DataFrame, searches: pd.DataFrame) -> list[Cluster]:
    wanted = {(part.sharing, part.widths, part.regularised) for part in PAPER}
    every = _found.retrained_clusters(retrained, searches)
    members = [one for one in every if one.space == "mobilenetv2" and part_of(one) in wanted]
    return main_comparison(members, SWITCHES, lambda one: (part_of(one), one.K))


TABLE = Table(
    title="What each part of the method adds (paper table 5)",
    build=table,
    notes=(
        _found.RETRAINED_NOTE,
        _found.PAPER_NOTE,
        _found.SIDE_NOTE,
        "The paper's limit is 420 MFLOPs.",
    ),
    labels=_found.FOUND_LABELS | {"number": "#", "r_c": "r_c"},
    formats=_found.FOUND_FORMATS,
    reads=("retrained", "searches"),
    about=_found.about(_members, SWITCHES),
    wants="retrained architecture of a MobileNetV2 search with one of its settings",
)
