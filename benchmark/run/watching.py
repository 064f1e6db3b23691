"""What a run looks at besides its ranking: scores while training, and gradients in shared weights.

Both are of a few architectures, evenly spaced in the target, the same ones for every run of it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.config.run import RunConfig
from benchmark.records.load_details import GRADIENTS, TRACKED
from benchmark.train.setup import Target
from benchmark.train.supernet import WEIGHTS, Supernet, load_weights, weights_by_epoch
from kshot_core.evaluation.interference import gradient_pairs
from kshot_core.evaluation.scores import predict
from kshot_core.metrics.bootstrap import value_or_none
from kshot_core.metrics.correlation import kendall_tau_b
from kshot_core.tasks import task_of
from kshot_core.tasks.batches import ScoringBatches

TRACK_IMAGES = 1000
_GRADIENT_BATCHES = 2


def tracked(
    config: RunConfig, supernet: Supernet, target: Target, images: ScoringBatches
) -> tuple[list[dict[str, Any]], npt.NDArray[np.void]]:
    """The supernet's log and a few architectures' scores, while it was trained.

    Scores are taken after every ``track_every``-th epoch whose weights are kept; the log has tau
    there. Leaves the supernet with its last weights.

    Returns:
        the log, a line an epoch, and scores (epochs, archs) of ``TRACKED``.
    """
    log, rows = supernet.log(), []
    every, task = config.ranking.track_every, task_of(target.table.space)
    places = spaced(config.ranking.track_archs, len(target.archs))
    archs = [target.archs[place] for place in places]
    last = supernet.path / WEIGHTS
    kept = {**weights_by_epoch(supernet.path), len(log): last} if every else {}
    for epoch, path in kept.items():
        if epoch and epoch % every == 0:
            load_weights(supernet, path)
            scores = predict(
                supernet.shared,
                supernet.sharing,
                archs,
                images,
                target.table.space.canonical,
                batch_size=config.scoring.score_batch_size,
                num_examples=TRACK_IMAGES,
                precision=config.training.precision,
                task=task,
            )
            true, merit = task.merit(target.values(archs)), scores.merit
            tau = value_or_none(partial(kendall_tau_b, merit, true))
            log[epoch - 1] |= {"kendall_tau_b": tau, "num_archs": len(archs)}
            row = np.empty(len(archs), TRACKED)
            row["epoch"], row["place"] = epoch, places
            row["accuracy"], row["loss"] = scores.score, scores.loss
            rows.append(row)
    if kept:
        load_weights(supernet, last)
    return log, np.array(rows, TRACKED).reshape(len(rows), len(archs))


def gradients(
    config: RunConfig, supernet: Supernet, target: Target, images: ScoringBatches
) -> npt.NDArray[np.void]:
    """Gradients of ``gradient_archs`` architectures compared in pairs, (pairs,) of ``GRADIENTS``.

    On the first two batches that architectures are scored on.
    """
    if not config.ranking.gradient_archs:
        return np.empty(0, GRADIENTS)
    places = spaced(config.ranking.gradient_archs, len(target.archs))
    size = config.scoring.score_batch_size
    pairs = gradient_pairs(
        supernet.shared,
        supernet.sharing,
        [target.archs[place] for place in places],
        images.scoring_batches(size, config.scoring.score_images or None)[:_GRADIENT_BATCHES],
        task_of(target.table.space),
    )
    found = np.array(pairs, GRADIENTS)
    for name in ("first", "second"):
        found[name] = np.array(places)[found[name]]
    return found


def spaced(num: int, of: int) -> list[int]:
    """Up to ``num`` places of ``of``, evenly spaced."""
    num = min(num, of)
    return [index * of // num for index in range(num)]
