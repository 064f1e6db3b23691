"""Epochs of any training in its folder: checkpoints, the log, and going on where it was left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.cli.stopping import asked, finishing, stopped
from benchmark.records.folders import ConfigFolder
from kshot_core.training.passes import Interrupted
from kshot_core.training.trainer import DivergedError

# Progress of one training: what it is doing, how much is done, of how much.
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


class Training(Protocol):
    """What is asked of a training."""

    epoch: int

    def run_epoch(self) -> Mapping[str, Any]:
        """Train to the end of the epoch; its figures for the log."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""
        ...

    def restore(self, state: dict[str, Tensor], /) -> None:
        """Take up a state. Raises ``ValueError`` where it is another training's."""
        ...


@dataclass
class Keeper:
    """What is written while something trains.

    Args:
        folder: where.
        training: what.
        log: a line an epoch, continued in place.
        images_sum: the checksum of what it is trained on.
        writes: whether this process is the one that does; of several one is.
        elapsed: seconds already spent on an epoch that was interrupted.
    """

    folder: ConfigFolder
    training: Training
    log: list[dict[str, Any]]
    images_sum: str
    writes: bool
    elapsed: float = 0.0

    def save(self, elapsed: float = 0.0) -> None:
        """Write a checkpoint, ``elapsed`` seconds into an epoch, and the log for people to see."""
        if self.writes:
            state = self.training.state() | {"elapsed": torch.tensor(elapsed, dtype=torch.float64)}
            self.folder.save_checkpoint(state, self.log, self.images_sum)
            self.folder.save_log(self.log)


def restored(folder: ConfigFolder, training: Training, images_sum: str, writes: bool) -> Keeper:
    """Take up the last checkpoint, if there is one.

    Args:
        folder: of the training.
        training: as it begins.
        images_sum: the checksum of what it is trained on.
        writes: whether this process writes.

    Raises:
        UserError: the checkpoint is damaged, or of other images.
    """
    found = folder.load_checkpoint(images_sum)
    if found is None:
        return Keeper(folder, training, [], images_sum, writes)
    state, log = found
    try:
        training.restore(state)
    except ValueError as error:
        raise UserError(
            f"the checkpoint in {folder.path} cannot be used ({error}); delete it to start over"
        ) from None
    return Keeper(folder, training, log, images_sum, writes, float(state["elapsed"]))


def run_epochs(
    keeper: Keeper,
    num_epochs: int,
    progress: Callable[[int, int], None],
    due: Callable[[], bool],
    ended: Callable[[], None] = lambda: None,
) -> None:
    """Train to the last epoch.

    Args:
        keeper: of the training, at whatever step it is.
        num_epochs: of the whole training.
        progress: told after each epoch how many are done, of how many.
        due: whether a checkpoint is to be written now; after the last epoch one always is.
        ended: called after each epoch, in the process that writes.

    Raises:
        DivergedJobError: the loss is no number any more, or exploded.
        StoppedError: a signal came; the state after the last step is saved.
    """
    training = keeper.training
    progress(training.epoch, num_epochs)
    with finishing():
        while training.epoch < num_epochs:
            started = time.perf_counter() - keeper.elapsed
            keeper.elapsed = 0.0
            try:
                figures: dict[str, Any] = dict(training.run_epoch())
            except Interrupted:
                keeper.save(time.perf_counter() - started)
                raise stopped() from None
            except (DivergedError, FloatingPointError) as error:
                raise DivergedJobError(f"{keeper.folder.path}: {error}") from None
            figures["seconds"] = round(time.perf_counter() - started, 3)
            keeper.log.append(figures)
            if keeper.writes:
                ended()
            if training.epoch == num_epochs or due() or asked():
                keeper.save()
            progress(training.epoch, num_epochs)
