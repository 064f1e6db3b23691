"""Numbers as people and spreadsheets write them, read alike in options and in tables."""

from __future__ import annotations

import re

# 1,000 is a thousand to some readers and one to others.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_UNDERSCORES = re.compile(r"[+-]?\d{1,3}(_\d{3})+(\.\d+)?")


def read_number(text: str, *, comma_is_decimal: bool = False) -> float:
    """The number that a text holds; white space around it, and a decimal comma, are allowed.

    Args:
        text: such as ``0.025``, ``0,025``, ``4e8``, ``10_000``; ``nan`` and ``inf`` are read too.
        comma_is_decimal: whether ``1,234`` is 1.234 beyond doubt; else it is refused, since it may
            stand for 1234.

    Raises:
        ValueError: it is no number, or an ambiguous one; the message says which.
    """
    written = text.strip().lstrip("\ufeff").replace("\N{MINUS SIGN}", "-")
    if not comma_is_decimal and _GROUPED.fullmatch(written):
        plain = written.replace(",", "")
        raise ValueError(f"{text!r} may be {plain} or a decimal comma: write {plain}, or a point")
    if "_" in written and not _UNDERSCORES.fullmatch(written):
        raise ValueError(f"{text!r} is no number")
    if written.count(",") == 1 and "." not in written:
        written = written.replace(",", ".")
    try:
        return float(written)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


def read_whole(text: str) -> int:
    """The whole number that a text holds, such as ``8``, ``10_000`` or ``5e6``.

    Raises:
        ValueError: it is none; the message says so.
    """
    try:
        return int(text.strip()) if "_" not in text else int(read_number(text))
    except ValueError:
        value = read_number(text)
    if not value.is_integer():
        raise ValueError(f"a whole number is wanted, got {text!r}")
    return int(value)
