"""What each piece of work in a results folder is at: read from its files, and nothing is written.

Nothing here imports torch or pandas, which would take longer than looking.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.records.locks import owner_of

STATES = ("done", "running", "stopped", "diverged", "damaged")
# How deep the folders of a kind lie below it.
KINDS = {"supernets": 4, "records": 4, "searches": 4, "retrained": 3}
"""Kinds of work by the folder that holds them."""
_UNREADABLE = (OSError, ValueError, RecursionError)


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Args:
        kind: of ``KINDS``.
        folder: relative to the results folder.
        state: of ``STATES``: it has a record; a live process holds it; none does; its training
            diverged; its record cannot be read.
        epoch: how many epochs its log has; None where it has no log.
        epochs: how many it is to have; None where its config says nothing of it.
        owner: the process that works on it, for people.
        seconds_ago: since one of its files last changed; None for what is done.
    """

    kind: str
    folder: str
    state: str
    epoch: int | None = None
    epochs: int | None = None
    owner: str | None = None
    seconds_ago: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class StudyState:
    """How many of a study's jobs are done, as its study.json last said.

    Args:
        name: of its folder.
        done: jobs that have a record.
        total: all of them.
    """

    name: str
    done: int
    total: int


def look(results: Path) -> list[Work]:
    """Every piece of work under a results folder, in the order of their folders."""
    return [_look_at(results, kind, path) for kind in KINDS for path in _folders(results, kind)]


def studies(results: Path) -> list[StudyState]:
    """The studies under a results folder; one whose study.json cannot be read is left out."""
    found = []
    for path in sorted((results / "studies").glob("*/study.json")):
        content = _read(path)
        if content is None or not isinstance(content.get("records"), list):
            continue
        own = "records" if content.get("kind") == "rank" else "searches"
        done = [one for one in content["records"] if isinstance(one, dict) and one["kind"] == own]
        found.append(StudyState(path.parent.name, len(done), int(content.get("num_jobs", 0))))
    return found


def _folders(results: Path, kind: str) -> Iterator[Path]:
    for path in sorted((results / kind).glob("/".join(["*"] * KINDS[kind]))):
        if (path / "config.json").is_file() or (path / "record.json").is_file():
            yield path


def _look_at(results: Path, kind: str, path: Path) -> Work:
    folder = path.relative_to(results).as_posix()
    if (path / "record.json").is_file():
        record = _read(path / "record.json")
        if record is None:
            return Work(kind, folder, "damaged")
        return Work(kind, folder, "diverged" if record.get("status") == "diverged" else "done")
    owner = owner_of(path)
    return Work(
        kind,
        folder,
        "running" if owner else "stopped",
        _num_lines(path / "log.jsonl"),
        _epochs(_read(path / "config.json") or {}),
        owner.text() if owner else None,
        _seconds_ago(path),
    )


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where there is none, or none any more."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except _UNREADABLE:
        return None
    return value if isinstance(value, dict) else None


def _num_lines(path: Path) -> int | None:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return None


def _epochs(config: dict[str, Any]) -> int | None:
    """``epochs`` of a config, which may stand in the part that it belongs to."""
    for part in (config, *(part for part in config.values() if isinstance(part, dict))):
        if isinstance(part.get("epochs"), int):
            return int(part["epochs"])
    return None


def _seconds_ago(path: Path) -> float | None:
    times = []
    for file in path.iterdir():
        try:
            times.append(file.stat().st_mtime)
        except OSError:
            continue  # renamed or removed meanwhile
    return max(0.0, time.time() - max(times)) if times else None
