"""The checksum beside a truth table that is plain text, where a changed digit is a number too."""

from __future__ import annotations

from pathlib import Path

from benchmark.cli.errors import UserError
from benchmark.records.files import sha256
from benchmark.truth.reading import PACKED


def sums_file(path: Path) -> Path:
    """Where a table's checksum lies."""
    return path.with_name(f"{path.name}.sha256")


def is_packed(path: Path) -> bool:
    """Whether a file is packed, by its name; such a file has a checksum inside."""
    return path.name.lower().endswith(tuple(one for one in PACKED if one))


def check_sums(path: Path) -> None:
    """Refuse a table that is not as its checksum says; one without a checksum passes.

    Raises:
        UserError: the two differ.
    """
    sums = sums_file(path.expanduser())
    try:
        words = sums.read_bytes()[:200].decode("utf-8", "replace").split()
        wrong = sha256(path.expanduser()) != (words[0].lower() if words else "")
    except OSError:
        # No checksum; a table that is not there is told of by whoever reads it.
        return
    if wrong:
        raise UserError(
            f"{path} is not as {sums.name} beside it says: copy or download it again; or delete "
            f"{sums.name} if you changed the table on purpose"
        )
