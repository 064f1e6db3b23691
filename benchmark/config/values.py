"""Settings as plain values: their options, their types, and records of them made flat."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from benchmark.cli.errors import UserError
from kshot_core.settings import Setting


def flag(name: str) -> str:
    """The command line option of a setting."""
    return "--" + name.replace("_", "-")


def flagged(error: ValueError, names: Collection[str]) -> str:
    """What a part says of a setting that it refuses, which stands first, as its option."""
    text = str(error)
    first = re.match(r"\w+", text)
    if first is None or first[0] not in names:
        return text
    return flag(first[0]) + text.removeprefix(first[0])


def checked_kind(setting: Setting, value: object) -> None:
    """Refuse a value of another type than the setting's; a whole number is a number too.

    Raises:
        UserError: it is of another type.
    """
    # Not isinstance: true is no number of channels.
    kinds = (int, float) if setting.kind is float else (setting.kind,)
    if type(value) not in kinds:
        raise UserError(
            f"{setting.name} must be of type {setting.kind.__name__}, got {str(value)[:60]!r}"
            if isinstance(value, str)
            else f"{setting.name} must be of type {setting.kind.__name__}, got {value!r}"
        )


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name alone, of a config as records hold it: nested by part.

    The name of a part that was chosen is the value of the part itself. A record of an older
    version is flat already.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(value, Mapping):
            found[key] = value
            continue
        for name, inner in value.items():
            found[key if name == "name" else name] = inner
    return found
