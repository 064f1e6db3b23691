"""Ids of configs that last: what differs from the defaults decides; a new setting changes none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

VERSION = 2
"""Raised when a default changes: equal settings then mean another thing than they did."""


def settings_id(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that differ whenever a setting that is not at its default does.

    Args:
        settings: JSON values by name.
        defaults: of the settings that have one.
    """
    differing = {
        name: _plain(value)
        for name, value in settings.items()
        if name not in defaults or value != defaults[name]
    }
    text = json.dumps({"version": VERSION, "settings": differing}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _plain(value: Any) -> Any:
    """1e6 and 1000000 are one number, however they are written."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
