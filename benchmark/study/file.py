"""study.json: which records a study is made of, and the data that these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.config.scores import NamedScores
from benchmark.records.files import inside
from benchmark.records.load import read_runs
from benchmark.records.load_searches import read_of_kind
from benchmark.records.rows import SCHEMA, read_record
from benchmark.records.sealed import write_record
from benchmark.study.common import common
from benchmark.study.definition import SCALES, Study, StudyData
from benchmark.study.jobs import (
    Job,
    diverged,
    finished,
    finished_supernet,
    jobs_of,
    retraining_of,
    row_of,
)
from benchmark.study.studies import STUDIES

FRAMES = ("records", "supernets", "searches", "retrained")
"""Kinds of records: the folders below the results folder that hold them."""
Entry = dict[str, Any]
_AGAIN = "write it anew with python -m benchmark.study"


def folder_of(results: Path, study: str, scale: str) -> Path:
    """Where a study's page lies."""
    return results / "studies" / f"{study}-{scale}"


def write_study(results: Path, study: Study, scale: str) -> Path:
    """Write ``study.json`` of what is finished; returns its path.

    Raises:
        UserError: no such scale, or a folder that cannot be written to.
    """
    jobs = jobs_of(study, scale)
    content = {
        "schema": SCHEMA,
        "study": study.name,
        "scale": scale,
        "title": study.title,
        "question": study.question,
        "kind": study.kind,
        "common": common(job.config for job in jobs if not isinstance(job.config, NamedScores)),
        "num_jobs": len(jobs),
        "records": entries(results, study, scale),
        "diverged": diverged_entries(results, jobs),
    }
    path = folder_of(results, study.name, scale) / "study.json"
    write_record(path, content)
    return path


def entries(results: Path, study: Study, scale: str) -> list[Entry]:
    """A study's finished work, as study.json lists it: ``kind``, ``row``, ``seed``, ``folder``.

    What was retrained has ``search`` beside it, the folder of the search it was found by.

    Raises:
        UserError: no such scale, or a damaged ``arch.json``.
    """
    found: list[Entry] = []

    def add(kind: str, path: Path | None, **about: Any) -> None:
        if path is not None:
            found.append({"kind": kind, "folder": path.relative_to(results).as_posix(), **about})

    for job in jobs_of(study, scale):
        about = {"row": job.row, "seed": job.seed}
        path = finished(results, job.config)
        add("records" if study.kind == "rank" else "searches", path, **about)
        for one in job.supernets():
            add("supernets", finished_supernet(results, one), **about)
        if study.kind == "search+retrain" and path is not None:
            config = retraining_of(study.size(scale), path, job.seed)
            search = path.relative_to(results).as_posix()
            add("retrained", finished(results, config), search=search, **about)
    return found


def diverged_entries(results: Path, jobs: Sequence[Job]) -> list[Entry]:
    """The jobs that diverged: ``row``, ``seed``, ``folder``."""
    found = [(job, diverged(results, job.config)) for job in jobs]
    return [
        {"row": job.row, "seed": job.seed, "folder": path.relative_to(results).as_posix()}
        for job, path in found
        if path is not None
    ]


def study_paths(results: Path) -> list[Path]:
    """Every ``study.json`` of a results folder, in the order of their names."""
    return sorted((results / "studies").glob("*/study.json"))


def load_study(path: Path) -> StudyData:
    """The data of a study, from its study.json and the records that it names.

    Args:
        path: ``results/studies/<study>-<scale>/study.json``.

    Raises:
        UserError: it is damaged, of no known study, or names a record that is not there.
    """
    content = read_record(path, _AGAIN)
    name, scale = content.get("study"), content.get("scale")
    if not isinstance(name, str) or name not in STUDIES or scale not in SCALES:
        raise UserError(f"{path} is of study {name!r} at scale {scale!r}, which do not exist here")
    study, results = STUDIES[name], path.parent.parent.parent
    listed = content.get("records")
    if not isinstance(listed, list) or not all(map(_is_entry, listed)):
        raise UserError(f"{path} should list its records with kind, row, seed and folder; {_AGAIN}")
    lost = content.get("diverged", [])
    if not isinstance(lost, list) or not all(_is_place(one) for one in lost):
        raise UserError(f"{path} should list what diverged with row, seed and folder; {_AGAIN}")
    for entry in (*listed, *lost):
        row_of(study, entry["row"])
    shared = content.get("common")
    data = data_of(study, scale, results, shared if isinstance(shared, dict) else {}, listed)
    return replace(data, diverged=tuple((one["row"], one["seed"]) for one in lost))


def data_of(
    study: Study,
    scale: str,
    results: Path,
    shared: Mapping[str, Any],
    listed: Sequence[Entry],
) -> StudyData:
    """The data of these records.

    Args:
        study: whose rows they are of.
        scale: of the study.
        results: the results folder.
        shared: settings that all have in common.
        listed: as ``entries`` gives them.

    Raises:
        UserError: a record is not there, or is damaged.
    """
    runs, supernets, searches, retrained = (_frame(results, kind, listed) for kind in FRAMES)
    return StudyData(study, scale, results, shared, runs, supernets, searches, retrained)


def _frame(results: Path, kind: str, listed: Sequence[Entry]) -> pd.DataFrame:
    own = [entry for entry in listed if entry["kind"] == kind]
    if not own:
        return pd.DataFrame(columns=pd.Index(["row", "seed"]))
    folders = list(dict.fromkeys(entry["folder"] for entry in own))
    paths = []
    for folder in folders:
        try:
            paths.append(inside(results, folder) / "record.json")
        except ValueError as error:
            raise UserError(f"a study reads nothing outside its results: {error}") from None
        if not paths[-1].is_file():
            raise UserError(f"a study names {results / folder}, which has no record; {_AGAIN}")
    read = read_runs(paths, results) if kind == "records" else read_of_kind(results, kind, paths)
    about = pd.DataFrame(own).drop(columns=["kind"])
    # One piece of work may stand in several rows.
    return about.merge(read.assign(folder=folders), on="folder", how="left", sort=False)


def _is_entry(value: Any) -> bool:
    if not _is_place(value) or value.get("kind") not in FRAMES:
        return False
    parts = Path(value["folder"]).parts
    return bool(parts) and parts[0] == value["kind"]


def _is_place(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    folder, row, seed = value.get("folder"), value.get("row"), value.get("seed")
    return isinstance(folder, str) and isinstance(row, str) and type(seed) is int
