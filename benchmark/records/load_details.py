"""What the folder of a run holds besides its scores: architectures by name, and what was watched.

``archs.csv`` names the architectures of a space that has no order, in the order of
``predictions.npy``. ``tracked.npy`` has scores of a few of them at some epochs, ``gradients.npy``
compares the gradients of a few in pairs; only runs that were asked for them have these.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.cli.errors import UserError
from benchmark.records.files import write_text
from benchmark.records.load import load_checked_array
from benchmark.records.rows import AGAIN, read_record
from benchmark.records.sealed import DamagedError, check_sum

ARCHS_FILE = "archs.csv"
TRACKED_FILE = "tracked.npy"
GRADIENTS_FILE = "gradients.npy"
TRACKED = np.dtype([("epoch", "<u4"), ("place", "<u4"), ("accuracy", "<f4"), ("loss", "<f4")])
GRADIENTS = np.dtype([("first", "<u4"), ("second", "<u4"), ("cosine", "<f4"), ("in_common", "<f4")])


def load_tracked(run: Path) -> NDArray[np.void] | None:
    """Scores while training, a structured array (epochs, archs) of ``TRACKED``; None without any.

    ``place`` is the architecture's row in the run's predictions, ``accuracy`` and ``loss`` are as
    there, on the first 1,000 images.

    Raises:
        UserError: the file is cut short or of another layout.
    """
    return _details(run / TRACKED_FILE, TRACKED, 2)


def load_gradients(run: Path) -> NDArray[np.void] | None:
    """Gradients compared in pairs, a structured array (pairs,) of ``GRADIENTS``; None without any.

    ``first`` and ``second`` are the architectures' rows in the run's predictions; see
    ``kshot_core.evaluation.interference`` for the rest.

    Raises:
        UserError: the file is cut short or of another layout.
    """
    return _details(run / GRADIENTS_FILE, GRADIENTS, 1)


def _details(path: Path, dtype: np.dtype[Any], ndim: int) -> NDArray[np.void] | None:
    if not path.is_file():
        return None
    found: NDArray[np.void] = load_checked_array(path)
    if found.dtype != dtype or found.ndim != ndim:
        raise UserError(
            f"{path} should hold {', '.join(dtype.names or ())} in {ndim} dimensions, got "
            f"{found.dtype} of shape {found.shape}; {AGAIN}"
        )
    return found


def write_archs(run: Path, texts: Sequence[str]) -> None:
    """Write the names of a run's architectures, as the space writes them.

    Raises:
        UserError: the folder cannot be written to.
    """
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([["arch"], *([text] for text in texts)])
    write_text(run / ARCHS_FILE, written.getvalue())


def load_archs(run: Path) -> list[str] | None:
    """The names that ``write_archs`` wrote; None where the run has none.

    Raises:
        UserError: the file is not as it was written.
    """
    path = run / ARCHS_FILE
    if not path.is_file():
        return None
    try:
        check_sum(path, read_record(run / "record.json").get("files"))
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, DamagedError, csv.Error) as error:
        raise UserError(f"cannot read the architectures {path}: {error}; {AGAIN}") from None
    if rows[:1] != [["arch"]] or any(len(row) != 1 for row in rows):
        raise UserError(f"{path} should have one column, arch; {AGAIN}")
    return [row[0] for row in rows[1:]]
