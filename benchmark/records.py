"""One run, one folder: written atomically, complete when ``record.json`` exists.

``results/records/<dataset>/<space>/<sharing>-K<k>/seed<s>-<hash>/`` holds ``config.json`` from the
start, ``log.jsonl`` (a line per epoch), ``checkpoint.safetensors`` and ``scores.npy`` while the run
goes on, and at the end ``predictions.npy``, ``codes.npy`` and, last, ``record.json``.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.files import write_atomically, write_json, write_text


class RunFolder:
    """The folder of one config's run under a results folder."""

    def __init__(self, results: Path, config: RunConfig, space: str) -> None:
        self.config = config
        self.path = (
            results
            / "records"
            / config.dataset
            / space
            / f"{config.sharing}-K{config.K}"
            / f"seed{config.seed}-{config.run_id()}"
        )
        self._checkpoint = self.path / "checkpoint.safetensors"
        self._scores = self.path / "scores.npy"

    def record(self) -> dict[str, Any] | None:
        """The finished run's record, or None where the run has not finished."""
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
            write_json(config_path, self.config.to_dict())
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
        wanted = self.config.to_dict()
        if values != wanted:
            differing = sorted(
                key for key in {*values, *wanted} if values.get(key) != wanted.get(key)
            )
            raise UserError(
                f"{self.path} holds a run of another config (differs in {', '.join(differing)}); "
                "move it away, or choose another folder with --results"
            )

    def save_checkpoint(self, state: dict[str, Tensor]) -> None:
        """Write the training's state, in place of the one before."""
        tensors = {name: value.contiguous().cpu() for name, value in state.items()}
        # The config's id ties the state to this run even if the file is moved.
        metadata = {"run_id": self.config.run_id()}
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
        if run_id != self.config.run_id():
            raise UserError(
                f"checkpoint {self._checkpoint} is run {run_id}'s, not {self.config.run_id()}'s; "
                f"{advice}"
            )
        return state

    def save_log(self, epochs: list[dict[str, Any]]) -> None:
        """Write the per-epoch log anew."""
        lines = [json.dumps(epoch, sort_keys=True, allow_nan=False) for epoch in epochs]
        write_text(self.path / "log.jsonl", "".join(line + "\n" for line in lines))

    def load_log(self, num_epochs: int) -> list[dict[str, Any]]:
        """The log of the first ``num_epochs`` epochs: a checkpoint may be older than the log."""
        path = self.path / "log.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines[:num_epochs]]

    def save_scores(self, scores: npt.NDArray[np.float64]) -> None:
        """Write the scores so far, (num_scored, 2) in the order of the work list."""
        write_atomically(self._scores, lambda path: np.save(path, scores, allow_pickle=False))

    def load_scores(self) -> npt.NDArray[np.float64]:
        """The scores so far. Raises ``UserError`` where the file is damaged."""
        if not self._scores.exists():
            return np.empty((0, 2))
        try:
            scores: npt.NDArray[np.float64] = np.load(self._scores, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(
                f"{self._scores} is damaged ({error}); delete it to score again"
            ) from None
        return scores

    def finish(
        self,
        record: dict[str, Any],
        predictions: npt.NDArray[np.void],
        codes: npt.NDArray[np.float32],
    ) -> None:
        """Write the results, ``record.json`` last, and remove what only a restart would need."""
        for name, array in (("predictions.npy", predictions), ("codes.npy", codes)):
            write_atomically(self.path / name, _saver(array))
        write_json(self.path / "record.json", record)
        for leftover in (self._checkpoint, self._scores, self.path / ".lock"):
            leftover.unlink(missing_ok=True)


def _saver(array: npt.NDArray[Any]) -> Any:
    return lambda path: np.save(path, array, allow_pickle=False)
