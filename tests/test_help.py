"""``--help`` of every program fits on two screens; ``--help-all`` says what every option does."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import io
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmark.config.choice import Choice
from benchmark.config.job import Job
from benchmark.config.options import help_of as said_of
from benchmark.config.retrain import RetrainConfig
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig
from benchmark.config.values import flag
from kshot_core.settings import settings_of

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = (
    "pipeline",
    "report",
    "retrain",
    "run",
    "search",
    "standalone",
    "status",
    "study",
    "train",
    "truth",
)
PROGRAMS += ("truth import", "truth show")
WIDTH = 80
TWO_SCREENS = 2 * 48


@cache
def help_of(program: str, option: str = "--help-all") -> str:
    """The help text as a terminal of 80 columns shows it."""
    module, *command = program.split()
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
        patch.setenv("COLUMNS", str(WIDTH))
        patch.setenv("NO_COLOR", "1")
        with pytest.raises(SystemExit) as stopped:
            importlib.import_module(f"benchmark.{module}.command").main([*command, option])
    assert stopped.value.code in (0, None)
    return shown.getvalue()


def options(text: str) -> dict[str, str]:
    """What is said of each option and argument; their lines begin two or four spaces in."""
    found: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        entry = re.match(r"( {2}|    )(-{0,2}[A-Za-z][^ ]*(?: ?[^ ]+)*?)(?: {2,}(.*))?$", line)
        if line.startswith(" " * 20) and last:
            found[last] += " " + line.strip()
        elif entry and (entry[2].startswith("-") or entry[3] is not None):
            last = entry[2]
            found[last] = entry[3] or ""
        else:
            last = ""
    return {name: said.strip() for name, said in found.items()}


def parser_of(program: str) -> argparse.ArgumentParser:
    """The parser itself, or that of a program's command."""
    module, *command = program.split()
    parser: argparse.ArgumentParser = importlib.import_module(
        f"benchmark.{module}.command"
    )._parser()
    for name in command:
        (commands,) = (
            one for one in parser._actions if isinstance(one, argparse._SubParsersAction)
        )
        parser = commands.choices[name]
    return parser


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("option", ["--help", "--help-all"])
def test_help_explains_what_it_shows(program: str, option: str) -> None:
    text = help_of(program, option)
    assert text.startswith(f"usage: python -m benchmark.{program} [options]")
    for name, said in options(text.partition("\n\n")[2]).items():
        assert said, f"{name} is not explained"
        assert "None" not in said, f"{name} shows Python's None: {said}"
    too_wide = [line for line in text.splitlines() if len(line) > WIDTH + 20]
    assert too_wide == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_fits_on_two_screens(program: str) -> None:
    assert len(help_of(program, "--help").splitlines()) <= TWO_SCREENS


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_all_names_every_option(program: str) -> None:
    """What the parser takes, ``--help-all`` shows; ``--help`` shows a part and counts the rest."""
    taken = [one.option_strings for one in parser_of(program)._actions if one.option_strings]
    text, short = (options(help_of(program, option)) for option in ("--help-all", "--help"))
    shown, few = ({name for one in said for name in names_in(one)} for said in (text, short))
    for names in taken:
        assert set(names) <= shown | {"--help-all"}, names
    assert few <= shown | {"--help-all"}
    left_out = [names for names in taken if not few & set(names) and names != ["--help-all"]]
    counted = re.search(r"^(\d+) more, seldom wanted", help_of(program, "--help"), re.MULTILINE)
    assert len(left_out) == (int(counted[1]) if counted else 0)
    assert ("--help-all" in few) == bool(left_out)


def test_a_setting_says_whether_it_is_wanted_often() -> None:
    shown = {name for one in options(help_of("run", "--help")) for name in names_in(one)}
    for name, ones in RunConfig.known().items():
        if name != "seed":  # counted up from --first-seed
            assert (flag(name) in shown) == any(about.often for _, about in ones), name


def names_in(entry: str) -> list[str]:
    """``-h`` and ``--help`` of "-h, --help"."""
    return re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", entry)


def test_needed_options_stand_in_the_usage() -> None:
    usages = {name: help_of(name, "--help").splitlines()[0] for name in PROGRAMS}
    assert usages["standalone"].endswith("[options] --to FILE")
    assert usages["study"].endswith("[options] [NAME]")
    assert usages["truth import"].endswith("truth import [options] SOURCE")


def test_presets_are_told_in_whole_sentences() -> None:
    assert "(section 5.1, appendices A and B)" in " ".join(help_of("run", "--help").split())


def test_help_of_a_process_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.run", "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(WIDTH), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == help_of("run", "--help")


def test_run_explains_every_setting() -> None:
    text = help_of("run")
    known = RunConfig.known()
    names = known.keys()
    # The seed of a run is counted up from --first-seed.
    for name in names - {"seed"}:
        assert re.search(rf"^  {flag(name)}\b", text, re.MULTILINE), (
            f"{flag(name)} is not in --help-all"
        )
    # Lines are broken at spaces and at hyphens.
    joined = "".join(text.split())
    for name in names - {"seed"}:
        assert "".join(said_of(known, name).split()) in joined, (
            f"{flag(name)}'s text is not in --help-all"
        )


@pytest.mark.parametrize("job", [SearchConfig, RetrainConfig])
def test_no_two_parts_have_a_setting_of_one_name(job: Any) -> None:
    """Settings are named alone; only the plug-ins of one registry may share a name."""
    for name, ones in job.known().items():
        parts = {owner.partition(" ")[0] for owner, _ in ones}
        assert len(parts) == 1, name
    every = [name for part in parts_of(job) for name in part]
    assert len(set(every)) == len(every), {name for name in every if every.count(name) > 1}


def parts_of(job: Any) -> list[set[str]]:
    """The names of the settings of each part of a job."""
    own, parts = set(settings_of(job)), []
    for field in dataclasses.fields(job):
        default = field.default
        if isinstance(default, Choice):
            parts.append(set(default.known()))
        elif isinstance(default, Job):
            parts += parts_of(type(default))
        elif field.name not in own:
            parts.append(set(settings_of(default)))
    return [own, *parts]


def test_settings_are_explained_in_plain_words() -> None:
    for name, ones in {**SearchConfig.known(), **RetrainConfig.known()}.items():
        assert len({about.kind for _, about in ones}) == 1, f"{flag(name)} has one type"
    for name, about in (
        (name, about)
        for job in (SearchConfig, RetrainConfig)
        for name, ones in job.known().items()
        for _, about in ones
    ):
        said = about.help
        assert 5 <= len(said) <= 100, name
        assert not said.endswith("."), name
        # argparse reads % as the start of a placeholder.
        assert "%" not in said, name


def test_every_program_is_tested() -> None:
    programs = {path.parent.name for path in (ROOT / "benchmark").glob("*/__main__.py")}
    assert programs == {program.partition(" ")[0] for program in PROGRAMS}
