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
    """The commit of this code, ``-dirty`` where files differ from it; or ``unknown``."""
    folder = Path(__file__).resolve().parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
