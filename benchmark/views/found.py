"""What searches found, joined with what became of it when it was trained alone.

A retraining belongs to the search it names, and to every other one that found the same
architecture of the same space on the same data: it is trained once, whoever found it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.views.clusters import MACHINE, STRUCTURE, STRUCTURES, Cluster, clusters
from benchmark.views.groups import MISSING, Estimate, numbers, text

ACCURACIES = ("top1", "top5", "top1_raw", "top5_raw")
_COSTS = ("seconds.supernets", "seconds.search", "peak_memory_bytes", "num_scored")
_PREFIXES = {"config.": "", "recipe.": "recipe."}


def arch_id(row: Mapping[str, Any] | pd.Series, arch: str) -> str:
    """Six digits that name an architecture of a space in tables and figures.

    Args:
        row: a record; its config says which space.
        arch: the architecture as text.
    """
    space = text(row.get("config.space"))
    parts = [space, *(text(row.get(f"config.{name}")) for name in STRUCTURES.get(space, ()))]
    return hashlib.sha256("\n".join([*parts, arch]).encode()).hexdigest()[:6]


class Finders:
    """Says which searches found an architecture.

    Args:
        searches: the result of ``load_searches``.
    """

    def __init__(self, searches: pd.DataFrame) -> None:
        self.rows = [row for _, row in searches.iterrows()]
        self._by_folder = {row["folder"]: row for row in self.rows}
        self._by_arch: dict[tuple[str, str], list[pd.Series]] = {}
        for row in self.rows:
            self._by_arch.setdefault(_key(row, row["best.arch"]), []).append(row)

    def of(self, retraining: pd.Series) -> list[pd.Series]:
        """The searches whose architecture this is, as rows with ``config.`` columns.

        The search that the retraining names comes first. Where its record is not at hand, its row
        has the config alone.

        Args:
            retraining: a row of ``load_retrained``.
        """
        named = retraining["search.record"]
        found = []
        if isinstance(named, str):
            found = [self._by_folder[named] if named in self._by_folder else _named(retraining)]
        same = self._by_arch.get(_key(retraining, retraining["config.arch"]), [])
        return found + [row for row in same if row["folder"] != named]


def outcomes(retrained: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """A row per search and way of retraining; accuracies are means over the retraining's seeds.

    Args:
        retrained: the result of ``load_retrained``.
        searches: the result of ``load_searches``.

    Returns:
        The search's ``config.`` and ``environment.`` columns and ``num_processes``, ``recipe.``
        columns with the retraining's settings, ``space``, ``folder``, ``ACCURACIES``, ``flops``,
        ``params``, ``retrainings`` (their folders) and the search's costs, missing where its record
        is not at hand. A search whose architecture was not retrained has a row without accuracies.
    """
    finders = Finders(searches)
    joined: dict[tuple[Any, ...], tuple[pd.Series, dict[str, str], list[int]]] = {}
    for position, (_, retraining) in enumerate(retrained.iterrows()):
        for search in finders.of(retraining):
            recipe = _recipe(retraining, search)
            key = (search["folder"], *recipe.items())
            joined.setdefault(key, (search, recipe, []))[2].append(position)
    done = {key[0] for key in joined}
    for search in finders.rows:
        if search["folder"] not in done:
            joined[search["folder"],] = (search, {}, [])
    rows = []
    for search, recipe, positions in joined.values():
        runs = retrained.iloc[positions]
        config = {
            str(name): value
            for name, value in search.items()
            if str(name).startswith("config.") or _of_machine(str(name))
        }
        rows.append(
            {
                **config,
                **{f"recipe.{name}": value for name, value in recipe.items()},
                **{name: search[name] for name in ("space", "folder")},
                **{name: search.get(name) for name in _COSTS},
                **{name: Estimate.of(numbers(runs, name)).mean for name in ACCURACIES},
                **{name: Estimate.of(numbers(runs, name)).mean for name in ("flops", "params")},
                "retrainings": tuple(runs["folder"]),
            }
        )
    frame = pd.DataFrame(rows)
    # A search without retraining agrees with every recipe.
    idle = {name: "" for name in frame.columns if name.startswith("recipe.")}
    return frame.astype(dict.fromkeys(idle, object)).fillna(idle)


def outcome_clusters(frame: pd.DataFrame, *, machine: bool = False) -> list[Cluster]:
    """Clusters of ``outcomes``: searches that differ in seeds, retrained one way.

    Args:
        frame: the result of ``outcomes``, or part of it.
        machine: whether what the search ran on sets it apart, as it does in costs.
    """
    return clusters(frame, _PREFIXES, MACHINE if machine else ())


def _of_machine(name: str) -> bool:
    return name.startswith("environment.") or name in MACHINE


def _key(row: pd.Series, arch: str) -> tuple[str, str]:
    return text(row["config.dataset"]), arch_id(row, arch)


def _named(retraining: pd.Series) -> pd.Series:
    """The search that a retraining names, as far as it tells."""
    config = {
        str(name).removeprefix("search."): value
        for name, value in retraining.items()
        if str(name).startswith("search.config.")
    }
    return pd.Series(
        {**config, "folder": retraining["search.record"], "space": retraining["space"]}
    )


def _recipe(retraining: pd.Series, search: pd.Series) -> dict[str, str]:
    """How it was retrained, as text: what the search's config does not say already."""
    idle = {"arch", "seed", "preset", *STRUCTURE}
    recipe = {
        str(name).removeprefix("config."): text(value)
        for name, value in retraining.items()
        if str(name).startswith("config.") and str(name).removeprefix("config.") not in idle
    }
    if recipe["dataset"] == text(search["config.dataset"]):
        recipe["dataset"] = ""
    recipe["num_test_images"] = text(retraining["num_test_images"])
    return {name: "" if value == MISSING else value for name, value in recipe.items()}
