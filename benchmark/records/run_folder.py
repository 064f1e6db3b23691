"""One run, one folder: written atomically, complete when ``record.json`` exists.

``results/records/<dataset>/<space>/<sharing>-K<k>/seed<s>-<hash>/`` holds ``config.json`` from the
start, ``log.jsonl`` (a line per epoch), ``checkpoint.safetensors`` and ``scores.npy`` while the run
goes on, and at the end ``predictions.npy``, ``codes.npy`` and, last, ``record.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.records.files import write_atomically
from benchmark.records.folders import ConfigFolder


class RunFolder(ConfigFolder):
    """The folder of one config's run under a results folder."""

    def __init__(self, results: Path, config: RunConfig) -> None:
        self.config = config
        super().__init__(results / config.place(), config)
        self._scores = self.path / "scores.npy"

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
        self.complete(record, [self._scores.name])


def _saver(array: npt.NDArray[Any]) -> Any:
    return lambda path: np.save(path, array, allow_pickle=False)
