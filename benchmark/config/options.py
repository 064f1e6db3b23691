"""Command line options made of a config's fields, one each."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmark.config.run import flag


def add_settings(
    group: argparse._ArgumentGroup,
    config: type[Any],
    texts: Mapping[str, str],
    apart: Collection[str] = (),
) -> None:
    """An option for each field of a dataclass whose defaults have the fields' types.

    Args:
        group: where they go.
        config: the dataclass.
        texts: help by field.
        apart: fields that a program has an option of its own for.
    """
    for field in dataclasses.fields(config):
        if field.name in apart:
            continue
        options: dict[str, Any] = {"help": texts[field.name], "default": None}
        if isinstance(field.default, bool):
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= {"type": type(field.default), "metavar": type(field.default).__name__}
        group.add_argument(flag(field.name), dest=field.name, **options)


def given_settings(
    given: argparse.Namespace, config: type[Any], apart: Collection[str] = ()
) -> dict[str, Any]:
    """What the command line says of a config's fields; those left out are left out."""
    values = {
        field.name: getattr(given, field.name)
        for field in dataclasses.fields(config)
        if field.name not in apart
    }
    return {name: value for name, value in values.items() if value is not None}


def add_places(parser: argparse.ArgumentParser) -> None:
    """Options for where to read and write."""
    places = parser.add_argument_group("places")
    places.add_argument("--data", type=Path, metavar="DIR", help="folder of the images")
    places.add_argument("--split", type=Path, metavar="FILE", help="published split of the images")
    places.add_argument("--truth", type=Path, metavar="FILE", help="truth table")
    places.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="output (results)"
    )


def add_machine(group: argparse._ArgumentGroup) -> None:
    """Options for what to compute with."""
    group.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, auto (auto)")
    group.add_argument(
        "--checkpoint-seconds", type=_seconds, default=30.0, metavar="S", help="between two (30)"
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"seconds, 0 or more, are wanted, got {text!r}")
    return value
