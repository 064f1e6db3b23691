"""Epochs of any training in its folder: checkpoints, the log, and going on where it was left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor

from benchmark.cli.errors import UserError
from benchmark.records.folders import ConfigFolder
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
        """Train for an epoch; its figures for the log."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything that the next epoch depends on."""
        ...

    def restore(self, state: dict[str, Tensor], /) -> None:
        """Take up a state. Raises ``ValueError`` where it is another training's."""
        ...


def restored(folder: ConfigFolder, training: Training) -> list[dict[str, Any]]:
    """Take up the last checkpoint, if there is one, and return the log up to it.

    Raises:
        UserError: the checkpoint or the log is damaged.
    """
    state = folder.load_checkpoint()
    if state is None:
        return []
    try:
        training.restore(state)
    except ValueError as error:
        raise UserError(
            f"the checkpoint in {folder.path} cannot be used ({error}); delete it to start over"
        ) from None
    return folder.load_log(training.epoch)


def run_epochs(
    folder: ConfigFolder,
    training: Training,
    num_epochs: int,
    log: list[dict[str, Any]],
    progress: Callable[[int, int], None],
    due: Callable[[], bool],
    writes: bool = True,
    ended: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train to the last epoch; ``log`` is continued in place.

    Args:
        folder: of the training.
        training: at whatever epoch it is.
        num_epochs: of the whole training.
        log: of its epochs so far.
        progress: told after each epoch how many are done, of how many.
        due: whether a checkpoint is to be written now; after the last epoch one always is.
        writes: whether this process writes; of several one does.
        ended: told of each epoch that has ended, where this process writes.

    Raises:
        UserError: the training diverged.
    """
    progress(training.epoch, num_epochs)
    while training.epoch < num_epochs:
        started = time.perf_counter()
        try:
            figures: dict[str, Any] = dict(training.run_epoch())
        except (DivergedError, FloatingPointError) as error:
            raise UserError(f"{folder.path}: {error}") from None
        figures["seconds"] = round(time.perf_counter() - started, 3)
        log.append(figures)
        if writes:
            ended(training.epoch)
            if training.epoch == num_epochs or due():
                # The log goes first: a checkpoint never is ahead of it.
                folder.save_log(log)
                folder.save_checkpoint(training.state())
        progress(training.epoch, num_epochs)
