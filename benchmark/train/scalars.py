"""What a log says of each epoch, as scalars that TensorBoard draws while something trains.

Every training, ranking and retraining has a folder of the name it has below the results folder.
Whoever writes there writes its whole log: what an earlier process wrote of the same epochs, or of
epochs that a killed one never saved, is replaced. TensorBoard decides nothing, so it is no part of
any config.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.records.files import check_writable

OPTION = "--tensorboard"


class Scalars:
    """The scalars of one log.

    Args:
        folder: where TensorBoard looks for them; None writes nothing.
        log: the epochs so far.
    """

    def __init__(self, folder: Path | None, log: Sequence[Mapping[str, Any]]) -> None:
        self._writer: Any = None
        if folder is not None:
            # Only whoever asks for it has the package, which takes a second to import.
            tensorboard = importlib.import_module("torch.utils.tensorboard")
            self._writer = tensorboard.SummaryWriter(folder, purge_step=1)
        for epoch in log:
            self.add(epoch)

    def add(self, epoch: Mapping[str, Any]) -> None:
        """Write the figures of an epoch, those that are numbers, for everybody to see at once.

        Args:
            epoch: a line of the log; its ``epoch`` counts from 1.
        """
        if self._writer is None:
            return
        for name, value in epoch.items():
            is_number = isinstance(value, int | float) and math.isfinite(value)
            if is_number and name != "epoch":
                self._writer.add_scalar(name, value, epoch["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def scalars(root: Path | None, place: Path, log: Sequence[Mapping[str, Any]]) -> Iterator[Scalars]:
    """The scalars of what has this place below the results folder.

    Args:
        root: the folder that was asked for; None writes nothing.
        place: below it.
        log: the epochs so far.
    """
    writer = Scalars(None if root is None else root / place, log)
    try:
        yield writer
    finally:
        writer.close()


def write_log(
    root: Path | None, place: Path, log: Callable[[], Sequence[Mapping[str, Any]]]
) -> None:
    """Write the scalars of what is finished.

    Args:
        root: the folder that was asked for; None reads and writes nothing.
        place: below it.
        log: gives the epochs.
    """
    if root is not None:
        with scalars(root, place, log()):
            pass


def checked(root: Path | None) -> Path | None:
    """The folder that was asked for, if it can be written to.

    Raises:
        UserError: it cannot, or the package that writes there is missing.
    """
    if root is None:
        return None
    if find_spec("tensorboard") is None:
        raise UserError(f'{OPTION} needs tensorboard: pip install "kshot-nas[tensorboard]"')
    check_writable(root, "scalars", OPTION)
    return root
