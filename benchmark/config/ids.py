"""Ids of configs that last: what differs from the defaults decides; a new setting changes none."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from benchmark.cli.errors import UserError

VERSION = 2
"""Raised when a default changes: equal settings then mean another thing than they did."""


def defaults_of(*kinds: type[Any]) -> dict[str, Any]:
    """The defaults of dataclasses' fields, of those that have one."""
    fields = [field for kind in kinds for field in dataclasses.fields(kind)]
    return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


def settings_id(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that differ whenever a setting that is not at its default does.

    Args:
        settings: JSON values.
        defaults: of the settings that have one.
    """
    differing = {
        name: _plain(value)
        for name, value in settings.items()
        if name not in defaults or value != defaults[name]
    }
    text = json.dumps({"version": VERSION, "settings": differing}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def completed(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as an older version wrote them, those that came since at their defaults."""
    return {**defaults, **settings}


def read_settings(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A dataclass's arguments from JSON values of this or an older version.

    Raises:
        UserError: a setting that it has not, one missing that has no default, or one of another
            type than its default.
    """
    known = {field.name for field in dataclasses.fields(kind)}
    settings = completed(values, defaults_of(kind))
    unknown, missing = sorted(settings.keys() - known), sorted(known - settings.keys())
    if unknown or missing:
        raise UserError(
            f"this config is of another version: unknown keys {unknown}, missing {missing}; "
            "move the record away or run the version that made it"
        )
    for name, default in defaults_of(kind).items():
        if not _is_like(settings[name], default):
            raise UserError(
                f"this config has {name} {settings[name]!r:.60}, wanted {type(default).__name__}; "
                "move the record away or run again"
            )
    return settings


def _is_like(value: Any, default: Any) -> bool:
    """Whether a JSON value is of a default's type; a whole number is a float too, true is none."""
    if type(default) is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is type(default)


def _plain(value: Any) -> Any:
    """1e6 and 1000000 are one number, however they are written."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
