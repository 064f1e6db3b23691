"""The command that makes a record again: a preset, and whatever differs from it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.config.job import Job
from benchmark.config.run import RunConfig, run_config
from benchmark.config.search import SearchConfig, search_config
from benchmark.config.values import flag

Settings = dict[str, Any]


def run_command(values: Mapping[str, Any]) -> str:
    """The ``python -m benchmark.run`` of a run's config.

    Args:
        values: the config as its record has it.

    Raises:
        UserError: it is of another version.
    """
    if "sha256" in values:
        # Scores of another method; the file's name is all that a record keeps.
        named = [flag("dataset"), values["dataset"], "--space", values["space"]]
        return shlex.join(["python", "-m", "benchmark.run", "--scores", values["name"], *named])
    wanted = RunConfig.from_dict(values)
    name, dataset, sharing = wanted.preset, wanted.dataset.name, wanted.sharing.name
    first: Settings = {"K": wanted.K, "sharing": sharing, "seed": wanted.seed}
    found = _differing(wanted, first, lambda settings: run_config(name, dataset, settings))
    words = ["--dataset", dataset, "--preset", name, "--K", str(wanted.K)]
    if wanted.K > 1 and sharing != "simplex":
        words += ["--sharing", sharing]
    words += ["--first-seed", str(wanted.seed), "--seeds", "1"]
    return _command("run", words, {key: found[key] for key in found.keys() - first.keys()})


def search_command(values: Mapping[str, Any]) -> str:
    """The ``python -m benchmark.search`` of a search's config.

    Args:
        values: the config as its record has it.

    Raises:
        UserError: it is of another version.
    """
    wanted = SearchConfig.from_dict(values)
    run = wanted.run
    preset, dataset = run.preset, run.dataset.name
    first: Settings = {"K": run.K, "seed": run.seed, "ensemble": wanted.ensemble}
    if not wanted.ensemble:
        first["sharing"] = run.sharing.name
    differing = _differing(wanted, first, lambda settings: search_config(preset, dataset, settings))
    found = {key: value for key, value in differing.items() if value != ""}
    return _command("search", ["--dataset", dataset, "--preset", preset], found)


def or_why_not(command_of: Callable[[Mapping[str, Any]], str], config: Mapping[str, Any]) -> str:
    """The command, or why there is none: a record may be of parts that are not here any more."""
    try:
        return command_of(config)
    except UserError as error:
        return f"# not by this version: {error}"


def _differing(config: Job, first: Settings, made: Callable[[Settings], Job]) -> Settings:
    """The settings that make a config: one given may change others, so until none is left.

    Those that have no effect beside the others are left out, since programs refuse them.
    """
    given, idle = dict(first), config.idle()
    wanted = {key: value for key, value in config.flat().items() if key not in idle}
    while True:
        have = made(given).flat()
        left = {key: wanted[key] for key in wanted if have.get(key) != wanted[key]}
        if not left or left.keys() <= given.keys():
            return given
        given |= left


def _command(program: str, words: list[str], settings: Settings) -> str:
    for name, value in sorted(settings.items()):
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(f"no_{name}"))
        else:
            words += [flag(name), str(value)]
    return shlex.join(["python", "-m", f"benchmark.{program}", *words])
