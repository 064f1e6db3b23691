"""Trained supernets, kept to be ranked with and searched: each is trained once, whatever reads it.

``results/supernets/<dataset>/<space>/<sharing>-K<k>/seed<s>-<hash>/`` holds ``config.json``,
``log.jsonl``, ``checkpoint.safetensors`` while it trains, ``epoch<n>.safetensors`` of epochs that
were asked for, and at the end ``supernet.safetensors`` (bank and simplex-net) and, last,
``record.json``.
"""

from __future__ import annotations

import re
import statistics
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.config.values import flat
from benchmark.datasets import Data
from benchmark.datasets.fingerprint import fingerprint
from benchmark.records import environment
from benchmark.records.folders import ConfigFolder
from benchmark.records.sealed import DamagedError, load_tensors, save_tensors
from benchmark.train.epochs import Clock, Keeper, Progress, restored, run_epochs
from benchmark.train.scalars import Scalars, scalars, write_log
from benchmark.train.setup import Places, build_supernet, build_trainer
from benchmark.workers.torchrun import STEPS_BETWEEN, agreed_stop
from kshot_core.sharing import Sharing
from kshot_core.space import Space
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.states import part_of
from kshot_core.training.steps import Engine, run_step
from kshot_core.training.trainer import Trainer
from kshot_core.weights.bank import KShot

WEIGHTS = "supernet.safetensors"
"""The file of the weights after the last epoch, in a supernet's folder."""
EPOCH_WEIGHTS = "epoch{}.safetensors"
"""The file of those after an earlier one."""


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
        return _log_of(self.folder, self.record)


def supernet_folder(results: Path, config: RunConfig) -> ConfigFolder:
    """Where the supernet of a config is kept; settings that decide no weight are passed over."""
    return ConfigFolder(
        results / config.supernet_place(),
        config.training_only(),
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
    space = config.space.build(data)
    folder = supernet_folder(places.results, config)
    record, images_sum = folder.record(), fingerprint(data)
    if record is not None:
        check_data(folder.path, record, images_sum)
    root, place = places.tensorboard if processes.is_first else None, config.supernet_place()
    if record is not None and (folder.path / WEIGHTS).exists():
        write_log(root, place, partial(_log_of, folder, record))
        return _loaded(config, space, device, folder, record)
    images = data.training(device, processes.part)
    trainer = build_trainer(config.training_only(), space, images, device, engine, processes)
    trainer.stop = agreed_stop(processes, STEPS_BETWEEN)
    # The others read what the first one wrote, and write nothing.
    with folder.opened() if processes.is_first else nullcontext():
        processes.wait()
        environment.forget_peak_memory(device)
        keeper = restored(folder, trainer, images_sum, processes.is_first)
        # Before the first process may remove what the others still read.
        processes.wait()
        with scalars(root, place, keeper.log) as shown:
            run_epochs(
                keeper,
                config.training.epochs,
                partial(progress, "training"),
                Clock(checkpoint_seconds).due,
                partial(_epoch_ended, keeper, trainer, config.ranking.track_every, shown),
            )
        seconds = [epoch["seconds"] for epoch in keeper.log]
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
                seconds[config.training.warmup_epochs :] or seconds or [0.0]
            ),
            "peak_memory_bytes": environment.peak_memory_bytes(device),
            "num_processes": processes.part.num,
            "num_weight_steps": trainer.num_weight_steps,
            "num_simplex_steps": trainer.num_simplex_steps,
        }
        if processes.is_first:
            # Also where no epoch did, a training of none.
            folder.save_log(keeper.log)
            _save_weights(folder.path / WEIGHTS, trainer)
            record = folder.complete(record)
        processes.wait()
    return Supernet(trainer.shared, trainer.sharing, folder, record)


def _log_of(folder: ConfigFolder, record: dict[str, Any]) -> list[dict[str, Any]]:
    return folder.load_log(flat(record["config"])["epochs"])


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


def _epoch_ended(keeper: Keeper, trainer: Trainer, every: int, shown: Scalars) -> None:
    """Show the epoch, and keep the weights of every so many epochs, not only of the last.

    Whoever ranks can say then how a ranking came about; 0 keeps none of them.
    """
    shown.add(keeper.log[-1])
    if every and trainer.epoch % every == 0 and trainer.epoch < trainer.recipe.epochs:
        name = EPOCH_WEIGHTS.format(trainer.epoch)
        _save_weights(keeper.folder.path / name, trainer)
