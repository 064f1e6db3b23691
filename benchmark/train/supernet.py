"""Trained supernets, kept to be ranked with and searched: each is trained once, whatever reads it.

``results/supernets/<dataset>/<space>/<sharing>-K<k>/seed<s>-<hash>/`` holds ``config.json``,
``log.jsonl``, ``checkpoint.safetensors`` while it trains, ``epoch<n>.safetensors`` of epochs that
were asked for, and at the end ``supernet.safetensors`` (bank and simplex-net) and, last,
``record.json``.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.cli.stopping import asked, finishing, stopped
from benchmark.config.run import RunConfig
from benchmark.datasets import Data
from benchmark.datasets.fingerprint import fingerprint
from benchmark.records import environment
from benchmark.records.folders import ConfigFolder
from benchmark.records.sealed import DamagedError, load_tensors, save_tensors
from benchmark.train.setup import Places, build_supernet, build_trainer
from benchmark.workers.torchrun import agreed_stop
from kshot_core.sharing import Sharing
from kshot_core.space import Space
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.passes import Interrupted
from kshot_core.training.states import part_of
from kshot_core.training.steps import Engine, run_step
from kshot_core.training.trainer import DivergedError, Trainer
from kshot_core.weights.bank import KShot

WEIGHTS = "supernet.safetensors"
"""The file of the weights after the last epoch, in a supernet's folder."""
EPOCH_WEIGHTS = "epoch{}.safetensors"
"""The file of those after an earlier one."""

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


@dataclass(frozen=True)
class Supernet:
    """A trained supernet.

    Args:
        shared: the bank.
        sharing: the strategy that gives the codes.
        folder: where it is kept.
        record: what its training was.
    """

    shared: KShot
    sharing: Sharing
    folder: ConfigFolder
    record: dict[str, Any]

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.folder.path

    def log(self) -> list[dict[str, Any]]:
        """A line per epoch of its training. Raises ``UserError`` where the file is damaged."""
        return self.folder.load_log(self.record["config"]["epochs"])


def supernet_folder(results: Path, config: RunConfig) -> ConfigFolder:
    """Where the supernet of a config is kept; settings that decide no weight are passed over."""
    config = config.training_only()
    path = results / "supernets" / config.dataset / config.space / f"{config.sharing}-K{config.K}"
    return ConfigFolder(
        path / f"seed{config.seed}-{config.run_id()}",
        config,
        ("seconds.training", "num_weight_steps", "num_simplex_steps"),
    )


def trained_supernet(
    config: RunConfig,
    data: Data,
    places: Places,
    device: torch.device,
    progress: Progress,
    checkpoint_seconds: float = 30.0,
    processes: Processes = ALONE,
    engine: Engine = run_step,
) -> Supernet:
    """The supernet of a config, trained from wherever an earlier process left it.

    Args:
        config: what to train; settings that decide no weight are passed over, but a training
            keeps the weights of every ``track_every``-th epoch besides the last ones.
        data: its images.
        places: ``results`` is where supernets are kept.
        device: where to compute.
        progress: told of every epoch.
        checkpoint_seconds: least time between two checkpoints.
        processes: those that train it together.
        engine: runs the steps of the training; see ``Trainer``.

    Raises:
        UserError: bad settings, a damaged file, or a training that diverged.
    """
    space = config.space_settings().build(data)
    folder = supernet_folder(places.results, config)
    record, images_sum = folder.record(), fingerprint(data)
    if record is not None:
        check_data(folder.path, record, images_sum)
    if record is not None and (folder.path / WEIGHTS).exists():
        return _loaded(config, space, device, folder, record)
    images = data.training(device, processes.part)
    trainer = build_trainer(config.training_only(), space, images, device, engine, processes)
    trainer.stop = agreed_stop(processes, asked)
    # The others read what the first one wrote, and write nothing.
    with folder.opened() if processes.is_first else nullcontext():
        processes.wait()
        environment.forget_peak_memory(device)
        log, elapsed = _restore(folder, trainer, images_sum)
        # Before the first process may remove what the others still read.
        processes.wait()
        keeper = _Keeper(folder, trainer, log, images_sum, processes.is_first)
        _train(keeper, progress, Clock(checkpoint_seconds), config.track_every, elapsed)
        seconds = [epoch["seconds"] for epoch in log]
        record = {
            "kind": "supernet",
            "config": config.training_only().to_dict(),
            "environment": environment.describe(device),
            "data": {
                "trained_on": data.trained_on,
                "images_sha256": images_sum,
                **data.description,
            },
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
            # Also where no epoch did, a training of none.
            folder.save_log(log)
            _save_weights(folder.path / WEIGHTS, trainer)
            record = folder.complete(record)
        processes.wait()
    return Supernet(trainer.shared, trainer.sharing, folder, record)


def stored_supernet(
    config: RunConfig, space: Space, places: Places, device: torch.device
) -> Supernet:
    """A supernet that is trained and lies on disk.

    Raises:
        UserError: it is not there, or damaged.
    """
    folder = supernet_folder(places.results, config)
    return _loaded(config, space, device, folder, folder.record() or {})


def weights_by_epoch(path: Path) -> dict[int, Path]:
    """The files of the weights that a supernet had after epochs before its last, in order.

    Args:
        path: the supernet's folder.
    """
    found = (re.fullmatch(EPOCH_WEIGHTS.format(r"(\d+)"), one.name) for one in path.iterdir())
    return dict(sorted((int(match[1]), path / match[0]) for match in found if match is not None))


def load_weights(supernet: Supernet, path: Path) -> None:
    """Give a supernet the weights in a file.

    Raises:
        UserError: the file is absent, damaged, or another supernet's.
    """
    try:
        state, _ = load_tensors(path, checked=False)
        supernet.shared.load_state_dict(part_of(state, "shared/"))
        supernet.sharing.load_state_dict(part_of(state, "sharing/"))
    except (DamagedError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise UserError(
            f"{path} is damaged or of another supernet ({line}); delete its folder to train again"
        ) from None


def _loaded(
    config: RunConfig,
    space: Space,
    device: torch.device,
    folder: ConfigFolder,
    record: dict[str, Any],
) -> Supernet:
    supernet = Supernet(*build_supernet(config, space, device), folder, record)
    load_weights(supernet, folder.path / WEIGHTS)
    return supernet


def check_data(path: Path, record: dict[str, Any], images_sum: str) -> None:
    """Refuse finished work that was done with other images than these.

    Args:
        path: its folder.
        record: its record; one of an earlier version does not say.
        images_sum: the checksum of the images that are wanted.

    Raises:
        UserError: they differ.
    """
    known = record.get("data", {}).get("images_sha256", images_sum)
    if known != images_sum:
        raise UserError(
            f"{path} was trained on other images than these (sha256 {str(known)[:12]}, here "
            f"{images_sum[:12]}); name the data it was trained on, or another --results"
        )


def _save_weights(path: Path, trainer: Trainer) -> None:
    parts = {"shared": trainer.shared, "sharing": trainer.sharing}
    state = {
        f"{part}/{name}": value
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }
    save_tensors(path, state, {})


def _restore(
    folder: ConfigFolder, trainer: Trainer, images_sum: str
) -> tuple[list[dict[str, Any]], float]:
    """Take up the last checkpoint, if there is one; the log up to it, and the epoch's seconds."""
    found = folder.load_checkpoint(images_sum)
    if found is None:
        return [], 0.0
    state, log = found
    try:
        trainer.restore(state)
    except ValueError as error:
        raise UserError(
            f"the checkpoint in {folder.path} cannot be used ({error}); delete it to start over"
        ) from None
    return log, float(state["elapsed"])


@dataclass(frozen=True)
class _Keeper:
    """What is written while a supernet trains.

    Args:
        folder: where.
        trainer: of what.
        log: a line an epoch, continued in place.
        images_sum: the checksum of what it is trained on.
        writes: whether this process is the one that does.
    """

    folder: ConfigFolder
    trainer: Trainer
    log: list[dict[str, Any]]
    images_sum: str
    writes: bool

    def save(self, elapsed: float = 0.0) -> None:
        """Write a checkpoint, ``elapsed`` seconds into an epoch, and the log for people to see."""
        if self.writes:
            state = self.trainer.state() | {"elapsed": torch.tensor(elapsed, dtype=torch.float64)}
            self.folder.save_checkpoint(state, self.log, self.images_sum)
            self.folder.save_log(self.log)

    def save_weights(self) -> None:
        """Write the weights after this epoch."""
        if self.writes:
            name = EPOCH_WEIGHTS.format(self.trainer.epoch)
            _save_weights(self.folder.path / name, self.trainer)


def _train(
    keeper: _Keeper, progress: Progress, clock: Clock, keep_every: int, elapsed: float
) -> None:
    """Train to the last epoch, with checkpoints as the clock says.

    The weights of every ``keep_every``-th epoch stay, so that whoever ranks can say how a ranking
    came about; 0 keeps none but the last. ``elapsed`` are the seconds already spent on this epoch.

    Raises:
        DivergedJobError: the loss is no number any more, or exploded.
        StoppedError: a signal came; the state after the last step is saved.
    """
    trainer = keeper.trainer
    num_epochs = trainer.recipe.epochs
    progress("training", trainer.epoch, num_epochs)
    with finishing():
        while trainer.epoch < num_epochs:
            started = time.perf_counter() - elapsed
            elapsed = 0.0
            try:
                figures: dict[str, Any] = dict(trainer.run_epoch())
            except Interrupted:
                keeper.save(time.perf_counter() - started)
                raise stopped() from None
            except (DivergedError, FloatingPointError) as error:
                raise DivergedJobError(f"{keeper.folder.path}: {error}") from None
            figures["seconds"] = round(time.perf_counter() - started, 3)
            keeper.log.append(figures)
            progress("training", trainer.epoch, num_epochs)
            if keep_every and trainer.epoch % keep_every == 0 and trainer.epoch < num_epochs:
                keeper.save_weights()
            if trainer.epoch == num_epochs or clock.due() or asked():
                keeper.save()
