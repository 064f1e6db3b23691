"""The command that makes a record again: a preset, and whatever differs from it."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from benchmark.config.run import RunConfig, flag, run_config
from benchmark.config.search import SearchConfig, search_config

_SEARCH = {field.name for field in dataclasses.fields(SearchConfig)} - {"run"}
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
    name, dataset = wanted.preset, wanted.dataset
    first = {"K": wanted.K, "sharing": wanted.sharing, "seed": wanted.seed}
    found = _differing(
        wanted.to_dict(), first, lambda settings: run_config(name, dataset, settings).to_dict()
    )
    words = ["--dataset", dataset, "--preset", name, "--K", str(wanted.K)]
    if wanted.K > 1 and wanted.sharing != "simplex":
        words += ["--sharing", wanted.sharing]
    words += ["--first-seed", str(wanted.seed), "--seeds", "1"]
    return _command("run", words, {key: found[key] for key in found.keys() - first.keys()})


def search_command(values: Mapping[str, Any]) -> str:
    """The ``python -m benchmark.search`` of a search's config.

    Args:
        values: the config as its record has it.

    Raises:
        UserError: it is of another version.
    """
    own = {key: value for key, value in values.items() if key in _SEARCH}
    rest = {key: value for key, value in values.items() if key not in _SEARCH}
    run = RunConfig.from_dict(rest)
    wanted = SearchConfig(**{"run": run, **own}).to_dict()

    def made(settings: Settings) -> Settings:
        search = {key: value for key, value in settings.items() if key in _SEARCH}
        others = {key: value for key, value in settings.items() if key not in _SEARCH}
        return search_config(run.preset, run.dataset, others, search).to_dict()

    first = {"K": run.K, "seed": run.seed, "ensemble": own.get("ensemble", "")}
    if not first["ensemble"]:
        first["sharing"] = run.sharing
    found = {key: value for key, value in _differing(wanted, first, made).items() if value != ""}
    return _command("search", ["--dataset", run.dataset, "--preset", run.preset], found)


def _differing(wanted: Settings, first: Settings, made: Callable[[Settings], Settings]) -> Settings:
    """The settings that make ``wanted``: one given may change others, so until none is left."""
    given = dict(first)
    while True:
        have = made(given)
        left = {key: wanted[key] for key in wanted if have[key] != wanted[key]}
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
