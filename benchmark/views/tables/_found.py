"""What the tables about searches and retrained architectures share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from benchmark.views.clusters import (
    LIMITS,
    Cluster,
    common_text,
    datasets_text,
    differing,
    field_label,
    mere_switches,
)
from benchmark.views.found import outcome_clusters, outcomes
from benchmark.views.groups import MISSING
from benchmark.views.tables._wide import Row

RETRAINED_NOTE = (
    "Mean ± sample standard deviation over searches; a search counts with the mean over the seeds "
    "of its architecture's retraining. Accuracies are of the averaged weights on the test images."
)
PAPER_NOTE = (
    "The paper's figures are on ImageNet, its own runs at full size: another data set, another "
    "space and other limits, shown for the order of the rows and not for their values."
)
SIDE_NOTE = (
    "Records that differ from these in one or two settings, and have some of these rows and no "
    "others, are left out, except the K = 1 of rows that stay; table 2 has what they found."
)
FOUND_LABELS = {
    "top1": "top-1 (%)",
    "top5": "top-5 (%)",
    "paper_top1": "paper, ImageNet: top-1 (%)",
    "paper_top5": "paper, ImageNet: top-5 (%)",
    "searches_widths": "width search",
    "num_seeds": "searches",
    "num_retrained": "retrainings",
}
# The paper prints one decimal.
FOUND_FORMATS = {"paper_top1": ".1f", "paper_top5": ".1f"}


def retrained_clusters(retrained: pd.DataFrame, searches: pd.DataFrame) -> list[Cluster]:
    """Searches that differ in seeds alone, those without a retrained architecture left out."""
    joined = outcomes(retrained, searches)
    if joined.empty:
        return []
    return outcome_clusters(joined[joined["retrainings"].map(bool)])


def own_fields(members: Sequence[Cluster], names: Sequence[str]) -> tuple[str, ...]:
    """Settings that a table shows in columns of its own: the limits, and what it turns on or off.

    A switch with several values beside off is no mere switch, and keeps its column.
    """
    return (*LIMITS, *mere_switches(members, names))


def about(
    members: Callable[..., list[Cluster]], switches: Sequence[str]
) -> Callable[..., tuple[str, str]]:
    """A table's ``about``: its data sets, and what its rows have in common.

    Args:
        members: the table's frames -> its clusters.
        switches: as for ``own_fields``.
    """

    def described(*frames: pd.DataFrame) -> tuple[str, str]:
        found = members(*frames)
        return datasets_text(found), common_text(found, own_fields(found, switches))

    return described


def protocol_cells(one: Cluster, fields: Sequence[str]) -> Row:
    """The cells of a row that say what sets its protocol apart."""
    return {column(field): one.protocol.get(field, "") for field in fields}


def column(field: str) -> str:
    """A setting's column."""
    return field_label(field).replace(" ", "_")


def accuracy_cells(one: Cluster) -> Row:
    """Accuracies after retraining, and how many searches and retrainings they are of."""
    cells: Row = {}
    for name in ("top1", "top5"):
        value = one.estimate(name)
        cells |= {name: value.mean, f"{name}_sd": value.sd}
    folders = {folder for folders in one.rows["retrainings"] for folder in folders}
    return cells | {"num_seeds": str(one.num_seeds), "num_retrained": str(len(folders))}


def blocks(members: Sequence[Cluster]) -> Iterator[tuple[Row, list[Cluster]]]:
    """Clusters by data set and space, in their order, with the cells that name these."""
    for dataset, space in dict.fromkeys((one.dataset, one.space) for one in members):
        own = [one for one in members if (one.dataset, one.space) == (dataset, space)]
        yield {"dataset": dataset, "space": space}, own


def as_frame(
    rows: Sequence[Mapping[str, object]],
    columns: Sequence[str],
    measured: Sequence[str],
    members: Sequence[Cluster],
    own: Sequence[str],
) -> pd.DataFrame:
    """A table of ``columns`` and, after them, the settings that differ; gaps are dashes."""
    names = [*columns, *(column(field) for field in differing(members, own))]
    frame = pd.DataFrame(rows).reindex(columns=pd.Index(names))
    texts = [name for name in names if name not in measured]
    frame[texts] = frame[texts].astype(object).fillna(MISSING)
    return frame.astype(dict.fromkeys(measured, float))
