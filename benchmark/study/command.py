"""List studies, run one, or say what it would run: ``python -m benchmark.study``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.text import Text

from benchmark.cli.errors import JobsFailedError, UserError
from benchmark.cli.parser import Parser, one_of
from benchmark.cli.text import duration
from benchmark.config.options import add_machine, add_places
from benchmark.pipeline.stages import Crew, Machine, cluster_crew, local_crew
from benchmark.records.environment import choose_device
from benchmark.study.definition import SCALES, Study
from benchmark.study.execute import check_study, run_study, scores_to_make
from benchmark.study.file import write_study
from benchmark.study.page import warning_lines
from benchmark.study.plan import DIVERGED, DONE, TO_DO, Step, plan
from benchmark.study.render import to_markdown
from benchmark.study.roofline import roofline_lines
from benchmark.study.studies import STUDIES
from benchmark.study.write import write_all
from benchmark.train.setup import Places, places_of
from benchmark.workers.cluster import ClusterSettings
from benchmark.workers.jobs import num_cores

_SECONDS_BETWEEN = 30.0
"""Least time between two writings of a study.json while its jobs run."""
_CLUSTER = {
    "address": "--address",
    "cpus": "--cpus-per-job",
    "gpus": "--gpus-per-job",
    "retries": "--retries",
}
"""Options that only a cluster reads, by the name of the setting."""


def main(argv: Sequence[str] | None = None) -> Path | None:
    """Run the program; returns the study's folder, or None where nothing was to be run.

    Raises:
        UserError: values that cannot work, one clear line.
        JobsFailedError: some jobs failed; the page has the others.
    """
    given = _parser().parse_args(argv)
    console = Console()
    if given.study is None:
        for one in STUDIES.values():
            console.print(Text(f"{one.name} ({', '.join(one.sizes)}): {one.question}"))
        return None
    one_of("the study", given.study, STUDIES)
    _check_machine(given)
    study: Study = STUDIES[given.study]
    device = choose_device(given.device)
    jobs = given.jobs or (num_cores() if device.type == "cpu" else 1)
    results: Path = given.results
    if given.dry_run:
        steps = plan(study, given.scale, results)
        lines = plan_lines(steps, jobs)
        if given.scale == "paper" and study.kind == "rank":
            left = [step.job.run for step in steps if step.what == "run" and step.state == TO_DO]
            lines += roofline_lines(left) if left else []
        for line in lines:
            console.print(Text(line), soft_wrap=True)
        return None
    places = places_of(given)
    check_study(study, given.scale, places)
    steps = plan(study, given.scale, results, timed=False)
    console.print(Text(_found_line(steps, results)), soft_wrap=True)
    for name in scores_to_make(study, given.scale, results):
        made = f"python -m benchmark.run --scores {name}.csv makes their record"
        console.print(Text(f"no scores {name}: {made}"))
    with _crew(given, places, device, jobs) as crew:
        keep = Recent(partial(write_study, results, study, given.scale))
        failures = run_study(study, given.scale, crew, keep)
    path = write_study(results, study, given.scale)
    data = write_all(path)
    table = study.tables[0]
    for line in warning_lines(data):
        console.print(Text(line.replace("**", "")), style="bold", soft_wrap=True)
    # What all runs have in common stands on the page.
    for line in to_markdown(table, data.values_of(table)).splitlines():
        # A table's lines stay whole; its notes are broken between words.
        console.print(Text(line), soft_wrap=line.startswith("|"))
    console.print(Text(data.answer))
    console.print(Text(f"study: {path.parent}/"), style="bold")
    if (results / "site").is_dir():
        # Its library takes a while to import.
        from benchmark.study.site.write import write_site  # noqa: PLC0415

        console.print(Text(f"pages: {write_site(results)}"), style="bold")
    else:
        where = "" if results == Path("results") else f" --results {results}"
        console.print(Text(f"pages for a browser: python -m benchmark.report --site{where}"))
    lost = [one for one in failures if one.outcome == "failed"]
    if lost:
        raise JobsFailedError(
            f"{len(lost)} jobs failed, the first of them {lost[0].title}: {lost[0].why}; the same "
            "command tries them again"
        )
    return path.parent


class Recent:
    """Calls a function whenever it is called itself, but not more often than twice a minute."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function, self._last = function, -_SECONDS_BETWEEN

    def __call__(self) -> None:
        """Call it, if it is time."""
        if time.monotonic() - self._last >= _SECONDS_BETWEEN:
            self._function()
            self._last = time.monotonic()


@contextmanager
def _crew(
    given: argparse.Namespace, places: Places, device: torch.device, jobs: int
) -> Iterator[Crew]:
    """Who works: processes here, or the nodes of a cluster."""
    if given.executor == "local":
        with local_crew(Machine(places, device, jobs, given.checkpoint_seconds)) as crew:
            yield crew
        return
    settings = ClusterSettings(
        **{name: value for name in _CLUSTER if (value := getattr(given, name)) is not None}
    )
    # On whatever node, whose own GPUs do not depend on this machine's.
    device = torch.device("cuda" if settings.gpus else "cpu")
    with cluster_crew(Machine(places, device, 1, given.checkpoint_seconds), settings) as crew:
        yield crew


def _check_machine(given: argparse.Namespace) -> None:
    """Refuse what cannot work, and what would have no effect."""
    if given.jobs is not None and given.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {given.jobs}")
    if given.executor == "local":
        idle = [name for name in _CLUSTER if getattr(given, name) is not None]
        if idle:
            raise UserError(f"{_CLUSTER[idle[0]]} has an effect with --executor ray alone")
    elif given.jobs is not None:
        raise UserError(
            "--jobs has no effect with --executor ray: the cluster runs as many as have room; see "
            "--cpus-per-job and --gpus-per-job"
        )
    elif given.device != "auto":
        raise UserError(
            "--device has no effect with --executor ray: jobs run on GPUs if --gpus-per-job is "
            "above 0, else on processors"
        )


def _found_line(steps: Sequence[Step], results: Path) -> str:
    """How much of a study was there before, so that nobody takes it for work done now."""
    num_done, num = sum(step.state == DONE for step in steps), len(steps)
    if num_done == 0:
        return f"{num} jobs to do"
    what = "all" if num_done == num else f"{num_done} of"
    return (
        f"{what} {num} jobs were done before and lie in {results}/; --results DIR does them again "
        "elsewhere"
    )


def plan_lines(steps: Sequence[Step], jobs: int) -> list[str]:
    """What is to be run, for a terminal: a line a step, then how many are done and the time left.

    Args:
        steps: from ``plan``.
        jobs: pieces of work at a time.
    """
    lines = []
    for step in steps:
        state = _time(step.seconds) if step.state == TO_DO else step.state
        lines.append(f"{step.what} {step.job.row}, {step.job.dataset}, {step.job.seeds}: {state}")
    left = [step for step in steps if step.state == TO_DO]
    num_done, num_lost = (sum(step.state == state for step in steps) for state in (DONE, DIVERGED))
    lost = f", {num_lost} diverged, not to be tried again" if num_lost else ""
    lines.append(f"{num_done} of {len(steps)} done{lost}")
    known = [step.seconds for step in left if step.seconds is not None]
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
    return TO_DO if seconds is None else duration(seconds)


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
    cluster = parser.add_argument_group("cluster")
    cluster.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="where jobs run: on this machine, or on a Ray cluster (local)",
    )
    cluster.add_argument(
        "--address", metavar="HOST:PORT", help="the cluster's; auto: that of this machine (auto)"
    )
    cluster.add_argument(
        "--cpus-per-job", dest="cpus", type=float, metavar="N", help="cores of a job (1)"
    )
    cluster.add_argument(
        "--gpus-per-job",
        dest="gpus",
        type=float,
        metavar="N",
        help="GPUs of a job; 0.25 lets four jobs share one (0)",
    )
    cluster.add_argument(
        "--retries", type=int, metavar="N", help="beginnings anew of a job lost with its node (3)"
    )
    return parser
