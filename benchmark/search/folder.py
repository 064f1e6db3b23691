"""What a search leaves: ``results/searches/<dataset>/<space>/<label>/seed<s>-<hash>/``.

``config.json`` from the start, ``evaluated.partial`` after every generation, and at the end
``evaluated.csv``, ``codes.npy``, ``front.csv``, ``arch.json``, the figures ``front`` and ``arch``,
and, last, ``record.json``. Numbers in the CSV files are written so that they read back the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.cli.errors import UserError
from benchmark.config.search import SearchConfig
from benchmark.records.files import write_atomically, write_json, write_text
from benchmark.records.folders import ConfigFolder
from benchmark.records.sealed import DamagedError, read_limited
from kshot_core.search.methods import Evaluated, front
from kshot_core.space import PricedSpace

PARTIAL = "evaluated.partial"
"""The file of what a search that goes on has scored: a checksum, then the table."""
_COLUMNS = ("number", "generation", "arch", "accuracy", "loss", "flops", "params")
# Of a finished search's record: what a program says of it, and ``optimum`` may be null.
_FOUND = ("arch", "accuracy", "flops", "params", "true")
_REQUIRED = ("optimum", "num_scored", *(f"best.{name}" for name in _FOUND))


class SearchFolder(ConfigFolder):
    """The folder of one search under a results folder."""

    def __init__(self, results: Path, config: SearchConfig, space: PricedSpace) -> None:
        super().__init__(results / config.place(), config, _REQUIRED)
        self.space = space

    def save_progress(self, evaluated: Sequence[Evaluated]) -> None:
        """Write all architectures scored so far, in their order, for whoever goes on."""
        self._check_held()
        text = _text_of(list(_COLUMNS), self._rows(evaluated))
        digest = hashlib.sha256(text.encode()).hexdigest()
        write_text(self.path / PARTIAL, f"{digest}\n{text}")

    def load_progress(self) -> list[Evaluated]:
        """The architectures that an earlier process scored.

        Raises:
            UserError: the file is damaged.
        """
        path = self.path / PARTIAL
        if not path.exists():
            return []
        try:
            digest, _, text = read_limited(path).decode().partition("\n")
            if digest != hashlib.sha256(text.encode()).hexdigest():
                raise DamagedError("its checksum is another")
            return [self._evaluated(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
        except (OSError, ValueError, csv.Error) as error:
            raise UserError(f"{path} is damaged ({error}); delete it to search again") from None

    def save_evaluated(
        self, evaluated: Sequence[Evaluated], true: Sequence[float | None] | None = None
    ) -> None:
        """Write all architectures scored, in their order; with their truth if there is."""
        rows, columns = self._rows(evaluated), list(_COLUMNS)
        if true is not None:
            columns.append("true")
            for row, value in zip(rows, true, strict=True):
                row["true"] = "" if value is None else repr(value)
        self._save_rows("evaluated.csv", columns, rows)

    def _rows(self, evaluated: Sequence[Evaluated]) -> list[dict[str, Any]]:
        return [
            {
                "number": number,
                "generation": one.generation,
                "arch": self.space.to_string(one.arch),
                **_figures(one),
            }
            for number, one in enumerate(evaluated)
        ]

    def _evaluated(self, row: Mapping[str, str | None]) -> Evaluated:
        """One row; ``ValueError`` where it is none."""
        cells = {name: cell for name in _COLUMNS if (cell := row.get(name)) is not None}
        if len(cells) < len(_COLUMNS):
            # The heading may be what is damaged, and a row's cells are told by it.
            missing = ", ".join(name for name in _COLUMNS if name not in cells)
            raise ValueError(f"a row has no {missing}")
        one = Evaluated(
            arch=self.space.from_string(cells["arch"]),
            accuracy=float(cells["accuracy"]),
            loss=float(cells["loss"]),
            flops=float(cells["flops"]),
            params=int(cells["params"]),
            generation=int(cells["generation"]),
        )
        if not all(map(math.isfinite, (one.accuracy, one.loss, one.flops))):
            raise ValueError(f"the numbers of {cells['arch'][:40]} are not all finite")
        return one

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
        self._check_held()
        write_text(self.path / name, _text_of(columns, rows))


def _text_of(columns: list[str], rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _figures(one: Evaluated) -> dict[str, Any]:
    # repr is the shortest text that reads back as the same number.
    values = {"accuracy": one.accuracy, "loss": one.loss, "flops": one.flops}
    return {name: repr(value) for name, value in values.items()} | {"params": one.params}
