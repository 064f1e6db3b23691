"""Command line options made of the settings of a job's parts, one each."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmark.cli.parser import Seldom
from benchmark.config.choice import Known
from benchmark.config.presets import PRESETS
from benchmark.config.run import RunConfig
from benchmark.config.values import flag

RUNS_APART = ("K", "seed", "preset", "dataset", "sharing")
"""Settings of runs that a program of several has options of its own for."""


def help_of(known: Known, name: str) -> str:
    """What is said of a setting; before it the choices that alone have it."""
    owners: dict[str, list[str]] = {}
    for owner, setting in known[name]:
        owners.setdefault(setting.help, []).append(owner.partition(" ")[2])
    return "; ".join(
        f"{', '.join(names)}: {said}" if any(names) else said for said, names in owners.items()
    )


def add_settings(
    group: argparse._ActionsContainer,
    known: Known,
    apart: Collection[str] = (),
    defaults: bool = False,
) -> None:
    """An option for each setting that there may be.

    Args:
        group: where they go.
        known: the settings, of a kind of job for instance.
        apart: those that a program has an option of its own for, or none.
        defaults: whether their defaults are said, of a program without presets.
    """
    for name, ones in known.items():
        if name in apart:
            continue
        said = help_of(known, name)
        if defaults:
            said = f"{said} ({ones[0][1].default:g})"
        if not any(about.often for _, about in ones):
            said = Seldom(said)
        options: dict[str, Any] = {"help": said, "default": None, "dest": name}
        kind = ones[0][1].kind
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= {"type": kind, "metavar": kind.__name__}
        group.add_argument(flag(name), **options)


def given_settings(
    given: argparse.Namespace, known: Known, apart: Collection[str] = ()
) -> dict[str, Any]:
    """What the command line says of settings; those left out are left out."""
    values = {name: getattr(given, name) for name in known if name not in apart}
    return {name: value for name, value in values.items() if value is not None}


def presets_text(presets: Mapping[str, Any] = PRESETS) -> str:
    """The presets, each with the first sentence of its text, for the end of ``--help``."""
    # A full stop inside a number or an abbreviation ends no sentence.
    texts = {name: " ".join((one.__doc__ or "").split()) for name, one in presets.items()}
    told = (f"{name}: {text.split('. ')[0].removesuffix('.')}" for name, text in texts.items())
    return f"Presets: {'; '.join(told)}"


def add_dataset(group: argparse._ArgumentGroup, preset: str) -> None:
    """Options for the data set and the preset to start from."""
    known = RunConfig.known()
    group.add_argument("--dataset", default="digits", help=help_of(known, "dataset") + " (digits)")
    group.add_argument("--preset", default=preset, help=f"{help_of(known, 'preset')} ({preset})")


def add_runs(group: argparse._ArgumentGroup) -> None:
    """Options for several runs: their copies and strategies."""
    known = RunConfig.known()
    group.add_argument(
        "--K", type=int, nargs="+", default=[1, 8], metavar="K", help=help_of(known, "K") + " (1 8)"
    )
    group.add_argument(
        "--sharing", nargs="+", default=["simplex"], help=help_of(known, "sharing") + " (simplex)"
    )


def add_seeds(group: argparse._ArgumentGroup, default: int | None, help: str) -> None:  # noqa: A002
    """Options for the number of seeds and the first of them."""
    group.add_argument("--seeds", type=int, default=default, metavar="N", help=help)
    group.add_argument(
        "--first-seed",
        type=int,
        default=0,
        metavar="S",
        help=Seldom("number of the first of them (0)"),
    )


def add_results(group: argparse._ArgumentGroup) -> None:
    """Options for where images are and where to write."""
    group.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="[DATASET=]DIR",
        help="folder of the examples; several with the names of their data sets",
    )
    group.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="output (results)"
    )
    group.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="write what each epoch reached there too, for TensorBoard (extra tensorboard)",
    )


def add_places(parser: argparse.ArgumentParser) -> None:
    """Options for where to read and write."""
    places = parser.add_argument_group("places")
    places.add_argument(
        "--split", type=Path, metavar="FILE", help=Seldom("published split of the images")
    )
    places.add_argument(
        "--truth",
        type=Path,
        action="append",
        metavar="[SPACE=]FILE",
        help="truth table; several with the names of their search spaces",
    )
    add_results(places)


def add_machine(group: argparse._ArgumentGroup, jobs: str = "") -> None:
    """Options for what to compute with.

    Args:
        group: where they go.
        jobs: what is said of ``--jobs``; nothing where a program has no such option.
    """
    if jobs:
        group.add_argument("--jobs", type=int, metavar="N", help=jobs)
    group.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, auto (auto)")
    group.add_argument(
        "--checkpoint-seconds",
        type=_seconds,
        default=30.0,
        metavar="S",
        help=Seldom("seconds between two checkpoints of a training (30)"),
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"seconds, 0 or more, are wanted, got {text!r}")
    return value
