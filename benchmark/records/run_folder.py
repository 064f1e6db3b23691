"""One run, one folder: written atomically, complete when ``record.json`` exists.

``results/records/<dataset>/<space>/<sharing>-K<k>/seed<s>-<hash>/`` holds ``config.json`` from the
start, ``scores.safetensors`` and ``log.jsonl`` (a line per epoch) while the run goes on, and at the
end ``predictions.npy``, ``codes.npy``, what ``benchmark/records/load_details.py`` has and, last,
``record.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.records.files import write_atomically
from benchmark.records.folders import ConfigFolder
from benchmark.records.sealed import DamagedError, load_tensors, save_tensors


class RunFolder(ConfigFolder):
    """The folder of one config's run under a results folder."""

    def __init__(self, results: Path, config: RunConfig) -> None:
        self.config = config
        super().__init__(results / config.place(), config)
        self._scores = self.path / "scores.safetensors"

    def save_scores(self, scores: npt.NDArray[np.float64]) -> None:
        """Write the scores so far, (num_scored, 2) in the order of the work list."""
        about = {"run_id": self.config.run_id()}
        save_tensors(self._scores, {"scores": torch.from_numpy(scores)}, about)

    def load_scores(self) -> npt.NDArray[np.float64]:
        """The scores so far. Raises ``UserError`` where the file is damaged or another run's."""
        if not self._scores.exists():
            return np.empty((0, 2))
        try:
            tensors, about = load_tensors(self._scores)
            scores: npt.NDArray[np.float64] = tensors["scores"].numpy()
            if about["run_id"] != self.config.run_id():
                raise DamagedError("it is another run's")
        except (DamagedError, KeyError) as error:
            raise UserError(
                f"{self._scores} is damaged ({error}); delete it to score again"
            ) from None
        return scores

    def finish(
        self,
        record: dict[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> dict[str, Any]:
        """Write the results, ``record.json`` last, and remove what only a restart would need.

        Args:
            record: JSON values.
            arrays: by the names of their files; those without numbers are left out.

        Returns:
            the whole record.
        """
        for name, array in arrays.items():
            if array.size:
                write_atomically(self.path / name, _saver(array))
        return self.complete(record, [self._scores.name])


def _saver(array: npt.NDArray[Any]) -> Any:
    return lambda path: np.save(path, array, allow_pickle=False)
