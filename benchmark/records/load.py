"""Read finished runs back as one table: a row per run, a column per recorded value.

Column names are the record's keys joined by dots: ``config.K``, ``truth.column``,
``metrics.kendall_tau_b``, ``metrics.high_low_tau_by_size.100``, ``metrics_by_loss.regret`` (all
metrics once more, with −loss as the score), ``controls.params.spearman``,
``ceiling.kendall_tau_b``, ``seconds.training``, ``num_weight_steps``. ``path`` is the run's folder
(text), ``space`` the search space its place names. Undefined values are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.cli.errors import UserError
from benchmark.config.values import flat
from benchmark.records.rows import (
    AGAIN,
    Required,
    as_table,
    flatten,
    has_diverged,
    parse,
    read_record,
    read_row,
)
from benchmark.records.sealed import DamagedError, check_sum, load_array
from kshot_core.metrics.correlation import summary

_REQUIRED: Required = {
    "config.dataset": str,
    "config.sharing": str,
    "config.K": int,
    "config.seed": int,
    "truth.column": str,
    "num_archs": int,
    "num_weight_steps": int,
    "metrics.kendall_tau_b": (int, float, type(None)),
    "metrics.spearman": (int, float, type(None)),
    "metrics.pearson": (int, float, type(None)),
}
BY_LOSS = "metrics_by_loss"
PREDICTION = np.dtype([("index", "<u4"), ("accuracy", "<f4"), ("loss", "<f4"), ("true", "<f8")])


def load_records(results: Path) -> pd.DataFrame:
    """Read every finished run under ``results/records``, in the order of their paths.

    A folder without ``record.json`` is a run that has not finished, and is left out, and so is one
    whose training diverged.

    Args:
        results: the results folder, the one given to ``python -m benchmark.run --results``.

    Returns:
        A row per run; see the module's text for the columns. Lists are kept as JSON text.

    Raises:
        UserError: no finished run, a malformed record, or two records of the same run.
    """
    folder = results / "records"
    paths = record_paths(results)
    if not paths:
        raise UserError(
            f"no finished run found under {folder}: "
            f"start one with python -m benchmark.run --results {results}, or name another folder"
        )
    return read_runs(paths, folder)


def read_runs(paths: Sequence[Path], folder: Path) -> pd.DataFrame:
    """Read these records of runs, but those that diverged; see ``load_records``.

    Args:
        paths: each run's ``record.json``, at least one.
        folder: where they lie, for messages.

    Raises:
        UserError: a malformed record, or two records of the same run.
    """
    rows = []
    for path in paths:
        if has_diverged(path):
            continue
        row = read_row(path, _REQUIRED)
        if not any(name.startswith(BY_LOSS) for name in row):
            row |= _metrics_by_loss(path.parent)
        rows.append({"path": str(path.parent), "space": path.parts[-4], **row})
    if not rows:
        raise UserError(f"each of the {len(paths)} runs diverged: there is nothing to compare")
    return as_table(rows, folder)


def _metrics_by_loss(run: Path) -> dict[str, Any]:
    """What records of today have besides: every metric with −loss as the score.

    Of records without it all are of classifiers, whose truth is better the higher it is.
    """
    scores = load_predictions(run)
    loss = scores["loss"].astype(np.float64)
    if np.isnan(loss).any():
        return {}
    return dict(flatten(summary(-loss, scores["true"]), f"{BY_LOSS}."))


def record_paths(results: Path) -> list[Path]:
    """The records of finished runs under ``results/records``, in order."""
    return sorted((results / "records").glob("*/*/*/*/record.json"))


def load_predictions(run: Path) -> NDArray[np.void]:
    """Read a run's scores, a structured array (A,) of ``PREDICTION``.

    ``index`` is the architecture's in its space, or its row in the truth table where the space has
    no order, ``accuracy`` the predicted score (of classifiers accuracy in percent, else what
    the record names under ``task``), ``loss`` the task's mean loss, ``true`` the score alone that
    the run was compared with.

    Raises:
        UserError: the file is absent, cut short or of another layout.
    """
    path = run / "predictions.npy"
    scores: NDArray[np.void] = load_checked_array(path)
    if scores.ndim != 1 or scores.dtype != PREDICTION:
        raise UserError(
            f"{path} should hold index, accuracy, loss and true in one row per arch, got "
            f"{scores.dtype} of shape {scores.shape}; {AGAIN}"
        )
    return scores


def load_codes(folder: Path, again: str = AGAIN) -> NDArray[np.float32]:
    """Read the codes of the first archs of a run, or of all of a search, float32 (A, K).

    Args:
        folder: of the run or search.
        again: how to get others, the end of the line that refuses these.

    Raises:
        UserError: the file is absent, cut short or of another layout, or holds no shares.
    """
    path = folder / "codes.npy"
    codes: NDArray[Any] = load_checked_array(path, again)
    if codes.ndim != 2 or codes.dtype.kind != "f" or not bool(np.isfinite(codes).all()):
        raise UserError(
            f"{path} should hold finite codes of shape (archs, K), got {codes.dtype} "
            f"of shape {codes.shape}; {again}"
        )
    # A share may round up.
    if codes.size == 0 or codes.min() < 0 or codes.max() > 1.001:
        raise UserError(f"{path} should hold codes from 0 to 1, at least one; {again}")
    return codes


def load_config(folder: Path) -> dict[str, Any]:
    """The settings of a run or search by name alone, as ``config.json`` has them.

    Raises:
        UserError: the file is absent or no JSON object.
    """
    path = folder / "config.json"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the settings {path}: {error}") from None
    return flat(parse(text, str(path)))


def load_log(run: Path) -> pd.DataFrame:
    """Read a run's training log: one row per epoch, at least the column ``epoch``.

    Raises:
        UserError: the file is absent, or a line is not a JSON object with an epoch.
    """
    path = run / "log.jsonl"
    try:
        check_sum(path, read_record(run / "record.json").get("files"))
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError, DamagedError) as error:
        raise UserError(f"cannot read the log {path}: {error}; {AGAIN}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        row = parse(line, f"{path} line {number}")
        if not isinstance(row.get("epoch"), int):
            raise UserError(f"{path} line {number} should have a whole number as epoch")
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else pd.Index(["epoch"]))


def load_checked_array(path: Path, again: str = AGAIN) -> NDArray[Any]:
    """An array of a folder with a record, which is the one that the record knows.

    Args:
        path: the file.
        again: how to get another one, the end of the line that refuses it.

    Raises:
        UserError: it is absent, cut short or another.
    """
    try:
        check_sum(path, read_record(path.parent / "record.json", again).get("files"))
        return load_array(path)
    except OSError as error:
        raise UserError(f"cannot read the array {path}: {error.strerror}; {again}") from None
    except DamagedError as error:
        raise UserError(f"{path} is damaged or cut short ({error}); {again}") from None
