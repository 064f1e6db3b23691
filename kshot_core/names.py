"""Names to choose from: one that is not there is answered with the nearest one."""

from __future__ import annotations

import difflib
from collections.abc import Collection

_ALIKE = 0.6


def nearest(name: str, names: Collection[str]) -> str | None:
    """The one of ``names`` that ``name`` was most likely meant to be; None where nothing is near.

    Case, spaces, hyphens and underscores make no difference. The initials of a name stand for it
    where they are those of one alone: ``lr`` for ``learning-rate``.
    """
    plain = {_plain(known): known for known in names}
    written = _plain(name)
    if written in plain:
        return plain[written]
    by_initials = [known for known in names if len(written) > 1 and _initials(known) == written]
    if len(by_initials) == 1:
        return by_initials[0]
    close = difflib.get_close_matches(written, plain, n=1, cutoff=_ALIKE)
    return plain[close[0]] if close else None


def did_you_mean(name: str, names: Collection[str], prefix: str = "") -> str:
    """``; did you mean <prefix><nearest>?``, or nothing where nothing is near."""
    found = nearest(name, names)
    return "" if found is None else f"; did you mean {prefix}{found}?"


def check_one_of(what: str, value: object, allowed: Collection[str]) -> None:
    """Raise ``ValueError`` when ``value`` is none of the names allowed, with the nearest one.

    Args:
        what: what it is the name of, for the message.
        value: what came.
        allowed: the names there are; an empty one is not listed.
    """
    # A file may hold anything where a name should be, a list too, which is no key.
    if not isinstance(value, str) or value not in allowed:
        names = [name for name in allowed if name]
        meant = did_you_mean(value, names) if isinstance(value, str) else ""
        raise ValueError(f"{what} is one of {', '.join(names)}, got {value!r:.200}{meant}")


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _initials(name: str) -> str:
    return "".join(part[0] for part in name.casefold().replace("_", "-").split("-") if part)
