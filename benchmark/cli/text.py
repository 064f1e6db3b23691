"""Text files as editors and shells write them, and what options hold, read alike."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def decode(data: bytes) -> str:
    """UTF-8, or what a byte order mark says: PowerShell and spreadsheets write UTF-16.

    Raises:
        UnicodeDecodeError: it is no such text.
    """
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    return data.decode(encoding)


def read_path(text: str) -> Path:
    """A path, ``~`` at its start being the user's folder.

    Raises:
        ValueError: it is empty, which would pass for the folder one is in, or ``~`` of no user.
    """
    if not text.strip():
        raise ValueError("a path is wanted, got nothing")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{text!r}: {error}") from None


def split_list(text: str) -> list[str]:
    """The parts of a list, separated by commas, semicolons or white space."""
    return [part for part in re.split(r"[,;\s]+", text) if part]


def is_file(text: str) -> bool:
    """Whether a text that may be an architecture's names a file: by its ending, or by being there.

    Long texts, and those with characters that no name has, are no names.
    """
    if text.lower().endswith(".json"):
        return True
    try:
        return read_path(text).exists()
    except (OSError, ValueError):
        return False


def duration(seconds: float) -> str:
    """Seconds for people: ``50 s``, ``12 min``, ``3.5 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
