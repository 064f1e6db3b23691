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

from benchmark import environment
from benchmark.bootstrap import value_or_none
from benchmark.compare import compare
from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.load import PREDICTION
from benchmark.metrics import kendall_tau_b
from benchmark.records import RunFolder
from benchmark.scoring import score
from benchmark.setup import (
    Places,
    Target,
    build_space,
    build_trainer,
    load_images,
    load_target,
)
from kshot_core.data import ImageSet
from kshot_core.evaluation import predict
from kshot_core.space import Arch
from kshot_core.spaces import NASBench201
from kshot_core.steps import Engine, run_step
from kshot_core.training import DivergedError, Trainer

# Progress of one run: what it is doing, how much is done, of how much.
Progress = Callable[[str, int, int], None]

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
    folder = RunFolder(places.results, config, NASBench201().name)
    record = folder.record()
    if record is not None:
        return record
    target = load_target(config, places)
    splits = load_images(config, places)
    space = build_space(config, splits)
    training, validation = splits.training(device), splits.validation(device)
    with folder.opened():
        trainer = build_trainer(config, space, training, device, engine)
        log = _restore(folder, trainer)
        # What an earlier process spent on the epochs that are not trained again.
        earlier = sum(epoch["seconds"] for epoch in log)
        clock = Clock(checkpoint_seconds)
        _train(folder, trainer, log, _Tracked.of(config, target, validation), progress, clock)
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
        predictions["index"] = [space.index(arch) for arch in target.archs]
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


class Clock:
    """Says when the next checkpoint is due."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed; if so, start over."""
        if time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True


@dataclass(frozen=True)
class _Tracked:
    """A few architectures on which tau is measured while training goes on."""

    every: int
    archs: list[Arch]
    true: npt.NDArray[np.float64]
    images: ImageSet
    batch_size: int

    @classmethod
    def of(cls, config: RunConfig, target: Target, images: ImageSet) -> _Tracked:
        """Evenly spaced architectures of the target, the same ones for every run of it."""
        num = min(config.track_archs, len(target.archs))
        archs = [target.archs[index * len(target.archs) // num] for index in range(num)]
        return cls(config.track_every, archs, target.values(archs), images, config.score_batch_size)

    def tau(self, trainer: Trainer) -> float | None:
        scores = predict(
            trainer.shared,
            trainer.sharing,
            self.archs,
            self.images,
            NASBench201().canonical,
            batch_size=self.batch_size,
            num_images=_TRACK_IMAGES,
            precision=trainer.recipe.precision,
        )
        return value_or_none(lambda: kendall_tau_b(scores.accuracy, self.true))


def _restore(folder: RunFolder, trainer: Trainer) -> list[dict[str, Any]]:
    """Take up the last checkpoint, if there is one, and return the log up to it."""
    state = folder.load_checkpoint()
    if state is None:
        return []
    try:
        trainer.restore(state)
    except ValueError as error:
        raise UserError(
            f"the checkpoint in {folder.path} cannot be used ({error}); delete it to start over"
        ) from None
    return folder.load_log(trainer.epoch)


def _train(
    folder: RunFolder,
    trainer: Trainer,
    log: list[dict[str, Any]],
    tracked: _Tracked,
    progress: Progress,
    clock: Clock,
) -> None:
    num_epochs = trainer.recipe.epochs
    progress("training", trainer.epoch, num_epochs)
    while trainer.epoch < num_epochs:
        started = time.perf_counter()
        try:
            figures: dict[str, Any] = dict(trainer.run_epoch())
            figures["seconds"] = round(time.perf_counter() - started, 3)
            if tracked.every and trainer.epoch % tracked.every == 0:
                figures["kendall_tau_b"] = tracked.tau(trainer)
                figures["num_archs"] = len(tracked.archs)
        except (DivergedError, FloatingPointError) as error:
            raise UserError(f"{folder.path}: {error}") from None
        log.append(figures)
        progress("training", trainer.epoch, num_epochs)
        if trainer.epoch == num_epochs or clock.due():
            # The log goes first: a checkpoint never is ahead of it.
            folder.save_log(log)
            folder.save_checkpoint(trainer.state())
