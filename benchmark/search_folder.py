"""What a search leaves: ``results/searches/<dataset>/<space>/<label>/seed<s>-<hash>/``.

``config.json`` from the start, ``evaluated.csv`` after every generation, and at the end
``codes.npy``, ``front.csv``, ``arch.json``, the figures ``front`` and ``arch``, and, last,
``record.json``. Numbers in the CSV files are written so that they read back the same.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.errors import UserError
from benchmark.files import write_atomically, write_json, write_text
from benchmark.folders import ConfigFolder
from benchmark.search_config import SearchConfig
from kshot_core.search import Evaluated, front
from kshot_core.space import Space

_COLUMNS = ("number", "generation", "arch", "accuracy", "loss", "flops", "params")


class SearchFolder(ConfigFolder):
    """The folder of one search under a results folder."""

    def __init__(self, results: Path, config: SearchConfig, space: Space) -> None:
        run = config.run
        path = results / "searches" / run.dataset / space.name / config.label
        path /= f"seed{run.seed}-{config.run_id()}"
        super().__init__(path, config.to_dict(), config.run_id())
        self.space = space

    def save_evaluated(
        self, evaluated: Sequence[Evaluated], true: Sequence[float | None] | None = None
    ) -> None:
        """Write all architectures scored so far, in their order; with their truth if there is."""
        rows = [
            {
                "number": number,
                "generation": one.generation,
                "arch": self.space.to_string(one.arch),
                **_figures(one),
            }
            for number, one in enumerate(evaluated)
        ]
        columns = list(_COLUMNS)
        if true is not None:
            columns.append("true")
            for row, value in zip(rows, true, strict=True):
                row["true"] = "" if value is None else repr(value)
        self._save_rows("evaluated.csv", columns, rows)

    def load_evaluated(self) -> list[Evaluated]:
        """The architectures that an earlier process scored.

        Raises:
            UserError: the file is damaged.
        """
        path = self.path / "evaluated.csv"
        if not path.exists():
            return []
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return [self._evaluated(row) for row in csv.DictReader(file)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); delete it to search again") from None

    def _evaluated(self, row: dict[str, str]) -> Evaluated:
        return Evaluated(
            arch=self.space.from_string(row["arch"]),
            accuracy=float(row["accuracy"]),
            loss=float(row["loss"]),
            flops=float(row["flops"]),
            params=int(row["params"]),
            generation=int(row["generation"]),
        )

    def save_front(self, evaluated: Sequence[Evaluated]) -> None:
        """Write the architectures that no other beats in both accuracy and multiply-adds."""
        rows = [
            {"arch": self.space.to_string(one.arch), **_figures(one)} for one in front(evaluated)
        ]
        self._save_rows("front.csv", ["arch", "accuracy", "flops", "params"], rows)

    def save_codes(self, codes: npt.NDArray[np.float32]) -> None:
        """Write the codes of all scored architectures (A, K), in their order."""
        write_atomically(
            self.path / "codes.npy", lambda path: np.save(path, codes, allow_pickle=False)
        )

    def save_arch(self, values: dict[str, Any]) -> None:
        """Write the architecture found, for ``benchmark.retrain``."""
        write_json(self.path / "arch.json", values)

    def _save_rows(self, name: str, columns: list[str], rows: list[dict[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path / name, text.getvalue())


def _figures(one: Evaluated) -> dict[str, Any]:
    # repr is the shortest text that reads back as the same number.
    values = {"accuracy": one.accuracy, "loss": one.loss, "flops": one.flops}
    return {name: repr(value) for name, value in values.items()} | {"params": one.params}
