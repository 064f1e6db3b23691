"""Which searches, supernets and retrainings may be averaged together, and what sets them apart.

The counterpart of ``benchmark.views.groups`` for what has no ranking. A *cluster* is records whose
configs differ in their seeds alone. Its *protocol* is every other setting; one without effect on
the record, such as the simplex-net's width under one-shot sharing, is empty, so that it neither
sets a baseline apart nor fills a column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.views.groups import (
    ALWAYS_SHOWN,
    DATASETS,
    MISSING,
    ONLY_FOR_CODES,
    SHARINGS,
    Estimate,
    numbers,
    place,
    text,
)

SEEDS = ("seed", "search_seed")
ENSEMBLES = ("ensemble-max", "ensemble-average")
WAYS = (*SHARINGS[:1], *ENSEMBLES, *SHARINGS[1:])
LIMITS = ("max_flops", "min_flops", "max_params")
# What makes two spaces the same one; how batch-norm works does not.
STRUCTURES: Mapping[str, tuple[str, ...]] = {
    "nasbench201": ("channels", "cells"),
    "mobilenetv2": ("stages", "stem", "first", "head", "stem_stride", "factors"),
}
STRUCTURE = ("space", *(name for names in STRUCTURES.values() for name in names))
_ONLY_IN = {**STRUCTURES, "nasbench201": (*STRUCTURES["nasbench201"], "affine")}
# They start a config or belong to rankings, and decide nothing here.
_NEVER = ("preset", "archs", "track_every", "track_archs")
# Settings of codes that any K > 1 has, not the simplex-net alone.
_ANY_CODES = ("warmup_epochs", "compensate")
_WIDTHS = ("regularisation", "width_temperature", "width_distance")
_SCORING = ("score_images", "score_batch_size", "score_paths", "truth_column")
_EVOLUTION = ("parents", "mutation", "crossover_share")
# What a sentence about all rows names; the rest stands in the records.
_TELLING = (
    "epochs", "batch_size", "learning_rate", "sampler", "schedule", "train_images", "image_size",
    "stages", "channels", "cells", "method", "population", "generations", "score_images",
    "recipe.dataset",
)  # fmt: skip
# Values that turn a setting off.
_OFF = {"factors": ("1", "1.0"), "regularisation": ("0",), "method": ("nsga2",)}
# A side study changes one setting, or two that go together.
_SIDE_STUDY = 2
_PREFIXES = {"recipe.": "retraining ", "environment.": ""}
# Times and memory of different machines do not compare.
MACHINE = (
    "environment.device", "environment.processor", "environment.num_threads", "environment.torch",
    "num_processes",
)  # fmt: skip


@dataclass(frozen=True)
class Cluster:
    """Records that differ in their seeds alone.

    Attributes:
        dataset: what they were trained on.
        space: the search space's name.
        sharing: ``"one-shot"`` wherever there is one copy, ``"ensemble-max"`` and
            ``"ensemble-average"`` for several supernets, else the sharing strategy.
        K: number of copies, or of an ensemble's supernets.
        protocol: the other settings as text, in the order of the records; empty without effect.
        rows: the records.
    """

    dataset: str
    space: str
    sharing: str
    K: int
    protocol: dict[str, str]
    rows: pd.DataFrame

    @property
    def num_seeds(self) -> int:
        """How many records there are."""
        return len(self.rows)

    @property
    def searches_widths(self) -> bool:
        """Whether layers have several widths to choose from."""
        return "," in self.protocol.get("factors", "")

    @property
    def regularised(self) -> bool:
        """Whether r_c tells widths apart."""
        return self.protocol.get("regularisation", "") not in ("", "0")

    @property
    def limits(self) -> str:
        """The limits on what an architecture may cost, for people."""
        return limits_text(self.protocol)

    def estimate(self, column: str) -> Estimate:
        """Mean and spread of a column over the records that have a value there."""
        values = numbers(self.rows, column)
        return Estimate.of(values[~np.isnan(values)])


def clusters(
    frame: pd.DataFrame, prefixes: Mapping[str, str] | None = None, extra: Sequence[str] = ()
) -> list[Cluster]:
    """Split records into clusters, by data set, space, sharing and K, then protocol.

    Args:
        frame: records with ``config.`` columns, from ``benchmark.records.load_searches`` or
            ``benchmark.views.found``.
        prefixes: of the columns that are settings -> of their names in protocols.
        extra: further columns that set records apart, such as ``MACHINE``.
    """
    prefixes = {"config.": ""} if prefixes is None else prefixes
    columns = {
        str(column): new + str(column).removeprefix(old)
        for old, new in prefixes.items()
        for column in frame.columns
        if str(column).startswith(old)
    } | {name: name for name in extra if name in frame.columns}
    apart = {
        "dataset",
        "space",
        "sharing",
        "K",
        "ensemble",
        *SEEDS,
        *(f"recipe.{name}" for name in SEEDS),
    }
    found: dict[tuple[Any, ...], list[int]] = {}
    parts: dict[tuple[Any, ...], tuple[str, str, str, int, dict[str, str]]] = {}
    for position, (_, row) in enumerate(frame.iterrows()):
        sharing, copies = way(row)
        raw = {new: text(row[old]) for old, new in columns.items() if new not in apart}
        head = (str(row["config.dataset"]), str(row["space"]), sharing, copies)
        key = (
            place(head[0], DATASETS),
            head[1],
            place(sharing, WAYS),
            copies,
            tuple(_number_or_text(value) for value in raw.values()),
        )
        found.setdefault(key, []).append(position)
        parts[key] = (*head, effective(raw, head[1], sharing, copies))
    return [Cluster(*parts[key], frame.iloc[found[key]]) for key in sorted(found)]


def way(row: Mapping[str, Any] | pd.Series) -> tuple[str, int]:
    """How a record's weights were shared, and by how many copies or supernets."""
    copies, ensemble = int(row["config.K"]), row.get("config.ensemble")
    if isinstance(ensemble, str) and ensemble:
        return f"ensemble-{ensemble}", copies
    return ("one-shot" if copies == 1 else str(row["config.sharing"])), copies


def effective(raw: Mapping[str, str], space: str, sharing: str, copies: int) -> dict[str, str]:
    """Settings with those emptied that have no effect in this space and under this sharing."""
    idle = {*_NEVER, *(n for other, names in _ONLY_IN.items() if other != space for n in names)}
    if sharing != "simplex":
        idle |= {name for name in ONLY_FOR_CODES if name not in _ANY_CODES}
        idle -= {"few_shot_edge"} if sharing == "few-shot" else set()
    else:
        idle |= {"few_shot_edge"}
    if copies == 1 or sharing in ENSEMBLES:
        idle |= set(_ANY_CODES)
    if sharing == "fixed":
        idle |= {"warmup_epochs"}
    if sharing != "simplex" or "," not in raw.get("factors", "") or space != "mobilenetv2":
        idle |= set(_WIDTHS)
    elif raw.get("regularisation") == "0":
        idle |= set(_WIDTHS[1:])
    if raw.get("method") == "random":
        idle |= set(_EVOLUTION)
    # A supernet by itself scores nothing.
    if "method" not in raw:
        idle |= set(_SCORING)
    if space != "nasbench201":
        idle |= {"truth_column"}
    return {name: "" if name in idle else value for name, value in raw.items()}


def differing(members: Sequence[Cluster], own: Sequence[str] = ()) -> list[str]:
    """Settings that differ between clusters, the usual ones first.

    Args:
        members: the clusters.
        own: settings that are shown in another way.
    """
    names = dict.fromkeys(name for one in members for name in one.protocol)
    values = {name: {one.protocol.get(name, "") for one in members} - {""} for name in names}
    found = [name for name in names if len(values[name]) > 1 and name not in own]
    return sorted(found, key=lambda name: place(name.partition(".")[2] or name, ALWAYS_SHOWN)[0])


def mere_switches(members: Sequence[Cluster], names: Sequence[str]) -> list[str]:
    """Those settings among ``names`` that clusters have off or at one value, and no other."""
    return [
        name
        for name in names
        if len({one.protocol.get(name, "") for one in members} - {"", *_OFF[name]}) <= 1
    ]


def same_settings(one: Cluster, other: Cluster, ignored: Sequence[str] = ()) -> bool:
    """Whether two clusters agree in every setting that has an effect in both."""
    if (one.dataset, one.space) != (other.dataset, other.space):
        return False
    return not _differing_settings(one, other, ignored)


def _differing_settings(one: Cluster, other: Cluster, ignored: Sequence[str]) -> list[str]:
    """Settings that have an effect in both and differ."""
    names = {*one.protocol, *other.protocol} - set(ignored)
    pairs = {name: {one.protocol.get(name, ""), other.protocol.get(name, "")} for name in names}
    return [name for name, values in pairs.items() if len(values) > 1 and "" not in values]


def main_comparison(
    members: Sequence[Cluster], own: Sequence[str], key: Callable[[Cluster], Hashable]
) -> list[Cluster]:
    """The clusters without those of side studies.

    A cluster stands beside all others that agree with it in every setting but ``own``. It is a side
    study's where another one of the same key, which differs in no more than two settings, stands
    beside all that it stands beside, and more: a single K at other epochs, say, when many K were
    run at the usual ones. What is left in keeps its ``baseline``, a side study's or not: without it
    a row has nothing to be compared with.

    Args:
        members: the clusters.
        own: settings that are compared.
        key: of a cluster, what is compared.
    """
    beside = [
        {key(other) for other in members if same_settings(one, other, own)} for one in members
    ]
    kept = [
        one
        for one, mine in zip(members, beside, strict=True)
        if not any(
            mine < theirs
            and key(one) == key(other)
            and (one.dataset, one.space) == (other.dataset, other.space)
            and len(_differing_settings(one, other, own)) <= _SIDE_STUDY
            for other, theirs in zip(members, beside, strict=True)
        )
    ]
    needed = {id(one) for one in kept}
    needed |= {id(single) for one in kept if (single := baseline(one, members))}
    return [one for one in members if id(one) in needed]


def baseline(one: Cluster, candidates: Sequence[Cluster]) -> Cluster | None:
    """The one-shot cluster of otherwise equal settings; ``None`` without exactly one."""
    found = [
        other
        for other in candidates
        if other.sharing == "one-shot"
        # A search and the training of its supernet have other settings and other costs.
        and ("method" in one.protocol) == ("method" in other.protocol)
        and same_settings(one, other)
    ]
    return found[0] if len(found) == 1 else None


def field_label(name: str) -> str:
    """A protocol's setting as people call it."""
    for prefix, words in _PREFIXES.items():
        if name.startswith(prefix):
            return words + name.removeprefix(prefix).replace("_", " ")
    return name.replace("_", " ")


def datasets_text(members: Sequence[Cluster]) -> str:
    """The data sets of clusters, and their space, for a title."""
    spaces = sorted({one.space for one in members})
    names = sorted({one.dataset for one in members}, key=lambda name: place(name, DATASETS))
    return f"{', '.join(names)} ({', '.join(spaces)})"


def common_text(members: Sequence[Cluster], own: Sequence[str] = ()) -> str:
    """A sentence on what all clusters have in common; settings in ``own`` are left out."""
    shared = []
    names = dict.fromkeys(name for one in members for name in one.protocol)
    for name in sorted(names, key=_telling_place):
        values = {one.protocol.get(name, "") for one in members} - {""}
        telling = {name, name.removeprefix("recipe.")} & {*_TELLING}
        telling |= {name} & set(MACHINE)
        if telling and len(values) == 1 and name not in own and not values & {MISSING, "0"}:
            shared.append(f"{field_label(name)} {values.pop()}")
    told = "; ".join(shared) if shared else "no setting named here"
    return f"All rows of this work have in common: {told}. Other settings: the records, or columns."


def _telling_place(name: str) -> tuple[bool, int, str]:
    """The search's settings come before the retraining's, each in their order."""
    plain = name.removeprefix("recipe.")
    return plain != name, *place(plain, (*_TELLING, *MACHINE))


def limits_text(values: Mapping[str, Any]) -> str:
    """Limits on FLOPs and parameters in millions, e.g. ``≤ 420 MFLOPs``; ``none`` without any."""
    words = {"max_flops": ("≤", "MFLOPs"), "min_flops": ("≥", "MFLOPs")}
    words["max_params"] = ("≤", "M parameters")
    parts = []
    for name, (sign, unit) in words.items():
        value = pd.to_numeric(values.get(name, 0), errors="coerce")
        if np.isfinite(value) and value > 0:
            parts.append(f"{sign} {value / 1e6:.4g} {unit}")
    return ", ".join(parts) or "none"


def range_text(values: pd.Series | None) -> str:
    """Whole numbers as one where all agree, else as a range; empty where there is none."""
    known = [] if values is None else [int(value) for value in values.dropna()]
    if not known:
        return ""
    low, high = min(known), max(known)
    return str(low) if low == high else f"{low} to {high}"


def _number_or_text(value: str) -> tuple[float, str]:
    """A sorting key: numbers by size, then texts."""
    try:
        number = float(value)
    except ValueError:
        return math.inf, value
    return (number, "") if math.isfinite(number) else (math.inf, value)
