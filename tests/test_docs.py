"""The documentation: its commands and code run, its names and links exist, it builds in silence.

A block of commands is run as it stands, in an empty folder, unless its first line says that it
takes long. Then its options are read, which finds those that are not there.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
READ = [*DOCS, ROOT / "README.md"]
LONG = "# long"
BLOCK = re.compile(r"^ *```(sh|python)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:python -m benchmark\.|benchmark\.\w+ -|kshot \w)[^`]*)`")
# Whose options are read; a word in capitals stands for a name or a file.
PROGRAM = re.compile(r"(?:-m benchmark\.|\bkshot )(\w+)(.*)")


def blocks(kind: str) -> list[tuple[str, str]]:
    """Each block of a kind, with the name of its page."""
    found = []
    for path in READ:
        for match in BLOCK.finditer(path.read_text(encoding="utf-8")):
            if match[1] == kind:
                text = re.sub(r"\\\n\s*", " ", match[2])
                found.append((path.relative_to(ROOT).as_posix(), text))
    return found


def commands(text: str) -> list[tuple[str, list[str]]]:
    """The programs of this project that a text calls, and their arguments."""
    found = []
    for line in text.splitlines():
        match = PROGRAM.search(line.partition(" #")[0])
        if match:
            found.append((match[1], shlex.split(match[2])))
    return found


def every_command() -> list[tuple[str, str, list[str]]]:
    found = [
        (page, program, words) for page, text in blocks("sh") for program, words in commands(text)
    ]
    for path in READ:
        for text in INLINE.findall(path.read_text(encoding="utf-8")):
            full = f"-m {text}" if text.startswith("benchmark") else text
            found += [(path.name, program, words) for program, words in commands(full)]
    return found


def main_of(program: str) -> Callable[[list[str]], Any]:
    main: Callable[[list[str]], Any] = importlib.import_module(f"benchmark.{program}.command").main
    return main


class ReadError(Exception):
    """A command line has been read."""


def test_there_are_commands() -> None:
    assert len(every_command()) > 30
    assert sum(not text.lstrip().startswith(LONG) for _, text in blocks("sh")) > 3


@pytest.mark.parametrize(
    ("page", "program", "words"), every_command(), ids=lambda value: " ".join(value)
    if isinstance(value, list) else value,
)  # fmt: skip
def test_options_of_commands_exist(
    page: str, program: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = argparse.ArgumentParser.parse_args

    def parse_and_stop(self: argparse.ArgumentParser, *given: Any) -> None:
        read(self, *given)
        raise ReadError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", ["program", *words])
    # Strategies that a reader is about to write are not there yet.
    words = ["fixed" if word == "by-depth" else word for word in words]
    if "NAME" in words and program == "study":
        words[words.index("NAME")] = "table9"
    with pytest.raises(SystemExit if "--help" in words else ReadError) as stopped:
        main_of(program)(words)
    assert getattr(stopped.value, "code", 0) in (0, None)


CHEAP = [
    (page, text)
    for page, text in blocks("sh")
    if page.startswith("docs/")
    and not text.lstrip().startswith(LONG)
    and commands(text)
    and page not in ("docs/imagenet.md", "docs/performance.md", "docs/cluster.md")
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader who goes through the pages in order works."""
    return tmp_path_factory.mktemp("reader")


@pytest.mark.parametrize(("page", "text"), CHEAP, ids=lambda value: value.split("\n")[0][:60])
def test_commands_run(page: str, text: str, reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reader)
    for program, words in commands(text):
        if program == "report" and not (reader / "results").is_dir():
            main_of("run")(shlex.split(FIRST))
        if (program, words) == ("report", []):
            # Without a study there is nothing to rebuild, and the first page has made none.
            continue
        main_of(program)(words)


FIRST = next(
    shlex.join(words)
    for page, text in CHEAP
    for program, words in commands(text)
    if program == "run"
)


@pytest.mark.parametrize(
    ("page", "text"),
    # tests/test_public_names.py runs the long example, and looks at what it gives.
    [one for one in blocks("python") if "class Supernet" not in one[1]],
)
def test_code_runs(page: str, text: str) -> None:
    exec(compile(text, page, "exec"), {"__name__": "docs"})  # noqa: S102


def test_names_in_the_papers_page_exist() -> None:
    text = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:kshot_core|benchmark)/[\w/]+\.py)`: `(\w+)`", text)
    assert len(named) > 15
    for file, name in named:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"(def|class) {name}\b|^    {name}:", source, re.MULTILINE), (file, name)


def test_files_named_in_markdown_exist() -> None:
    named = 0
    for path in [*READ, ROOT / "CONTRIBUTING.md"]:
        for name in re.findall(
            r"`((?:kshot_core|benchmark|tests|docs|notebooks)/[\w./-]+)`",
            path.read_text(encoding="utf-8"),
        ):
            named += 1
            made_by_the_reader = name.startswith("kshot_core/") and name.endswith("by_depth.py")
            assert made_by_the_reader or (ROOT / name).exists(), f"{path.name}: {name}"
    assert named > 20


def test_links_in_markdown_lead_somewhere() -> None:
    pages = [*READ, ROOT / "CONTRIBUTING.md", ROOT / "LOG.md", ROOT / "results" / "README.md"]
    for path in pages:
        text = re.sub(
            r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            name, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            file = path.parent / name if name else path
            assert file.exists(), f"{path.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)", file.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {slug(heading) for heading in headings}, f"{path.name}: {target}"


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "furo", "myst_parser")),
    reason="the extra docs is not installed: sphinx, furo, myst-parser",
)
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", ".", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "docs" / "reading.html").is_file()
    assert "SimplexNet" in (tmp_path / "docs" / "api" / "core.html").read_text(encoding="utf-8")
