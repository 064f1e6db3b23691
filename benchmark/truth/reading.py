"""Tables of text as spreadsheets and programs write them: packed or not, and however separated."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.cli.text import decode

KINDS = (".csv", ".tsv", ".txt")
PACKED = ("", ".gz", ".xz", ".bz2")
# NAS-Bench-101's 423,624 architectures with 20 columns take 150 MB.
_MOST_BYTES = 1 << 29
_OPEN: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True)
class Rows:
    """A table's cells, stripped of white space.

    Args:
        header: the names of its columns.
        cells: as many in each row as there are columns.
        lines: the line of the file that each row ends on; the header's is mostly 1.
    """

    header: list[str]
    cells: list[list[str]]
    lines: list[int]


def few(items: Iterable[object], num: int = 5) -> str:
    """The first ``num`` items as text, and how many more there are."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - num} more" if len(texts) > num else ""
    return ", ".join(texts[:num]) + more


def is_table(path: Path) -> bool:
    """Whether a file's name is that of a table of text, in any case, packed or not."""
    return path.name.lower().endswith(tuple(kind + packed for kind in KINDS for packed in PACKED))


def read_rows(path: Path) -> Rows:
    """Read a table, unpacking it by its suffix: separated by commas, semicolons or tabs.

    The first line that is not blank is the header; which separator it is is seen there, or said by
    a line ``sep=;`` before it. Blank lines, and columns without name and content, are passed over.

    Raises:
        UserError: absent, truncated, not packed as the suffix says, not text, without rows, or a
            row of another length than the header.
    """
    text = _text(path)
    first, _, rest = text.lstrip("\r\n").partition("\n")
    said = first.strip().strip('"')
    separator = said[4:] or "\t" if said.lower().startswith("sep=") else None
    skipped = text[: len(text) - len(rest)].count("\n") if separator is not None else 0
    if separator is not None:
        text = rest
    lines: list[list[str]] = []
    numbers: list[int] = []
    try:
        reader = csv.reader(
            io.StringIO(text, newline=""), strict=True, delimiter=separator or _separator(text)
        )
        for line in reader:
            stripped = [cell.strip() for cell in line]
            if any(stripped):
                lines.append(stripped)
                numbers.append(reader.line_num + skipped)
    except (csv.Error, TypeError) as error:
        raise UserError(f"{path} is not CSV: {error}; export it as comma-separated text") from None
    if len(lines) < 2:
        raise UserError(f"{path} is empty: a header line and at least one arch wanted")
    _check_lengths(path, lines, numbers, text)
    kept = [at for at, cells in enumerate(zip(*lines, strict=True)) if any(cells)]
    lines = [[line[at] for at in kept] for line in lines]
    return Rows(lines[0], lines[1:], numbers[1:])


def _text(path: Path) -> str:
    name = path.name.lower()
    if not is_table(path):
        raise UserError(
            f"a table's file ends in {', '.join(KINDS)}, packed in {', '.join(PACKED[1:])} or not; "
            f"got {path}"
        )
    try:
        opened = next((one for end, one in _OPEN.items() if name.endswith(end)), Path.open)
        with opened(path.expanduser(), "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UserError(
                f"{path} has more than {_MOST_BYTES >> 20} MB of text, which no table of "
                "architectures needs; leave out columns"
            )
        return decode(data)
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not a text file: a table is UTF-8 text, or that packed as its suffix says"
        ) from None
    except (EOFError, ValueError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{path} cannot be unpacked ({error}): it is cut short or not a "
            f"{path.suffix.lower()} file; copy or download it again"
        ) from None
    except OSError as error:
        # bz2 says so of what is no bzip2 file.
        if error.errno is None:
            raise UserError(
                f"{path} cannot be unpacked ({error}): copy or download it again"
            ) from None
        raise UserError(
            f"cannot read the table {path}: {error.strerror or error}; give the path of a table"
        ) from None


def _separator(text: str) -> str:
    """The separator that the header has most of, outside quotes; a comma where it has none."""
    header = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    outside = "".join(header.split('"')[::2])
    counts = Counter(letter for letter in outside if letter in SEPARATORS)
    return counts.most_common(1)[0][0] if counts else ","


def _check_lengths(path: Path, lines: list[list[str]], numbers: list[int], text: str) -> None:
    header = lines[0]
    if len(header) == 1 and len(header[0].split()) > 1:
        raise UserError(
            f"{path} has one column, {header[0][:80]!r}: cells are separated by "
            f"{', '.join(SEPARATORS.values())} and not by spaces; export it so"
        )
    ragged = [n for n, line in zip(numbers, lines, strict=True) if len(line) != len(header)]
    if not ragged:
        return
    hint = "the file may be cut short: copy or download it again"
    if _separator(text) == "," and all(
        len(line) == 2 * len(header) - 1 for line in lines[1:] if len(line) != len(header)
    ):
        hint = "numbers seem to have decimal commas: separate cells by semicolons, or quote them"
    raise UserError(
        f"{path}: {len(ragged)} lines do not have the header's {len(header)} cells: line "
        f"{few(ragged)}; {hint}"
    )
