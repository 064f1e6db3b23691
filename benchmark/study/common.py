"""What all jobs of a study have in common, in the parts that were run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig

# What a part alone reads, by the part's name.
_SPACES = {
    "nasbench201": ("channels", "cells", "affine"),
    "mobilenetv2": ("stages", "stem", "first", "head", "stem_stride", "factors"),
}
_CODES = (
    "schedule", "simplex_every", "simplex_batches", "num_groups", "simplex_learning_rate",
    "simplex_weight_decay", "encoding", "hidden", "output_scale", "output_bias",
    "simplex_batch_size", "simplex_cosine", "balance",
)  # fmt: skip
_WIDTHS = ("regularisation", "width_temperature", "width_distance")
_EVOLUTION = ("parents", "mutation", "crossover_share")
_RANKING = ("archs", "track_every", "track_archs", "truth_column")
_FOLDERS = ("held_out", "jitter")


def effective(config: RunConfig | SearchConfig) -> dict[str, Any]:
    """The settings of a job that had an effect on it, in the order of their definition.

    The seeds are left out, and so is the preset, which only says where settings came from.
    """
    run = config.run if isinstance(config, SearchConfig) else config
    idle = {"preset", "seed", "search_seed", "batch_paths", "lockstep"}
    idle |= {name for space, own in _SPACES.items() if space != run.space for name in own}
    if run.sharing != "simplex":
        idle |= {*_CODES, *_WIDTHS}
    if run.sharing != "few-shot":
        idle |= {"few_shot_edge"}
    if run.K == 1 or run.sharing in ("one-shot", "fixed"):
        idle |= {"warmup_epochs", "warmup"}
        idle |= {"compensate", "clip_norm", "widen_copies", "score_codes"} if run.K == 1 else set()
    if run.space != "mobilenetv2" or "," not in run.factors:
        idle |= {*_WIDTHS}
    if run.dataset != "imagenet":
        idle |= {*_FOLDERS} if run.image_size else {*_FOLDERS, "image_size"}
    values = config.to_dict()
    if isinstance(config, SearchConfig):
        idle |= {*_RANKING}
        idle |= {*_EVOLUTION} if config.method == "random" else set()
        idle |= {name for name in ("max_flops", "min_flops", "max_params") if not values[name]}
        idle |= set() if config.ensemble else {"ensemble"}
    elif not config.track_every:
        idle |= {"track_archs"}
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
