"""Read trained supernets, searches and retrainings back as tables: a row per finished one.

Column names are the record's keys joined by dots, as in ``benchmark.records.load``: ``config.K``,
``best.accuracy``, ``optimum.true``, ``seconds.search``, ``search.config.K``, ``top1``. ``path`` is
the record's folder, ``folder`` the same relative to the results folder, ``space`` the search space
its place names. The columns that tables and figures ask for are always there; values that a record
does not have are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.config.retrain import RetrainConfig
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig
from benchmark.records.rows import Required, as_table, has_diverged, read_record, read_row
from benchmark.records.sealed import check_sum

_NUMBER = (int, float)
_MAYBE = (int, float, type(None))
_CONFIG: Required = {
    "kind": str,
    "config.dataset": str,
    "config.space": str,
    "config.seed": int,
}
SEARCH_AGAIN = "delete its folder and search again"
"""What helps against a damaged file: a finished search is not redone, nor any file of it."""
_SHARED: Required = {**_CONFIG, "config.sharing": str, "config.K": int}


@dataclass(frozen=True)
class _Kind:
    """Where records of one kind lie, and what they must and may have."""

    name: str
    folder: str
    # Of a record's path: how far from its end the search space's name stands.
    space: int
    required: Required
    # What its config is of; a record of an older version may lack settings.
    config: type[RunConfig] | type[SearchConfig] | type[RetrainConfig]
    # How to get another record: the end of the line that refuses one.
    again: str
    # What the record has of architectures, as text.
    archs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_SUPERNETS = _Kind(
    "supernet",
    "supernets",
    -4,
    {
        **_SHARED,
        "seconds.training": _NUMBER,
        "seconds_per_epoch": _NUMBER,
        "peak_memory_bytes": int,
        "num_weight_steps": int,
        "num_simplex_steps": int,
    },
    RunConfig,
    "delete its folder and train again",
)
_SEARCHES = _Kind(
    "search",
    "searches",
    -4,
    {
        **_SHARED,
        "config.method": str,
        "config.ensemble": str,
        "config.search_seed": int,
        "config.max_flops": _NUMBER,
        "config.min_flops": _NUMBER,
        "config.max_params": _NUMBER,
        "seconds.search": _NUMBER,
        "seconds.supernets": _NUMBER,
        "seconds_per_arch": _MAYBE,
        "peak_memory_bytes": int,
        "num_scored": int,
        "supernets": str,
        "best.arch": str,
        "best.accuracy": _NUMBER,
        "best.loss": _NUMBER,
        "best.flops": _NUMBER,
        "best.params": _NUMBER,
        "best.true": _MAYBE,
    },
    SearchConfig,
    SEARCH_AGAIN,
    ("best.arch",),
    ("optimum.arch", "optimum.true", "truth.column", "truth.sha256"),
)
_RETRAINED = _Kind(
    "retrained",
    "retrained",
    -3,
    {
        **_CONFIG,
        "config.arch": str,
        "flops": _MAYBE,
        "params": _NUMBER,
        "top1": _NUMBER,
        "top5": _NUMBER,
        "top1_raw": _NUMBER,
        "top5_raw": _NUMBER,
        "num_test_images": int,
    },
    RetrainConfig,
    "delete its folder and retrain",
    ("config.arch",),
    ("search.record",),
)


def load_supernets(results: Path) -> pd.DataFrame:
    """Read every trained supernet under ``results/supernets``, in the order of their paths.

    Raises:
        UserError: a malformed record, or two of the same training.
    """
    return _load(results, _SUPERNETS)


def load_searches(results: Path) -> pd.DataFrame:
    """Read every finished search under ``results/searches``, in the order of their paths.

    ``supernets`` is JSON text: the folders, relative to ``results``, of what was searched.

    Raises:
        UserError: a malformed record, or two of the same search.
    """
    return _load(results, _SEARCHES)


def load_retrained(results: Path) -> pd.DataFrame:
    """Read every retrained architecture under ``results/retrained``, in the order of their paths.

    ``search.record`` is the folder, relative to ``results``, of the search it was taken from, and
    missing where an architecture was given by hand.

    Raises:
        UserError: a malformed record, or two of the same retraining.
    """
    return _load(results, _RETRAINED)


def read_of_kind(results: Path, kind: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Read these records of one kind, in their order; without any an empty table.

    Args:
        results: the results folder.
        kind: ``"supernets"``, ``"searches"`` or ``"retrained"``.
        paths: each one's ``record.json``.

    Raises:
        UserError: a malformed record, or two of the same work.
    """
    kinds = {one.folder: one for one in (_SUPERNETS, _SEARCHES, _RETRAINED)}
    return _read(results, kinds[kind], paths)


def load_evaluated(search: Path, num_scored: int | None = None) -> pd.DataFrame:
    """Read what a search scored, in that order.

    Args:
        search: the search's folder.
        num_scored: how many there should be, where that is known.

    Returns:
        Columns ``number`` (rising by 1), ``generation``, ``arch``, ``accuracy`` (percent),
        ``loss``, ``flops``, ``params`` and, where there is a truth table, ``true`` (percent, NaN
        where the table lacks the architecture).

    Raises:
        UserError: the file is absent, cut short or of another layout.
    """
    path = search / "evaluated.csv"
    numbers = ("number", "generation", "accuracy", "loss", "flops", "params")
    table = _read_csv(path, ("arch",), numbers, ("true",))
    if not table["number"].diff().iloc[1:].eq(1).all():
        raise UserError(f"{path} should count its rows in number; {SEARCH_AGAIN}")
    if num_scored is not None and len(table) != num_scored:
        raise UserError(f"{path} should have {num_scored} rows, got {len(table)}; {SEARCH_AGAIN}")
    return table


def load_front(search: Path) -> pd.DataFrame:
    """Read a search's Pareto front: ``arch``, ``accuracy`` (percent), ``flops``, ``params``.

    Raises:
        UserError: the file is absent, cut short or of another layout.
    """
    return _read_csv(search / "front.csv", ("arch",), ("accuracy", "flops", "params"))


def _load(results: Path, kind: _Kind) -> pd.DataFrame:
    folder = results / kind.folder
    return _read(results, kind, sorted(folder.glob("/".join(["*"] * -kind.space) + "/record.json")))


def _read(results: Path, kind: _Kind, paths: Sequence[Path]) -> pd.DataFrame:
    folder = results / kind.folder
    columns = ["path", "folder", "space", *kind.required, *kind.optional]
    if not paths:
        return pd.DataFrame(columns=pd.Index(columns))
    rows: list[Mapping[str, Any]] = []
    for path in paths:
        if has_diverged(path, kind.again):
            continue
        row = read_row(path, kind.required, kind.again)
        if row["kind"] != kind.name:
            raise UserError(
                f"{path} should be of kind {kind.name}, got {row['kind']!r}; "
                f"move it out of {folder}"
            )
        _check_config(path, row, kind)
        place = path.parent
        rows.append(
            {
                "path": str(place),
                "folder": place.relative_to(results).as_posix(),
                "space": path.parts[kind.space],
                **row,
            }
        )
    if not rows:
        return pd.DataFrame(columns=pd.Index(columns))
    table = as_table(rows, folder)
    for name in kind.optional:
        if name not in table.columns:
            table[name] = None
    return table


def _check_config(path: Path, row: Mapping[str, Any], kind: _Kind) -> None:
    """Refuse settings that are none, before a table or a figure stumbles over them.

    Raises:
        UserError: a setting of another type, or settings or an architecture of no space.
    """
    values = {
        name.removeprefix("config."): value
        for name, value in row.items()
        if name.startswith("config.")
    }
    try:
        config = kind.config.from_dict(values)
        for name in kind.archs:
            run = config.run if isinstance(config, SearchConfig) else config
            run.space.arch(row[name])
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}; {kind.again}") from None


def _read_csv(
    path: Path, texts: Sequence[str], numbers: Sequence[str], optional: Sequence[str] = ()
) -> pd.DataFrame:
    """A CSV file of these columns, every cell filled but in optional ones, every number finite."""
    try:
        check_sum(path, read_record(path.parent / "record.json", SEARCH_AGAIN).get("files"))
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise UserError(f"cannot read the table {path}: {line}; {SEARCH_AGAIN}") from None
    wanted = {*texts, *numbers}
    known = wanted <= set(table.columns) <= wanted | set(optional)
    # With more cells than headings pandas takes the first ones for the index.
    if not known or table.empty or not isinstance(table.index, pd.RangeIndex):
        raise UserError(
            f"{path} should have rows of {', '.join([*texts, *numbers])}, got {len(table)} rows "
            f"of {', '.join(map(str, table.columns))}; {SEARCH_AGAIN}"
        )
    for name in table.columns:
        given = table[name].notna() & table[name].ne("")
        if name in texts:
            good = given
        else:
            table[name] = pd.to_numeric(table[name], errors="coerce")
            good = pd.Series(np.isfinite(table[name].to_numpy(np.float64)), index=table.index)
            good |= ~given & (name in optional)
        if not good.all():
            raise UserError(
                f"{path} row {int(np.flatnonzero(~good)[0]) + 1} has no usable {name}; "
                f"{SEARCH_AGAIN}"
            )
    return table
