"""What is done, running, stopped, diverged: ``python -m benchmark.status``; it writes nothing."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.cli.errors import UserError
from benchmark.cli.parser import Parser
from benchmark.cli.text import duration
from benchmark.status.look import KINDS, STATES, Work, look, studies

_MOST_LINES = 30
"""Pieces of work of a state that are named."""


def main(argv: Sequence[str] | None = None) -> list[Work]:
    """Run the program; returns every piece of work under the results folder.

    Raises:
        UserError: there is no such folder.
    """
    given = _parser().parse_args(argv)
    results: Path = given.results
    if not results.is_dir():
        raise UserError(f"--results {results} is no folder; name the one that runs write to")
    work = look(results)
    console = Console()
    if given.json:
        content = [one.to_dict() for one in work]
        console.print_json(json.dumps(content), indent=2)
        return work
    console.print(_counts(work))
    for study in studies(results):
        console.print(Text(f"study {study.name}: {study.done} of {study.total} jobs done"))
    for line in lines(work):
        console.print(Text(line), soft_wrap=True)
    return work


def _counts(work: Sequence[Work]) -> Table:
    """A line for each kind, a column for each state."""
    counts = Counter((one.kind, one.state) for one in work)
    table = Table("", *STATES)
    for kind in KINDS:
        table.add_row(kind, *(str(counts[kind, state]) for state in STATES))
    return table


def lines(work: Sequence[Work]) -> Iterator[str]:
    """A line for each piece of work that is not done, those at work first."""
    for state in STATES[1:]:
        own = [one for one in work if one.state == state]
        for one in own[:_MOST_LINES]:
            yield f"{state}: {one.folder}{_details(one)}"
        if len(own) > _MOST_LINES:
            yield f"{state}: {len(own) - _MOST_LINES} more; --json has all"


def _details(one: Work) -> str:
    parts = []
    if one.epoch is not None and one.epochs is not None and one.kind != "records":
        parts.append(f"epoch {one.epoch} of {one.epochs}")
    if one.owner:
        parts.append(one.owner)
    if one.seconds_ago is not None:
        parts.append(f"last changed {duration(one.seconds_ago)} ago")
    if one.state == "stopped":
        parts.append("the command that began it goes on")
    return "".join(f", {part}" for part in parts)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.status",
        description="Say what every piece of work in a results folder is at: done, running, "
        "stopped, diverged or damaged. Reads only, while others write.",
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="folder (results)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    return parser
