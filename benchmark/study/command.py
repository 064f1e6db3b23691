"""List studies, run one, or say what it would run: ``python -m benchmark.study``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from benchmark.cli.errors import UserError
from benchmark.cli.parser import Parser, one_of
from benchmark.config.options import add_machine, add_places
from benchmark.pipeline.stages import Machine
from benchmark.records.environment import choose_device
from benchmark.study.definition import SCALES, Study
from benchmark.study.execute import run_study
from benchmark.study.file import write_study
from benchmark.study.page import common_text
from benchmark.study.plan import Step, plan
from benchmark.study.render import to_markdown
from benchmark.study.roofline import roofline_lines
from benchmark.study.studies import STUDIES
from benchmark.study.write import write_all
from benchmark.train.setup import Places
from benchmark.workers.jobs import num_cores


def main(argv: Sequence[str] | None = None) -> Path | None:
    """Run the program; returns the study's folder, or None where nothing was to be run.

    Raises:
        UserError: values that cannot work, one clear line.
    """
    given = _parser().parse_args(argv)
    console = Console()
    if given.study is None:
        for one in STUDIES.values():
            console.print(Text(f"{one.name} ({', '.join(one.sizes)}): {one.question}"))
        return None
    one_of("the study", given.study, STUDIES)
    if given.jobs is not None and given.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {given.jobs}")
    study: Study = STUDIES[given.study]
    device = choose_device(given.device)
    jobs = given.jobs or (num_cores() if device.type == "cpu" else 1)
    results: Path = given.results
    if given.dry_run:
        steps = plan(study, given.scale, results)
        lines = plan_lines(steps, jobs)
        if given.scale == "paper" and study.kind == "rank":
            left = [step.job.run for step in steps if step.what == "run" and not step.done]
            lines += roofline_lines(left) if left else []
        for line in lines:
            console.print(Text(line), soft_wrap=True)
        return None
    places = Places(results, given.data, given.truth, given.split)
    machine = Machine(places, device, jobs, given.checkpoint_seconds)
    run_study(study, given.scale, machine, lambda line: console.print(Text(line)))
    path = write_study(results, study, given.scale)
    data = write_all(path)
    table = study.tables[0]
    shown = to_markdown(table, table.build(data), common_text(data.common))
    console.print(Text(shown), soft_wrap=True)
    console.print(Text(study.answer(data)))
    console.print(Text(f"study: {path.parent}/"), style="bold")
    # Its library takes a while to import.
    from benchmark.study.site.write import write_site  # noqa: PLC0415

    console.print(Text(f"pages: {write_site(results)}"), style="bold")
    return path.parent


def plan_lines(steps: Sequence[Step], jobs: int) -> list[str]:
    """What is to be run, for a terminal: a line a step, then how many are done and the time left.

    Args:
        steps: from ``plan``.
        jobs: pieces of work at a time.
    """
    lines = []
    for step in steps:
        state = "done" if step.done else _time(step.seconds)
        lines.append(
            f"{step.what} {step.job.row}, {step.job.dataset}, seed {step.job.seed}: {state}"
        )
    left = [step for step in steps if not step.done]
    known = [step.seconds for step in left if step.seconds is not None]
    lines.append(f"{len(steps) - len(left)} of {len(steps)} done")
    if known:
        mean = sum(known) / len(known)
        about = (
            f"about {_time(mean * len(left) / jobs)} left with --jobs {jobs}, on a machine like "
        )
        about += "that of the records"
        if len(known) < len(left):
            about += f" ({len(left) - len(known)} of them guessed from the others)"
        lines.append(about)
    elif left:
        lines.append("no finished record like these says how long they take")
    return lines


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "to do"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmark.study",
        description="Run what a study is missing and write its page, tables and figures to "
        "results/studies. Without a name: list the studies and their questions.",
    )
    parser.add_argument("study", nargs="?", metavar="NAME", help=f"one of {', '.join(STUDIES)}")
    parser.add_argument(
        "--scale", choices=SCALES, default="tiny", help="size of its runs (tiny: minutes)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be run, and how long it takes"
    )
    add_places(parser)
    machine = parser.add_argument_group("machine")
    machine.add_argument("--jobs", type=int, metavar="N", help="at a time (cores; 1 on a GPU)")
    add_machine(machine)
    return parser
