"""What all jobs of a study have in common, in the parts that were run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmark.config.run import RankingSettings, RunConfig
from benchmark.config.search import SearchConfig
from kshot_core.settings import settings_of

_NOT_RESULTS = {"preset", "seed", "search_seed", "batch_paths", "lockstep"}


def effective(config: RunConfig | SearchConfig) -> dict[str, Any]:
    """The settings of a job that had an effect on it, by name.

    The seeds are left out, and so is the preset, which only says where settings came from.
    """
    values = config.flat()
    idle = {*_NOT_RESULTS, *config.idle()}
    if isinstance(config, SearchConfig):
        idle |= settings_of(RankingSettings).keys()
        limits = ("max_flops", "min_flops", "max_params", "ensemble")
        idle |= {name for name in limits if not values[name]}
    return {name: value for name, value in values.items() if name not in idle}


def common(configs: Iterable[RunConfig | SearchConfig]) -> dict[str, Any]:
    """Settings that have an effect in some of the jobs, and one value wherever they have any.

    Args:
        configs: of all jobs.
    """
    values: dict[str, list[Any]] = {}
    for config in configs:
        for name, value in effective(config).items():
            found = values.setdefault(name, [])
            if value not in found:
                found.append(value)
    return {name: found[0] for name, found in values.items() if len(found) == 1}
