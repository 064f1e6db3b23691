"""Write all pages of a results folder: ``results/site``, from study.json files and records alone.

A page whose records and code have not changed is not made again: ``pages.json`` keeps a checksum of
each. Pages of what is gone are removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.config.values import flat
from benchmark.records.files import sha256, write_atomically, write_json, write_text
from benchmark.records.load import read_runs, record_paths
from benchmark.records.load_searches import load_retrained, load_searches
from benchmark.study.definition import StudyData
from benchmark.study.file import load_study, study_paths
from benchmark.study.site.archs import rows_of
from benchmark.study.site.grids import Mention, slug
from benchmark.study.site.pages import (
    index_page,
    run_page,
    search_page,
    study_file,
    study_page,
)

_CODE = Path(__file__).resolve().parents[2]
_MAKING = ("study", "views", "records", "config")
_SCRIPT = "bokeh.min.js"
_READ = (".json", ".jsonl", ".npy", ".csv")
Make = Callable[[], str]


def write_site(results: Path, studies: Mapping[Path, StudyData] | None = None) -> Path:
    """Write ``results/site``; returns its ``index.html``.

    Every study, every run under ``records`` and every search under ``searches`` has a page.

    Args:
        results: the results folder.
        studies: the data of each study.json there; ``None`` reads them.

    Raises:
        UserError: nothing to show, a damaged record, or a folder that cannot be written to.
    """
    site = results / "site"
    if studies is None:
        studies = {path: load_study(path) for path in study_paths(results)}
    runs, searches = _runs(results), load_searches(results)
    retrained = load_retrained(results)
    if not len(runs) + len(searches) + len(studies):
        raise UserError(
            f"no record and no study found under {results}: start one with "
            f"python -m benchmark.run --results {results}, or name another folder"
        )
    mentions = _mentions(studies.values())
    known, digests = _known(site / "pages.json"), dict[str, str]()

    def write(name: str, digest: str, make: Make) -> None:
        digests[name] = digest
        path = site / name
        if known.get(name) != digest or not path.is_file():
            write_text(path, make())

    for path, data in studies.items():
        pictures = list(_pictures(path, data, site))
        digest = _digest([path, *_record_files(data)], pictures)
        write(f"studies/{study_file(data)}", digest, partial(study_page, data, pictures))
    for row in rows_of(runs):
        own = mentions.get(row["folder"], [])
        digest = _digest(_files(Path(row["path"])), [one.label for one in own], _titles(own))
        write(f"runs/{slug(row['folder'])}", digest, partial(run_page, _own(row), own))
    for row in rows_of(searches):
        own = mentions.get(row["folder"], [])
        found = retrained[retrained["search.record"] == row["folder"]]
        inputs = [*_files(Path(row["path"]))]
        inputs += [file for folder in found["path"] for file in _files(Path(folder))]
        digest = _digest(inputs, [one.label for one in own], _titles(own))
        write(
            f"searches/{slug(row['folder'])}",
            digest,
            partial(search_page, _own(row), found, own),
        )
    # The list is quick to make, and what it shows is all there is.
    listed = list(studies.values())
    write_text(site / "index.html", index_page(listed, runs, searches, mentions))
    _write_assets(site)
    _remove_others(site, set(digests))
    write_json(site / "pages.json", digests)
    return site / "index.html"


def _runs(results: Path) -> pd.DataFrame:
    paths = record_paths(results)
    if not paths:
        return pd.DataFrame()
    runs = read_runs(paths, results)
    return runs.assign(folder=[path.parent.relative_to(results).as_posix() for path in paths])


def _own(row: Mapping[str, Any]) -> dict[str, Any]:
    """A record's row as it was before others beside it gave it gaps and made its counts floats."""
    record = json.loads((Path(row["path"]) / "record.json").read_text(encoding="utf-8"))
    config = {f"config.{name}": value for name, value in flat(record["config"]).items()}
    return {name: value for name, value in row.items() if not name.startswith("config.")} | config


def _mentions(studies: Iterable[StudyData]) -> dict[str, list[Mention]]:
    """The studies that name a record, by its folder."""
    found: dict[str, list[Mention]] = {}
    for data in studies:
        labels = {row.name: row.label for row in data.rows}
        for frame in (data.runs, data.searches):
            for row in rows_of(frame):
                found.setdefault(row["folder"], []).append(Mention(data, labels[row["row"]]))
    return found


def _titles(mentions: list[Mention]) -> list[str]:
    return [study_file(one.data) for one in mentions]


def _pictures(path: Path, data: StudyData, site: Path) -> Iterator[tuple[str, str]]:
    """The study's figures as they were drawn beside its ``study.json``, copied into the site."""
    for one in data.study.figures:
        drawn = path.parent / f"{one.name}.png"
        if drawn.is_file():
            name = f"figures/{path.parent.name}/{one.name}.png"
            _copy(drawn.read_bytes(), site / name)
            yield f"../{name}", one.caption


def _record_files(data: StudyData) -> Iterator[Path]:
    for frame in (data.runs, data.supernets, data.searches, data.retrained):
        for folder in sorted(set(frame.get("path", ()))):
            yield from _files(Path(folder))


def _files(folder: Path) -> Iterator[Path]:
    yield from (file for file in sorted(folder.iterdir()) if file.suffix in _READ)


def _digest(paths: Iterable[Path], *others: Any) -> str:
    digest = hashlib.sha256(_code_digest().encode())
    for path in paths:
        digest.update(f"{path.name} {sha256(path)}".encode())
    digest.update(json.dumps(others).encode())
    return digest.hexdigest()


@cache
def _code_digest() -> str:
    digest = hashlib.sha256(version("bokeh").encode())
    for room in _MAKING:
        for file in sorted((_CODE / room).rglob("*")):
            if file.suffix in (".py", ".html"):
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _write_assets(site: Path) -> None:
    """The library's script and ours, once beside all pages."""
    script = files("bokeh") / "server" / "static" / "js" / _SCRIPT
    _copy(script.read_bytes(), site / "assets" / _SCRIPT)
    own = files("benchmark.study.site") / "assets"
    for name in ("site.js", "style.css"):
        _copy((own / name).read_bytes(), site / "assets" / name)


def _copy(content: bytes, target: Path) -> None:
    if not target.is_file() or target.read_bytes() != content:
        write_atomically(target, lambda temporary: temporary.write_bytes(content))


def _remove_others(site: Path, wanted: set[str]) -> None:
    for kind in ("studies", "runs", "searches"):
        for path in (site / kind).glob("*.html"):
            if f"{kind}/{path.name}" not in wanted:
                path.unlink()


def _known(path: Path) -> dict[str, str]:
    """What ``pages.json`` says; nothing where it is absent or damaged: pages are made then."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}
