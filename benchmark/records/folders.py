"""A folder that belongs to one config: written atomically, complete when ``record.json`` exists.

It holds ``config.json`` from the start, ``log.jsonl`` and ``checkpoint.safetensors`` while the work
goes on, and, last, ``record.json``. Only one process at a time works in it, and holds its lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.cli.errors import UserError
from benchmark.config.ids import completed
from benchmark.records.files import PART, write_atomically, write_json, write_text
from benchmark.records.locks import STALE_SECONDS, BusyError, Lock
from benchmark.records.rows import is_of

# JSON that cannot be read; brackets without end are deeper than Python goes.
_UNREADABLE = (OSError, ValueError, RecursionError)


CHECKPOINT = "checkpoint.safetensors"
"""The file of a training's state while it goes on."""


class Settings(Protocol):
    """What a folder asks of a config."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        ...

    def defaults(self) -> dict[str, Any]:
        """The defaults of those that have one."""
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
    wanted, defaults = config.to_dict(), config.defaults()
    for other in sorted(path.parent.glob(f"{path.name.partition('-')[0]}-*/record.json")):
        try:
            found = json.loads((other.parent / "config.json").read_text(encoding="utf-8"))
        except _UNREADABLE:
            # Damaged work of another config is not this one's to judge.
            continue
        if isinstance(found, dict) and completed(found, defaults) == wanted:
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
        self.path, self._settings, self._run_id = path, config.to_dict(), config.run_id()
        self._defaults = config.defaults()
        self._required = required
        self._checkpoint, self._record = path / CHECKPOINT, path / "record.json"
        # Whether somebody was told that this work is still to be done.
        self._was_unfinished = False
        self._lock: Lock | None = None

    def record(self) -> dict[str, Any] | None:
        """The finished work's record, or None where it has not finished.

        Raises:
            UserError: it is damaged, misses something, or the folder is another config's.
        """
        path = self._record
        if not path.exists():
            self._was_unfinished = True
            return None
        self._check_config()
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except _UNREADABLE as error:
            raise UserError(
                f"{path} is damaged ({error}); delete its folder to run again"
            ) from None
        if not isinstance(record, dict):
            raise UserError(
                f"{path} should be a JSON object, got {type(record).__name__}; "
                "delete its folder to run again"
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
                write_json(config_path, self._settings)
            self._lock = lock
            yield
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
        wanted, values = self._settings, completed(values, self._defaults)
        if values != wanted:
            differing = sorted(
                key for key in {*values, *wanted} if values.get(key) != wanted.get(key)
            )
            raise UserError(
                f"{self.path} holds a run of another config (differs in {', '.join(differing)}); "
                "move it away, or choose another folder with --results"
            )

    def save_checkpoint(self, state: Mapping[str, Tensor]) -> None:
        """Write the training's state, in place of the one before."""
        self._check_held()
        tensors = {name: value.contiguous().cpu() for name, value in state.items()}
        metadata = {"run_id": self._run_id}
        write_atomically(self._checkpoint, lambda path: save_file(tensors, path, metadata))

    def load_checkpoint(self) -> dict[str, Tensor] | None:
        """The training's last saved state, or None. Never unpickles anything.

        Raises:
            UserError: the file is cut short, damaged, or another run's.
        """
        if not self._checkpoint.exists():
            return None
        advice = "delete it to train this run from its start"
        try:
            with safe_open(self._checkpoint, framework="pt") as file:
                run_id = (file.metadata() or {}).get("run_id")
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"checkpoint {self._checkpoint} is cut short or damaged ({error}); {advice}"
            ) from None
        if run_id != self._run_id:
            raise UserError(
                f"checkpoint {self._checkpoint} is run {run_id}'s, not {self._run_id}'s; {advice}"
            )
        return state

    def save_log(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Write the log anew, a line per epoch."""
        self._check_held()
        lines = [json.dumps(epoch, sort_keys=True, allow_nan=False) for epoch in epochs]
        write_text(self.path / "log.jsonl", "".join(line + "\n" for line in lines))

    def load_log(self, num_epochs: int) -> list[dict[str, Any]]:
        """The log of the first ``num_epochs`` epochs: a checkpoint may be older than the log.

        Raises:
            UserError: it is damaged, or shorter than that.
        """
        if num_epochs == 0:
            return []
        path, advice = self.path / "log.jsonl", "delete the folder to train again"
        try:
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

    def complete(self, record: Mapping[str, Any], leftovers: Sequence[str] = ()) -> None:
        """Write ``record.json``, then remove what only a restart would have needed.

        Args:
            record: JSON values.
            leftovers: names of files that are not needed any more either.
        """
        self._check_held()
        write_json(self._record, record)
        for name in (self._checkpoint.name, *leftovers):
            (self.path / name).unlink(missing_ok=True)


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
