"""One run from its config to its record: train, score, compare; resumable at every point."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmark.config.run import RunConfig
from benchmark.metrics.bootstrap import value_or_none
from benchmark.metrics.correlation import kendall_tau_b
from benchmark.records import environment
from benchmark.records.load import PREDICTION
from benchmark.records.run_folder import RunFolder
from benchmark.run.compare import compare
from benchmark.run.scoring import score
from benchmark.train.setup import (
    Places,
    Target,
    build_trainer,
    load_images,
    load_target,
    ranked_space,
)
from benchmark.train.supernet import Clock, Progress, restore, train
from kshot_core.evaluation.scores import predict
from kshot_core.space import Arch
from kshot_core.tasks.images import ImageSet
from kshot_core.training.steps import Engine, run_step
from kshot_core.training.trainer import Trainer

_NUM_CODES = 1000
_TRACK_IMAGES = 1000


def run_one(
    config: RunConfig,
    places: Places,
    device: torch.device,
    progress: Progress,
    checkpoint_seconds: float = 30.0,
    engine: Engine = run_step,
    workers: int = 1,
) -> dict[str, Any]:
    """Run a config to its end, from wherever an earlier process left it, and return its record.

    A finished run is not run again. The truth is looked up before anything is trained.

    Args:
        config: what to run.
        places: where to read and write.
        device: where to compute.
        progress: told of every epoch and every architecture.
        checkpoint_seconds: least time between two checkpoints; 0 writes one whenever it can.
        engine: runs the steps of the training; see ``Trainer``.
        workers: processes that score, where the device is a processor.

    Raises:
        UserError: bad input, a damaged file, or a training that diverged.
    """
    started = time.perf_counter()
    folder = RunFolder(places.results, config, config.space)
    record = folder.record()
    if record is not None:
        return record
    target = load_target(config, places)
    splits = load_images(config, places)
    space = ranked_space(config, splits)
    training, validation = splits.training(device), splits.validation(device)
    with folder.opened():
        trainer = build_trainer(config, space, training, device, engine)
        log = restore(folder, trainer)
        # What an earlier process spent on the epochs that are not trained again.
        earlier = sum(epoch["seconds"] for epoch in log)
        clock = Clock(checkpoint_seconds)
        tracked = _Tracked.of(config, target, validation)
        train(folder, trainer, log, progress, clock, tracked.measure)
        scoring_started = time.perf_counter()
        scores, num_scored = score(
            folder,
            trainer,
            target.archs,
            validation,
            partial(progress, "scoring"),
            clock.due,
            workers if device.type == "cpu" else 1,
            places,
        )
        with torch.no_grad():
            codes = trainer.sharing(target.archs[:_NUM_CODES]).float().cpu().numpy()
        finished = time.perf_counter()
        predictions = np.empty(len(target.archs), PREDICTION)
        predictions["index"] = target.table.index(target.archs)
        predictions["accuracy"], predictions["loss"] = scores.T
        # With the truth beside them every metric can be computed again from the record alone.
        predictions["true"] = target.values(target.archs)
        record = {
            "schema": 1,
            "config": config.to_dict(),
            "environment": environment.describe(device),
            "data": {"trained_on": splits.trained_on, **splits.description},
            "num_scored": num_scored,
            "seconds": {
                "wall": round(finished - started + earlier, 3),
                "training": round(sum(epoch["seconds"] for epoch in log), 3),
                "scoring": round(finished - scoring_started, 3),
            },
            "num_weight_steps": trainer.num_weight_steps,
            "num_simplex_steps": trainer.num_simplex_steps,
            **compare(space, target, predictions["accuracy"]),
        }
        folder.finish(record, predictions, codes)
    return record


@dataclass(frozen=True)
class _Tracked:
    """A few architectures on which tau is measured while training goes on."""

    every: int
    archs: list[Arch]
    true: npt.NDArray[np.float64]
    images: ImageSet
    batch_size: int
    canonical: Callable[[Arch], Arch]

    @classmethod
    def of(cls, config: RunConfig, target: Target, images: ImageSet) -> _Tracked:
        """Evenly spaced architectures of the target, the same ones for every run of it."""
        num = min(config.track_archs, len(target.archs))
        archs = [target.archs[index * len(target.archs) // num] for index in range(num)]
        true, canonical = target.values(archs), target.table.space.canonical
        return cls(config.track_every, archs, true, images, config.score_batch_size, canonical)

    def measure(self, trainer: Trainer) -> dict[str, Any]:
        """Tau after this epoch, if it is one of those after which it is asked for."""
        if not self.every or trainer.epoch % self.every:
            return {}
        return {"kendall_tau_b": self._tau(trainer), "num_archs": len(self.archs)}

    def _tau(self, trainer: Trainer) -> float | None:
        scores = predict(
            trainer.shared,
            trainer.sharing,
            self.archs,
            self.images,
            self.canonical,
            batch_size=self.batch_size,
            num_examples=_TRACK_IMAGES,
            precision=trainer.recipe.precision,
        )
        return value_or_none(lambda: kendall_tau_b(scores.score, self.true))
