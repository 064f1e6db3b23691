"""Which code this is: the version that is installed, and the commit."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path


def code_version() -> str:
    """Version and commit, e.g. ``0.1.0, commit 3956fc8a1b2c``."""
    try:
        version = metadata.version("kshot-nas")
    except metadata.PackageNotFoundError:
        version = "not installed"
    return f"{version}, commit {commit()}"


def commit() -> str:
    """The commit of this code, ``-dirty`` where code differs from it; or ``unknown``.

    What a study writes under ``results/`` while it runs is no other code.
    """
    try:
        name = _git("rev-parse", "--short=12", "HEAD").strip()
        changed = _git(
            "status", "--porcelain", "--untracked-files=no", ":/", ":(exclude,top)results"
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}-dirty" if changed else name


def _git(*arguments: str) -> str:
    """What git answers in the folder of this code."""
    folder = Path(__file__).resolve().parent
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
