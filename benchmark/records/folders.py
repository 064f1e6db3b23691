"""A folder that belongs to one config: written atomically, complete when ``record.json`` exists.

It holds ``config.json`` from the start, ``log.jsonl``, ``checkpoint.safetensors`` and the one
before it while the work goes on, and, last, ``record.json`` with the checksums of the other files
and of itself. Only one process at a time works in it, and holds its lock.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.records.environment import describe
from benchmark.records.files import PART, write_json, write_text
from benchmark.records.locks import STALE_SECONDS, BusyError, Lock
from benchmark.records.rows import DIVERGED, SCHEMA, is_of
from benchmark.records.sealed import (
    DamagedError,
    check_record,
    check_sum,
    load_tensors,
    read_limited,
    save_tensors,
    sums_of,
    write_record,
)

# JSON that cannot be read; brackets without end are deeper than Python goes.
_UNREADABLE = (OSError, ValueError, RecursionError)
# Files of finished work whose checksums its record has; the others have their own.
_SUMMED = (".json", ".jsonl", ".csv", ".npy")

CHECKPOINT = "checkpoint.safetensors"
"""The file of a training's state while it goes on."""
PREVIOUS = "checkpoint-before.safetensors"
"""The one before it, for where it turns out to be damaged."""


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint was damaged, and the one before it was taken."""


class Settings(Protocol):
    """What a folder asks of a config."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        ...

    def flat(self) -> dict[str, Any]:
        """The settings by name alone."""
        ...

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The same of a ``config.json``, also of an older version."""
        ...

    def run_id(self) -> str:
        """The name of the config's folder, less its seed."""
        ...


def finished_folder(path: Path, config: Settings) -> Path | None:
    """The folder with a config's record: ``path``, or one beside it that an older version named.

    A record that lacks settings which were added since is of the same work where those settings
    have their defaults, whatever its folder is called.

    Args:
        path: where this version puts it, ``seed<s>-<id>``.
        config: of the work.
    """
    if (path / "record.json").is_file():
        return path
    wanted = config.flat()
    for other in sorted(path.parent.glob(f"{path.name.partition('-')[0]}-*/record.json")):
        try:
            found = json.loads((other.parent / "config.json").read_text(encoding="utf-8"))
        except _UNREADABLE:
            # Damaged work of another config is not this one's to judge.
            continue
        if isinstance(found, dict) and config.read(found) == wanted:
            return other.parent
    return None


class ConfigFolder:
    """The folder of one config's work.

    Args:
        path: of the folder, which need not exist. Finished work in a folder that an older version
            named is taken up where it lies.
        config: whose work it is; a folder of another is left alone. Its id ties a checkpoint to
            it even if the file is moved.
        required: what a finished record must have, keys joined by dots.
    """

    def __init__(
        self, path: Path, config: Settings, required: Sequence[str] = ("config", "seconds")
    ) -> None:
        path = finished_folder(path, config) or path
        self.path, self._config, self._run_id = path, config, config.run_id()
        self._required = required
        self._checkpoint, self._previous = path / CHECKPOINT, path / PREVIOUS
        self._record = path / "record.json"
        # Whether somebody was told that this work is still to be done.
        self._was_unfinished = False
        self._lock: Lock | None = None

    def record(self) -> dict[str, Any] | None:
        """The finished work's record, or None where it has not finished.

        Raises:
            UserError: it is damaged, misses something, or the folder is another config's.
            DivergedJobError: the work ended without a result.
        """
        path = self._record
        if not path.exists():
            self._was_unfinished = True
            return None
        self._check_config()
        try:
            record = json.loads(read_limited(path))
            if isinstance(record, dict):
                record = check_record(record)
        except _UNREADABLE as error:
            raise UserError(
                f"{path} is damaged ({error}); delete its folder to run again"
            ) from None
        if not isinstance(record, dict):
            raise UserError(
                f"{path} should be a JSON object, got {type(record).__name__}; "
                "delete its folder to run again"
            )
        if record.get("status") == DIVERGED:
            raise DivergedJobError(
                f"{record.get('why')}; it would again: delete {self.path} to run it all the same"
            )
        missing = [name for name in self._required if not _has(record, name)]
        if missing:
            raise UserError(
                f"{path} is damaged (no {', '.join(missing)}); delete its folder to run again"
            )
        return record

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder for this process, with ``config.json`` in it.

        A ``DivergedJobError`` of what is done meanwhile is the folder's record then.

        Raises:
            UserError: it cannot be written to, belongs to another config, another process is at
                work in it, or one finished it since ``record`` was asked.
        """
        config_path = self.path / "config.json"
        if config_path.exists():
            # Before anything is put into a folder of somebody else's.
            self._check_config()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {self.path}: {error.strerror}") from None
        lock = Lock(self.path)
        try:
            if self._was_unfinished and self._record.exists():
                raise BusyError(
                    f"{self.path} was finished by another process just now; "
                    "give the same command again to take what it left"
                )
            # Of a process that was killed while it wrote: whoever writes here holds the lock.
            for part in self.path.glob(f"{PART}*"):
                part.unlink(missing_ok=True)
            if not config_path.exists():
                write_json(config_path, self._config.to_dict())
            self._lock = lock
            yield
        except DivergedJobError as error:
            self._say_diverged(str(error))
            raise
        finally:
            self._lock = None
            lock.release()

    def _check_held(self) -> None:
        """Refuse to write where another process works by now.

        Raises:
            UserError: this process stood still for so long that another took over.
        """
        if self._lock is not None and not self._lock.held():
            raise UserError(
                f"another process took over {self.path}, since this one did not answer for more "
                f"than {STALE_SECONDS:.0f} seconds; it goes on there"
            )

    def _check_config(self) -> None:
        path = self.path / "config.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except _UNREADABLE as error:
            raise UserError(
                f"{path} cannot be read ({error}); delete its folder to run again"
            ) from None
        if not isinstance(values, dict):
            raise UserError(
                f"{path} should be a JSON object, got {type(values).__name__}; "
                "delete its folder to run again"
            )
        wanted, values = self._config.flat(), self._config.read(values)
        if values != wanted:
            differing = sorted(
                key for key in {*values, *wanted} if values.get(key) != wanted.get(key)
            )
            raise UserError(
                f"{self.path} holds a run of another config (differs in {', '.join(differing)}); "
                "move it away, or choose another folder with --results"
            )

    def save_checkpoint(
        self, state: Mapping[str, Tensor], log: Sequence[Mapping[str, Any]] = (), data: str = ""
    ) -> None:
        """Write a training's state and its log so far; the checkpoint before stays beside it.

        Args:
            state: tensors by name.
            log: a line an epoch, JSON values.
            data: what it is trained on, the checksum.
        """
        self._check_held()
        if self._checkpoint.exists():
            self._checkpoint.replace(self._previous)
        about = {"run_id": self._run_id, "data": data, "log": json.dumps(list(log))}
        save_tensors(self._checkpoint, state, about)

    def load_checkpoint(
        self, data: str = ""
    ) -> tuple[dict[str, Tensor], list[dict[str, Any]]] | None:
        """The state that a training last saved and its log up to there; None where it saved none.

        One that is damaged is passed over, with a warning, for the one before it. Never unpickles
        anything.

        Args:
            data: what it is to be trained on, the checksum.

        Raises:
            UserError: no file is whole, or it is of another run or other data.
        """
        damaged: dict[Path, DamagedError] = {}
        for path in (self._checkpoint, self._previous):
            if not path.exists():
                continue
            try:
                state, about = load_tensors(path)
                log = json.loads(about.get("log", "[]"))
            except DamagedError as error:
                damaged[path] = error
                continue
            self._check_origin(path, about, data)
            for one, why in damaged.items():
                warnings.warn(
                    f"{one} is damaged ({why}); going on from the checkpoint before it",
                    DamagedCheckpointWarning,
                    stacklevel=2,
                )
            return state, log
        for path, why in damaged.items():
            raise UserError(
                f"checkpoint {path} is cut short or damaged ({why}); "
                "delete it to train this run from its start"
            )
        return None

    def _check_origin(self, path: Path, about: Mapping[str, str], data: str) -> None:
        """Refuse a checkpoint of another run or of other data."""
        if about.get("run_id") != self._run_id:
            raise UserError(
                f"checkpoint {path} is run {about.get('run_id')}'s, not {self._run_id}'s; "
                "delete it to train this run from its start"
            )
        if about.get("data", "") != data:
            raise UserError(
                f"checkpoint {path} was trained on other images than these; name the data it was "
                "trained on, or delete it to train from the start"
            )

    def save_log(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Write the log anew, a line per epoch."""
        self._check_held()
        lines = [json.dumps(epoch, sort_keys=True, allow_nan=False) for epoch in epochs]
        write_text(self.path / "log.jsonl", "".join(line + "\n" for line in lines))

    def load_log(self, num_epochs: int) -> list[dict[str, Any]]:
        """The log of the first ``num_epochs`` epochs.

        Raises:
            UserError: it is damaged, or shorter than that.
        """
        if num_epochs == 0:
            return []
        path, advice = self.path / "log.jsonl", "delete the folder to train again"
        try:
            self._check_sum(path)
            lines = path.read_text(encoding="utf-8").splitlines()[:num_epochs]
            epochs = [json.loads(line) for line in lines]
        except _UNREADABLE as error:
            raise UserError(f"{path} cannot be read ({error}); {advice}") from None
        if len(epochs) < num_epochs or not all(map(_has_seconds, epochs)):
            raise UserError(
                f"{path} should have a line with its seconds for each of {num_epochs} epochs; "
                f"{advice}"
            )
        return epochs

    def complete(self, record: Mapping[str, Any], leftovers: Sequence[str] = ()) -> dict[str, Any]:
        """Write ``record.json``, then remove what only a restart would have needed.

        Args:
            record: JSON values.
            leftovers: names of files that are not needed any more either.

        Returns:
            the record with what is the same in every one: its schema, and the checksums of the
            folder's files.
        """
        self._check_held()
        gone = {self._checkpoint.name, self._previous.name, *leftovers}
        names = {path.name for path in self.path.iterdir() if path.suffix in _SUMMED}
        names -= {name for name in names if name.startswith(".")} | gone | {self._record.name}
        whole = {**record, "schema": SCHEMA, "files": sums_of(self.path, names)}
        write_record(self._record, whole)
        for name in gone:
            (self.path / name).unlink(missing_ok=True)
        return whole

    def _say_diverged(self, why: str) -> None:
        """Write a record that says so, so that nobody tries again and everybody is told."""
        about = {"config": self._config.to_dict(), "environment": describe(torch.device("cpu"))}
        self.complete({**about, "status": DIVERGED, "why": why})

    def _check_sum(self, path: Path) -> None:
        """Refuse a file of finished work that is not the one its record knows."""
        if self._record.exists():
            record = json.loads(read_limited(self._record))
            check_sum(path, record.get("files") if isinstance(record, dict) else None)


def _has(record: Mapping[str, Any], name: str) -> bool:
    """Whether a record has a key, or one inside another, joined by dots."""
    value: Any = record
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def _has_seconds(epoch: object) -> bool:
    """Whether a line of the log says how long its epoch took."""
    return isinstance(epoch, dict) and is_of(epoch.get("seconds"), (int, float))
