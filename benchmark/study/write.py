"""Everything that a study writes from its records: tables, figures, a page, the list of studies.

Figures take most of the time, and are drawn again only where what they are made of has changed:
beside them ``figures.json`` keeps a checksum of records and drawing code, and which there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd

from benchmark.records.files import sha256, write_json, write_text
from benchmark.study.definition import StudyData
from benchmark.study.file import FRAMES, load_study
from benchmark.study.page import command, facts_of, page
from benchmark.study.render import to_csv, to_latex, to_markdown
from benchmark.views.pictures import own_style, save_figure
from benchmark.views.style import FigureUnavailableError

_CODE = Path(__file__).resolve().parent.parent.parent
_DRAWING = ("benchmark/study", "benchmark/views", "kshot_core/metrics")


def write_all(path: Path) -> StudyData:
    """Write what a ``study.json`` stands for into its folder; returns the study's data.

    Raises:
        UserError: it or a record it names is damaged, or a folder that cannot be written to.
    """
    data = load_study(path)
    folder = path.parent
    tables = {table.name: data.values_of(table) for table in data.study.tables}
    for table in data.study.tables:
        for suffix, text in table_texts(data, table.name, tables[table.name]).items():
            write_text(folder / f"{table.name}.{suffix}", text)
    figures = _draw(data, path)
    write_text(folder / "README.md", page(data, tables, figures))
    return data


def table_texts(data: StudyData, name: str, values: pd.DataFrame) -> dict[str, str]:
    """A built table as text by the suffix of its file."""
    table = next(one for one in data.study.tables if one.name == name)
    return {
        "csv": to_csv(values),
        "md": to_markdown(table, values),
        "tex": to_latex(table, values),
    }


def _draw(data: StudyData, path: Path) -> dict[str, str]:
    """Draw all figures unless they are those of these records; returns why one is absent."""
    folder = path.parent
    digest, known = inputs_digest(data, path), _known(folder / "figures.json")
    if known.get("digest") == digest and all(
        known["absent"][one.name] or (folder / f"{one.name}.{suffix}").is_file()
        for one in data.study.figures
        for suffix in ("png", "pdf")
    ):
        return dict(known["absent"])
    absent: dict[str, str] = {}
    for one in data.study.figures:
        paths = [folder / f"{one.name}.{suffix}" for suffix in ("png", "pdf")]
        try:
            with own_style():
                figure = one.build(data)
        except FigureUnavailableError as error:
            absent[one.name] = str(error)
            for old in paths:
                old.unlink(missing_ok=True)
            continue
        absent[one.name] = ""
        for target in paths:
            save_figure(figure, target)
    write_json(folder / "figures.json", {"digest": digest, "absent": absent})
    return absent


def inputs_digest(data: StudyData, path: Path) -> str:
    """SHA-256 of all that figures depend on: study.json, its records' files, the code that draws.

    Args:
        data: the study's.
        path: of its study.json.
    """
    digest = hashlib.sha256(_code_digest().encode())
    digest.update(sha256(path).encode())
    frames = dict(
        zip(FRAMES, (data.runs, data.supernets, data.searches, data.retrained), strict=True)
    )
    for frame in frames.values():
        for folder in sorted(set(frame.get("path", ()))):
            for file in sorted(Path(folder).iterdir()):
                if file.suffix in (".json", ".jsonl", ".npy", ".csv"):
                    digest.update(f"{file.name} {sha256(file)}".encode())
    return digest.hexdigest()


@cache
def _code_digest() -> str:
    digest = hashlib.sha256(mpl.__version__.encode())
    for room in _DRAWING:
        for file in sorted((_CODE / room).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _known(path: Path) -> dict[str, Any]:
    """What ``figures.json`` says; nothing where it is absent or damaged: figures are drawn then."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    good = isinstance(known, dict) and isinstance(known.get("absent"), dict)
    return known if good else {}


def write_list(results: Path, every: Mapping[Path, StudyData]) -> Path:
    """Write ``results/README.md``, the list of studies; returns its path.

    Args:
        results: the results folder.
        every: the data of each study.json.
    """
    path = results / "README.md"
    write_text(path, list_text(results, every))
    return path


def list_text(results: Path, every: Mapping[Path, StudyData]) -> str:
    """The list of studies as Markdown, from the data of each study.json."""
    return "\n".join(_list_lines(results, every)) + "\n"


def _list_lines(results: Path, every: Mapping[Path, StudyData]) -> Iterator[str]:
    yield "# Studies"
    yield ""
    yield "Generated by `python -m benchmark.report` from the records in this folder."
    for path, data in every.items():
        facts = facts_of(data)
        yield ""
        yield f"## [{data.study.title}]({path.parent.relative_to(results).as_posix()}/README.md)"
        yield ""
        yield f"- **Question:** {data.study.question}"
        yield f"- **Answer (`{data.scale}`):** {data.answer}"
        yield f"- **Command:** `{command(data.study, data.scale)}`"
        yield (
            f"- **Seeds:** {facts['seeds']}; **hardware:** {facts['hardware']}; "
            f"**commit:** {facts['commit']}"
        )
