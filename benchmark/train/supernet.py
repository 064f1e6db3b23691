"""Trained supernets, kept to be searched: each is trained once, whatever searches it.

``results/supernets/<dataset>/<space>/<sharing>-K<k>/seed<s>-<hash>/`` holds ``config.json``,
``log.jsonl``, ``checkpoint.safetensors`` while it trains, and at the end
``supernet.safetensors`` (bank and simplex-net) and, last, ``record.json``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.datasets import ImageData
from benchmark.records import environment
from benchmark.records.files import write_atomically
from benchmark.records.folders import ConfigFolder
from benchmark.train.setup import Places, build_trainer
from kshot_core.sharing import Sharing
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.states import part_of
from kshot_core.training.trainer import DivergedError, Trainer
from kshot_core.weights.bank import KShot

# Progress of one run: what it is doing, how much is done, of how much.
Progress = Callable[[str, int, int], None]


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


def restore(folder: ConfigFolder, trainer: Trainer) -> list[dict[str, Any]]:
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


def train(
    folder: ConfigFolder,
    trainer: Trainer,
    log: list[dict[str, Any]],
    progress: Progress,
    clock: Clock,
    measure: Callable[[Trainer], dict[str, Any]] = lambda trainer: {},
) -> None:
    """Train to the last epoch, with checkpoints as the clock says.

    Args:
        folder: where log and checkpoints go; the first process writes them.
        trainer: from wherever it stands.
        log: a line per epoch so far; continued in place.
        progress: told of every epoch.
        clock: when checkpoints are due.
        measure: further figures of an epoch that just ended.

    Raises:
        UserError: the training diverged.
    """
    num_epochs = trainer.recipe.epochs
    progress("training", trainer.epoch, num_epochs)
    while trainer.epoch < num_epochs:
        started = time.perf_counter()
        try:
            figures: dict[str, Any] = dict(trainer.run_epoch())
            figures["seconds"] = round(time.perf_counter() - started, 3)
            figures |= measure(trainer)
        except (DivergedError, FloatingPointError) as error:
            raise UserError(f"{folder.path}: {error}") from None
        log.append(figures)
        progress("training", trainer.epoch, num_epochs)
        if trainer.processes.is_first and (trainer.epoch == num_epochs or clock.due()):
            # The log goes first: a checkpoint never is ahead of it.
            folder.save_log(log)
            folder.save_checkpoint(trainer.state())


@dataclass(frozen=True)
class Supernet:
    """A trained supernet.

    Args:
        shared: the bank.
        sharing: the strategy that gives the codes.
        path: its folder.
        record: what its training was.
    """

    shared: KShot
    sharing: Sharing
    path: Path
    record: dict[str, Any]


def trained_supernet(
    config: RunConfig,
    data: ImageData,
    places: Places,
    device: torch.device,
    progress: Progress,
    checkpoint_seconds: float = 30.0,
    processes: Processes = ALONE,
) -> Supernet:
    """The supernet of a config, trained from wherever an earlier process left it.

    Args:
        config: what to train; settings that decide no weight are passed over.
        data: its images.
        places: ``results`` is where supernets are kept.
        device: where to compute.
        progress: told of every epoch.
        checkpoint_seconds: least time between two checkpoints.
        processes: those that train it together.

    Raises:
        UserError: bad settings, a damaged file, or a training that diverged.
    """
    config = config.training_only()
    space = config.space_settings().build(data)
    trainer = build_trainer(
        config, space, data.training(device, processes.part), device, processes=processes
    )
    folder = ConfigFolder(
        places.results
        / "supernets"
        / config.dataset
        / space.name
        / f"{config.sharing}-K{config.K}"
        / f"seed{config.seed}-{config.run_id()}",
        config,
        ("seconds.training",),
    )
    weights = folder.path / "supernet.safetensors"
    record = folder.record()
    if record is not None and weights.exists():
        _load(trainer, weights)
        return Supernet(trainer.shared, trainer.sharing, folder.path, record)
    # The others read what the first one wrote, and write nothing.
    with folder.opened() if processes.is_first else nullcontext():
        processes.wait()
        environment.forget_peak_memory(device)
        log = restore(folder, trainer)
        # Before the first process may remove what the others still read.
        processes.wait()
        train(folder, trainer, log, progress, Clock(checkpoint_seconds))
        seconds = [epoch["seconds"] for epoch in log]
        record = {
            "schema": 1,
            "kind": "supernet",
            "config": config.to_dict(),
            "environment": environment.describe(device),
            "data": {"trained_on": data.trained_on, **data.description},
            "seconds": {"training": round(sum(seconds), 3)},
            # Of epochs in which everything is trained that is going to be.
            "seconds_per_epoch": statistics.median(
                seconds[config.warmup_epochs :] or seconds or [0.0]
            ),
            "peak_memory_bytes": environment.peak_memory_bytes(device),
            "num_processes": processes.part.num,
            "num_weight_steps": trainer.num_weight_steps,
            "num_simplex_steps": trainer.num_simplex_steps,
        }
        if processes.is_first:
            state = {
                name: value.cpu().contiguous()
                for name, value in trainer.state().items()
                if name.startswith(("shared/", "sharing/"))
            }
            write_atomically(weights, lambda path: save_file(state, path))
            folder.complete(record)
        processes.wait()
    return Supernet(trainer.shared, trainer.sharing, folder.path, record)


def _load(trainer: Trainer, path: Path) -> None:
    try:
        state = load_file(path)
        trainer.shared.load_state_dict(part_of(state, "shared/"))
        trainer.sharing.load_state_dict(part_of(state, "sharing/"))
    except (SafetensorError, OSError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise UserError(
            f"{path} is damaged or of another supernet ({line}); delete its folder to train again"
        ) from None
