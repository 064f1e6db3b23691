"""Files that are either whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from benchmark.cli.errors import UserError

PART = ".part-"
"""What the name of a file starts with while it is being written."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call ``write(temporary)`` and rename the result to ``path``.

    The temporary file lies in the same folder and keeps ``path``'s suffixes, since writers such
    as pandas and matplotlib choose the format by them. Nothing stays behind on failure.

    Raises:
        UserError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=PART, suffix=path.name)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; "
            "choose a folder you may write to and that has space"
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes files private; results are for sharing.
        temporary.chmod(0o644)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    except SafetensorError as error:
        # Its writer's word for a full disk, among others.
        raise UserError(f"cannot write {path}: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can do that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems have no such thing, and some network ones do it by themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; names of files in it may hold bytes that are none."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")

    write_atomically(path, write)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: sorted keys, two spaces, NaN refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def inside(folder: Path, name: str) -> Path:
    """The path of what a file names below a folder.

    Raises:
        ValueError: it lies outside, by its name or by a link.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} leads out of {folder}")
    return path


def check_writable(folder: Path, what: str = "results", option: str = "--results") -> None:
    """Make a folder, and a file in it that does not stay.

    Args:
        folder: where something will be written.
        what: that is.
        option: says another folder.

    Raises:
        UserError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write {what} to {folder}: {error.strerror}; choose another with {option}"
        ) from None
