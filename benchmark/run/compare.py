"""A run's predictions against the truth, beside controls that train nothing and the ceiling."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.records.files import sha256
from benchmark.train.setup import Target
from kshot_core.metrics.bootstrap import bootstrap_interval
from kshot_core.metrics.correlation import METRICS, summary
from kshot_core.metrics.ties import UndefinedMetricError
from kshot_core.space import Priced, Space
from kshot_core.tasks.images import CLASSIFICATION
from kshot_core.tasks.task import Task

_WITH_INTERVAL = ("kendall_tau_b", "spearman", "pearson")
_NUM_RESAMPLES = 1000


def compare(
    space: Space,
    target: Target,
    merit: npt.NDArray[np.float32],
    loss: npt.NDArray[np.float32] | None = None,
    task: Task = CLASSIFICATION,
) -> dict[str, Any]:
    """The part of a record that says how well architectures were ranked.

    Args:
        space: the search space, for the controls' counts.
        target: truth table, column and the A architectures scored.
        merit: predicted score (A,), or its negative where the task's lower ones are better.
        loss: predicted mean loss (A,); None where only scores are known.
        task: says what the truth is, and which way it is better.

    Returns:
        ``task``, ``truth``, ``num_archs``, ``metrics``, ``metrics_by_loss`` (the same with −loss
        as the score, None without losses), ``intervals``, ``controls`` (live parameters and
        FLOPs of a space that counts them, live convolutions), ``ceiling`` (two training seeds of
        the truth against each other) and ``also``: the same metrics against other columns, see
        ``Target.related``.
    """
    true = task.merit(target.values(target.archs))
    live = [space.canonical(arch) for arch in target.archs]
    controls: dict[str, list[float]] = {}
    if isinstance(space, Priced):
        controls["params"] = [space.params(arch) for arch in live]
        controls["flops"] = [space.flops(arch) for arch in live]
    controls["live_convolutions"] = [space.num_convolutions(arch) for arch in target.archs]
    path = target.table.path
    return {
        "task": {"score": task.score, "higher_is_better": task.higher_is_better},
        "truth": {
            "column": str(target.column),
            "file": path.name if path else "",
            "sha256": sha256(path) if path else "",
        },
        "num_archs": len(target.archs),
        "metrics": summary(merit, true),
        "metrics_by_loss": None if loss is None else summary(-loss, true),
        "intervals": {name: _interval(name, merit, true) for name in _WITH_INTERVAL},
        "controls": {name: summary(values, true) for name, values in controls.items()},
        "ceiling": _ceiling(space, target, task),
        "also": {
            str(column): summary(merit, task.merit(target.values(target.archs, column)))
            for column in target.related()
        },
    }


def _interval(
    name: str, merit: npt.NDArray[np.floating[Any]], true: npt.NDArray[np.floating[Any]]
) -> list[float] | None:
    try:
        return list(bootstrap_interval(METRICS[name], merit, true, _NUM_RESAMPLES))
    except UndefinedMetricError:
        return None


def _ceiling(space: Space, target: Target, task: Task) -> dict[str, Any] | None:
    """Metrics of one truth seed as a prediction of another, over the archs that have both."""
    seeds = target.table.ceiling_seeds_of(target.column)
    if len(seeds) < 2:
        return None
    first, second = target.table.both(seeds[0], seeds[1])
    scored = [text for text in map(space.to_string, target.archs) if text in first.index]
    if len(scored) < 2:
        return None
    pair = [task.merit(one.loc[scored].to_numpy(dtype=np.float64)) for one in (second, first)]
    return {
        **summary(*pair),
        "interval": _interval("kendall_tau_b", *pair),
        "columns": f"{seeds[0]} against {seeds[1]}",
        "num_archs": len(scored),
    }
