"""Supernets in a results folder: which there are, their size, and removing their weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.cli.errors import UserError
from benchmark.records.files import inside
from benchmark.records.folders import CHECKPOINT, PREVIOUS
from benchmark.records.locks import owner_of
from benchmark.train.supernet import EPOCH_WEIGHTS, WEIGHTS

_FILES = (WEIGHTS, EPOCH_WEIGHTS.format("*"), CHECKPOINT, PREVIOUS)


@dataclass(frozen=True)
class Kept:
    """A supernet's folder.

    Args:
        path: the folder.
        state: ``"trained"``, ``"unfinished"``, or ``"cleared"`` where weights are gone.
        num_bytes: of all its weights.
        seconds: its training took; None where it has not finished.
    """

    path: Path
    state: str
    num_bytes: int
    seconds: float | None


def kept_supernets(results: Path) -> list[Kept]:
    """Every supernet under a results folder, in the order of their paths.

    Raises:
        UserError: a record that cannot be read.
    """
    paths = sorted((results / "supernets").glob("*/*/*/*/config.json"))
    return [_kept(path.parent) for path in paths]


def clear(results: Path, names: Sequence[str]) -> list[Kept]:
    """Remove the weights of supernets; their records and logs stay, for tables.

    Whoever ranks or searches with one of them trains it again.

    Args:
        results: the results folder.
        names: folders as ``kept_supernets`` has them, or the ends of their paths; ``"all"`` for
            every one.

    Returns:
        those that had weights, as they were.

    Raises:
        UserError: a name of none or of several, a supernet that a process is training, or one that
            lies elsewhere, behind a link.
    """
    there = kept_supernets(results)
    chosen = there if "all" in names else [_named(there, name, results) for name in names]
    chosen = [one for one in dict.fromkeys(chosen) if one.num_bytes]
    root = results / "supernets"
    for one in chosen:
        try:
            inside(root, str(one.path.relative_to(root)))
        except ValueError as error:
            raise UserError(f"{error}; clear it there, or remove the link") from None
        owner = owner_of(one.path)
        if owner is not None:
            raise UserError(f"{owner.text()} is working on {one.path}; wait for it or stop it")
    for one in chosen:
        for path in _weights(one.path):
            path.unlink(missing_ok=True)
    return chosen


def _named(there: Sequence[Kept], name: str, results: Path) -> Kept:
    parts = Path(name).parts
    found = [one for one in there if one.path.parts[-len(parts) :] == parts] if parts else []
    if len(found) != 1:
        raise UserError(
            f"--clear {name} names {len(found)} supernets under {results / 'supernets'}; "
            "give folders as --list shows them, or all"
        )
    return found[0]


def _kept(path: Path) -> Kept:
    record = path / "record.json"
    seconds = None
    if record.exists():
        try:
            seconds = float(json.loads(record.read_text(encoding="utf-8"))["seconds"]["training"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{record} is damaged ({error}); delete its folder to train again"
            ) from None
    state = "unfinished" if seconds is None else "cleared"
    if seconds is not None and (path / WEIGHTS).exists():
        state = "trained"
    return Kept(path, state, sum(one.stat().st_size for one in _weights(path)), seconds)


def _weights(path: Path) -> list[Path]:
    return sorted(file for pattern in _FILES for file in path.glob(pattern))
