"""Rebuild every study's page, tables and figures from records: ``python -m benchmark.report``.

Reads each ``study.json`` under ``results/studies`` and the records that it names; nothing is
trained or scored again. The same records give the same bytes with the same versions of pandas and
matplotlib, so the committed results can be checked. Figures whose records and drawing code have not
changed are not drawn again. ``--site`` makes pages for a browser of the same records as well.
"""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from benchmark.cli.errors import UserError
from benchmark.cli.parser import Parser
from benchmark.study.definition import StudyData
from benchmark.study.file import study_paths
from benchmark.study.write import write_all, write_list


def build_report(results: Path) -> list[Path]:
    """Write every study's folder and ``results/README.md``, the list of them.

    Args:
        results: the results folder.

    Returns:
        The folders written.

    Raises:
        UserError: no study, a damaged file, or a folder that cannot be written to.
    """
    return [path.parent for path in _built(results)]


def _built(results: Path) -> dict[Path, StudyData]:
    """``build_report``; returns the data of each study.json."""
    paths = study_paths(results)
    if not paths:
        raise UserError(
            f"no study found under {results / 'studies'}: run one with python -m benchmark.study "
            f"NAME --results {results}, or name another folder"
        )
    studies = {path: write_all(path) for path in paths}
    write_list(results, studies)
    return studies


def main(argv: Sequence[str] | None = None) -> list[Path]:
    """Run the program; returns the folders written.

    Args:
        argv: command-line arguments without the program's name; ``None`` takes the process's own.
    """
    given = _parser().parse_args(argv)
    results: Path = given.results
    console = Console()
    studies: dict[Path, StudyData] = {}
    # Runs without a study have pages too.
    if not (given.site or given.open) or study_paths(results):
        studies = _built(results)
        for path in studies:
            console.print(Text(f"study: {path.parent}/"))
        console.print(Text(f"list: {results / 'README.md'}"))
    if given.site or given.open:
        # Its library takes a while to import.
        from benchmark.study.site.write import write_site  # noqa: PLC0415

        index = write_site(results, studies)
        console.print(Text(f"pages: {index}"), style="bold")
        if given.open and not webbrowser.open(index.resolve().as_uri()):
            raise UserError(f"no browser was found here; open {index.resolve()} in one")
    return [path.parent for path in studies]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.report",
        description="Rebuild all studies' pages, tables and figures from the records in a results "
        "folder.",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="the results folder, with its records and studies inside (default: results)",
    )
    parser.add_argument(
        "--site",
        action="store_true",
        help="make pages as well, with a plot to explore for every run and search, in "
        "site/index.html of that folder; they open from disk, without a network",
    )
    parser.add_argument("--open", action="store_true", help="the same, and open them in a browser")
    return parser
