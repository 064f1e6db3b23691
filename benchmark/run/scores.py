"""Scores from elsewhere, of any method, as a record like any run's: ``--scores FILE.csv``.

The file has the columns ``arch``, as the space writes it, and ``score``, a number that is higher
for a better architecture. It is read as a truth table is: as spreadsheets write it, packed or not.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.cli.errors import UserError
from benchmark.cli.numbers import read_number
from benchmark.config.run import RunConfig
from benchmark.config.scores import NamedScores, ScoresConfig
from benchmark.records import environment
from benchmark.records.files import sha256, write_atomically
from benchmark.records.folders import ConfigFolder
from benchmark.records.load import PREDICTION
from benchmark.records.load_details import write_archs
from benchmark.run.compare import compare
from benchmark.train.setup import Places, Target, load_target
from benchmark.truth.format import is_arch
from benchmark.truth.reading import Rows, few, read_rows
from kshot_core.space import Listable, Space, compact, example
from kshot_core.tasks import task_of


def rank_scores(path: Path, config: RunConfig, places: Places) -> tuple[dict[str, Any], Path]:
    """Compare scores with the truth; returns the record and its folder.

    All architectures of the file are ranked. Equal scores are ties, as equal accuracies are.

    Args:
        path: the file.
        config: data set, space and truth column; nothing is trained.
        places: where the truth is, and where to write.

    Raises:
        UserError: the file is damaged, has a cell that is no number, an architecture that the space
            or the truth has not, or one twice; or too few.
    """
    started = time.perf_counter()
    target = load_target(config, places)
    space = target.table.space
    scores = _read(path, space)
    true = {space.to_string(arch): arch for arch in target.archs}
    unknown = [text for text in scores if text not in true]
    if unknown:
        raise UserError(
            f"{path}: {len(unknown)} archs have no value of {target.column} in "
            f"{target.table.path}: {few(unknown)}; leave them out, or name another --truth"
        )
    if len(scores) < 2:
        raise UserError(f"{path} has {len(scores)} archs; at least 2 to rank anything")
    archs = [arch for text, arch in true.items() if text in scores]
    own = Target(target.table, target.column, archs)
    predictions = np.empty(len(archs), PREDICTION)
    predictions["index"] = target.table.index(archs)
    predictions["accuracy"] = _single([scores[space.to_string(arch)] for arch in archs], path)
    predictions["loss"] = np.nan
    predictions["true"] = own.values(archs)
    name = path.name.partition(".")[0]
    settings = ScoresConfig(
        NamedScores(config.dataset.name, name, space.name),
        sha256(path),
        config.ranking.truth_column,
    )
    place = places.results / settings.scores.place() / f"seed0-{settings.run_id()}"
    folder = ConfigFolder(place, settings)
    record = folder.record()
    if record is not None:
        return record, folder.path
    with folder.opened():
        record = {
            "config": settings.to_dict(),
            "environment": environment.describe(torch.device("cpu")),
            "data": {"scores": path.name},
            "num_scored": len(archs),
            "num_weight_steps": 0,
            "num_simplex_steps": 0,
            **compare(space, own, predictions["accuracy"], task=task_of(space)),
            "seconds": {"training": 0.0, "scoring": round(time.perf_counter() - started, 3)},
        }
        write_atomically(
            folder.path / "predictions.npy",
            partial(np.save, arr=predictions, allow_pickle=False),
        )
        if not isinstance(space, Listable):
            write_archs(folder.path, [space.to_string(arch) for arch in archs])
        record = folder.complete(record)
    return record, folder.path


def _read(path: Path, space: Space) -> dict[str, float]:
    """Score by architecture, each one once."""
    rows = read_rows(path)
    header = [name.lower() for name in rows.header]
    if header.count("arch") != 1 or header.count("score") != 1:
        raise UserError(
            f"{path} should have a column arch and a column score, got {', '.join(rows.header)}"
        )
    at, of = header.index("arch"), header.index("score")
    texts = [compact(cells[at]) for cells in rows.cells]
    wrong = [_line(rows, row, at) for row, text in enumerate(texts) if not is_arch(space, text)]
    if wrong:
        raise UserError(
            f"{path}: {len(wrong)} rows are no {space.name} arch like "
            f"{space.to_string(example(space))[:120]}: {few(wrong)}; correct these lines"
        )
    first = {text: row for row, text in reversed([*enumerate(texts)])}
    twice = [row for row, text in enumerate(texts) if first[text] != row]
    if twice:
        raise UserError(
            f"{path} lists {len(twice)} archs more than once, again in "
            f"{few(_line(rows, row, at) for row in twice)}; keep one row of each"
        )
    values = [_number(cells[of]) for cells in rows.cells]
    wrong = [_line(rows, row, of) for row, value in enumerate(values) if not np.isfinite(value)]
    if wrong:
        raise UserError(
            f"{path}: {len(wrong)} scores are missing or no finite number: {few(wrong)}; "
            "correct these lines, or leave them out"
        )
    return dict(zip(texts, values, strict=True))


def _number(text: str) -> float:
    try:
        return read_number(text, comma_is_decimal=True)
    except ValueError:
        return np.nan


def _single(scores: list[float], path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The scores as records hold them, in 32 bits; refused where that makes ties or infinities."""
    whole = np.asarray(scores, dtype=np.float64)
    with np.errstate(over="ignore"):
        single = whole.astype(np.float32)
    if np.isinf(single).any() or np.unique(single).size < np.unique(whole).size:
        raise UserError(
            f"{path}: scores are kept in 32 bits, where some that differ become equal or infinite; "
            "give their ranks instead"
        )
    return single


def _line(rows: Rows, row: int, column: int) -> str:
    return f"line {rows.lines[row]} {rows.cells[row][column][:90]!r}"
