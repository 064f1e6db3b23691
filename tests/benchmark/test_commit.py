"""The commit that a record names."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.cli import version


@pytest.fixture
def commit_of(tmp_path: Path) -> tuple[Path, Callable[[], str]]:
    """A repository with a copy of the code that names commits, and that code."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    copy = tmp_path / "benchmark" / "cli" / "version.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(version.__file__, copy)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "page.md").write_text("a table\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    spec = importlib.util.spec_from_file_location("copied_version", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tmp_path, module.commit


def test_results_that_a_study_rewrites_are_no_other_code(
    commit_of: tuple[Path, Callable[[], str]],
) -> None:
    folder, commit = commit_of
    name = commit()
    assert len(name) == 12
    (folder / "results" / "page.md").write_text("another table\n")
    assert commit() == name


def test_changed_code_is_dirty(commit_of: tuple[Path, Callable[[], str]]) -> None:
    folder, commit = commit_of
    name = commit()
    with (folder / "benchmark" / "cli" / "version.py").open("a") as file:
        file.write("# changed\n")
    assert commit() == f"{name}-dirty"
