"""Paper table 2: what the found architectures cost, and reach when they are trained alone."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.views.clusters import (
    LIMITS,
    STRUCTURE,
    Cluster,
    clusters,
    common_text,
    datasets_text,
    differing,
    mere_switches,
    range_text,
)
from benchmark.views.found import ACCURACIES, Finders, arch_id
from benchmark.views.groups import MISSING
from benchmark.views.tables import _found
from benchmark.views.tables._render import Table
from benchmark.views.tables._wide import Row

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
        retrained: the result of ``benchmark.records.load_searches.load_retrained``.
        searches: the result of ``benchmark.records.load_searches.load_searches``.

    Returns:
        Columns ``dataset``, ``name`` (six digits of the architecture), ``space``, what found it
        (``sharing``, ``K``, ``method``, ``searches_widths``, ``limits``, ``num_scored``),
        ``flops`` and ``params`` in millions, accuracies in percent with their ``_sd``,
        ``num_retrained``, what sets the retrainings apart, and ``arch``.
    """
    members = _members(retrained, searches)
    if not members:
        return pd.DataFrame()
    found = _found_by(members, Finders(searches))
    every = list({id(one): one for some in found for one in some}.values())
    search_fields = differing(every, (*LIMITS, *mere_switches(every, ["factors"]), "method"))
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
    for one, finders in zip(members, found, strict=True):
        first, accuracies = one.rows.iloc[0], [(name, one.estimate(name)) for name in ACCURACIES]
        rows.append(
            {
                "dataset": one.dataset,
                "name": arch_id(first, first["config.arch"]),
                "space": one.space,
                **_finder_cells(finders, search_fields),
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
    columns = ["dataset", "name", "space", *_FINDER, "flops", "params", *measured, "num_retrained"]
    columns += [_found.column(field) for field in search_fields]
    frame = _found.as_frame(rows, columns, ["flops", "params", *measured], members, _OWN)
    return frame.assign(arch=pd.Series([row.get("arch", "") for row in rows], dtype=object))


def _members(retrained: pd.DataFrame, searches: pd.DataFrame) -> list[Cluster]:
    """Retrainings that differ in their seed alone, the cheapest architectures first."""
    # They share no weights: what a supernet's cluster is named by is the search's, not theirs.
    own = retrained.copy()
    own["config.sharing"], own["config.K"] = MISSING, 0
    found = clusters(own, {"config.": "recipe."}, ["num_test_images"])
    return sorted(found, key=lambda one: (one.dataset, one.space, one.rows["flops"].iloc[0]))


def _found_by(members: Sequence[Cluster], finders: Finders) -> list[list[Cluster]]:
    """For each architecture the clusters of the searches that found it."""
    found = [
        [search for _, run in one.rows.iterrows() for search in finders.of(run)] for one in members
    ]
    searches = {search["folder"]: search for some in found for search in some}
    if not searches:
        return [[] for _ in members]
    owners = {
        folder: one
        for one in clusters(pd.DataFrame(list(searches.values())))
        for folder in one.rows["folder"]
    }
    return [
        list({id(owners[s["folder"]]): owners[s["folder"]] for s in some}.values())
        for some in found
    ]


def _finder_cells(finders: Sequence[Cluster], fields: Sequence[str]) -> Row:
    """What found an architecture; several searches stand one after another."""
    cells = [
        {
            "sharing": one.sharing,
            "K": str(one.K),
            "method": one.protocol.get("method", ""),
            "searches_widths": "yes" if one.searches_widths else "no",
            "limits": one.limits,
            "num_scored": range_text(one.rows.get("num_scored")),
            **{_found.column(field): one.protocol.get(field, "") for field in fields},
        }
        for one in finders
    ]
    names = dict.fromkeys(name for one in cells for name in one)
    return {name: _joined([one[name] or MISSING for one in cells]) for name in names}


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
    wants="retrained architecture",
    for_programs=("arch",),
    formats={"flops": ".4g", "params": ".3g"},
)
