"""Paper table 2: what the found architectures cost, and reach when they are trained alone."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.clusters import (
    STRUCTURE,
    Cluster,
    clusters,
    common_text,
    datasets_text,
    differing,
    limits_text,
    way,
)
from benchmark.found import ACCURACIES, arch_id, finders
from benchmark.groups import MISSING, text
from benchmark.tables import _found
from benchmark.tables._render import Table
from benchmark.tables._wide import Row

# Table 2 of the paper: top-1 and top-5 (%), MFLOPs, million parameters. A star is a search of
# operations and widths together.
PAPER = (
    ("MobileNetV2 1.0", 72.0, 91.0, 300, 3.4),
    ("K-shot-NAS-D", 73.4, 90.7, 133, 2.6),
    ("K-shot-NAS-D*", 73.7, 90.9, 145, 2.8),
    ("K-shot-NAS-C", 76.3, 92.6, 281, 4.4),
    ("K-shot-NAS-C*", 76.5, 92.7, 286, 4.7),
    ("K-shot-NAS-B", 77.2, 93.3, 332, 6.2),
    ("K-shot-NAS-B*", 77.4, 93.5, 343, 6.4),
    ("K-shot-NAS-A", 77.6, 93.6, 422, 6.5),
    ("K-shot-NAS-A*", 77.9, 93.8, 412, 7.8),
)
PAPER_DATASET = "ImageNet (paper)"
_MILLION = 1e6
_FINDER = ("sharing", "K", "method", "searches_widths", "limits", "num_scored")
# What the architecture's own columns say.
_OWN = tuple(f"recipe.{name}" for name in ("arch", "dataset", "preset", *STRUCTURE))


def table(retrained: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """A row per architecture and way of retraining, below the paper's.

    Args:
        retrained: the result of ``benchmark.load_searches.load_retrained``.
        searches: the result of ``benchmark.load_searches.load_searches``.

    Returns:
        Columns ``dataset``, ``name`` (six digits of the architecture), ``space``, what found it
        (``sharing``, ``K``, ``method``, ``searches_widths``, ``limits``, ``num_scored``),
        ``flops`` and ``params`` in millions, accuracies in percent with their ``_sd``,
        ``num_retrained``, what sets the retrainings apart, and ``arch``.
    """
    members = _members(retrained, searches)
    if not members:
        return pd.DataFrame()
    fields = differing(members, _OWN)
    rows: list[Row] = [
        {
            "dataset": PAPER_DATASET,
            "name": name,
            "space": "mobilenetv2",
            "searches_widths": "yes" if name.endswith("*") else "no",
            "flops": float(flops),
            "params": params,
            "top1": top1,
            "top5": top5,
        }
        for name, top1, top5, flops, params in PAPER
    ]
    # No search found it.
    del rows[0]["searches_widths"]
    ordered = sorted(members, key=lambda one: (one.dataset, one.space, one.rows["flops"].iloc[0]))
    for one in ordered:
        first, accuracies = one.rows.iloc[0], [(name, one.estimate(name)) for name in ACCURACIES]
        rows.append(
            {
                "dataset": one.dataset,
                "name": arch_id(first, first["config.arch"]),
                "space": one.space,
                **_found_by(one, searches),
                "flops": float(first["flops"]) / _MILLION,
                "params": float(first["params"]) / _MILLION,
                **{name: value.mean for name, value in accuracies},
                **{f"{name}_sd": value.sd for name, value in accuracies},
                "num_retrained": str(one.num_seeds),
                **_found.protocol_cells(one, fields),
                "arch": first["config.arch"],
            }
        )
    measured = [name for value in ACCURACIES for name in (value, f"{value}_sd")]
    columns = ["dataset", "name", "space", *_FINDER, "flops", "params", *measured]
    frame = _found.as_frame(
        rows, [*columns, "num_retrained"], ["flops", "params", *measured], members, _OWN
    )
    return frame.assign(arch=pd.Series([row.get("arch", "") for row in rows], dtype=object))


def _members(retrained: pd.DataFrame, searches: pd.DataFrame) -> list[Cluster]:
    """Retrainings that differ in their seed alone."""
    # They share no weights: what a supernet's cluster is named by is the search's, not theirs.
    own = retrained.copy()
    own["config.sharing"], own["config.K"] = MISSING, 0
    return clusters(own, {"config.": "recipe."}, ["num_test_images"])


def _found_by(one: Cluster, searches: pd.DataFrame) -> Row:
    """What found an architecture; several searches stand one after another."""
    found: dict[tuple[str, ...], None] = {}
    for _, retraining in one.rows.iterrows():
        for search in finders(retraining, searches):
            sharing, copies = way(search)
            config = {
                str(name).removeprefix("config."): value
                for name, value in search.items()
                if str(name).startswith("config.")
            }
            widths = one.space == "mobilenetv2" and "," in text(config.get("factors"))
            method, scored = text(config.get("method")), text(search.get("num_scored"))
            cells = (sharing, str(copies), method, "yes" if widths else "no")
            found[(*cells, limits_text(config), scored)] = None
    return {name: _joined([cells[place] for cells in found]) for place, name in enumerate(_FINDER)}


def _joined(values: Sequence[str]) -> str:
    """One text where all agree, else all of them in order."""
    return "; ".join(values) if len(set(values)) > 1 else "".join(values[:1])


def _about(retrained: pd.DataFrame, searches: pd.DataFrame) -> tuple[str, str]:
    members = _members(retrained, searches)
    return datasets_text(members), common_text(members, _OWN)


TABLE = Table(
    title="Found architectures, retrained (paper table 2)",
    build=table,
    notes=(
        "Mean ± sample standard deviation over seeds of the retraining, on the test images.",
        "Top-1 and top-5 are of the averaged weights, raw ones of the last weights.",
        f"Rows of {PAPER_DATASET} are published ones of full-size networks on ImageNet.",
        "They do not compare with rows of another data set. MobileNetV2 is Sandler et al.'s.",
        "An asterisk, and yes under width search, say that widths were searched too.",
        "An architecture with no search beside it was given by hand.",
    ),
    labels={
        "name": "architecture",
        "searches_widths": "width search",
        "num_scored": "scored",
        "flops": "MFLOPs",
        "params": "M parameters",
        "top1": "top-1 (%)",
        "top5": "top-5 (%)",
        "top1_raw": "top-1, raw (%)",
        "top5_raw": "top-5, raw (%)",
        "num_retrained": "retrainings",
    },
    reads=("retrained", "searches"),
    about=_about,
    wants="a retrained architecture",
    for_programs=("arch",),
)
