"""A folder that belongs to one config: written atomically, complete when ``record.json`` exists.

It holds ``config.json`` from the start, ``log.jsonl`` and ``checkpoint.safetensors`` while the work
goes on, and, last, ``record.json``. Only one process at a time works in it.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.errors import UserError
from benchmark.files import write_atomically, write_json, write_text


class ConfigFolder:
    """The folder of one config's work.

    Args:
        path: of the folder, which need not exist.
        settings: the config as JSON values; a folder with others is left alone.
        run_id: of the config; ties a checkpoint to it even if the file is moved.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], run_id: str) -> None:
        self.path, self._settings, self._run_id = path, settings, run_id
        self._checkpoint = path / "checkpoint.safetensors"

    def record(self) -> dict[str, Any] | None:
        """The finished work's record, or None where it has not finished."""
        path = self.path / "record.json"
        if not path.exists():
            return None
        self._check_config()
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"{path} is damaged ({error}); delete its folder to run again"
            ) from None
        return record

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder for this process, with ``config.json`` in it.

        Raises:
            UserError: it cannot be written to, belongs to another config, or another process
                is at work in it.
        """
        config_path = self.path / "config.json"
        if config_path.exists():
            self._check_config()
        else:
            write_json(config_path, self._settings)
        try:
            lock = (self.path / ".lock").open("w")
        except OSError as error:
            raise UserError(f"cannot write to {self.path}: {error.strerror}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(
                    f"another process is working on {self.path}; wait for it or stop it"
                ) from None
            yield

    def _check_config(self) -> None:
        path = self.path / "config.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} cannot be read ({error}); delete its folder to run again"
            ) from None
        wanted = self._settings
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
        lines = [json.dumps(epoch, sort_keys=True, allow_nan=False) for epoch in epochs]
        write_text(self.path / "log.jsonl", "".join(line + "\n" for line in lines))

    def load_log(self, num_epochs: int) -> list[dict[str, Any]]:
        """The log of the first ``num_epochs`` epochs: a checkpoint may be older than the log."""
        path = self.path / "log.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines[:num_epochs]]

    def complete(self, record: Mapping[str, Any], leftovers: Sequence[str] = ()) -> None:
        """Write ``record.json``, then remove what only a restart would have needed.

        Args:
            record: JSON values.
            leftovers: names of files that are not needed any more either.
        """
        write_json(self.path / "record.json", record)
        for name in (self._checkpoint.name, *leftovers, ".lock"):
            (self.path / name).unlink(missing_ok=True)
