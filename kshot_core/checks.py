"""Settings held to their ranges, each refused with ``ValueError`` by its name. NaN is in none."""

from __future__ import annotations

import math
from collections.abc import Mapping


def check_at_least(settings: object, least: Mapping[str, float]) -> None:
    """Refuse a setting below its least value."""
    for name, smallest in least.items():
        if not getattr(settings, name) >= smallest:
            raise ValueError(f"{name} must be at least {smallest}, got {getattr(settings, name)}")


def check_above_zero(settings: object, *names: str) -> None:
    """Refuse settings that are not above 0 and finite."""
    for name in names:
        if not 0 < getattr(settings, name) < math.inf:
            raise ValueError(f"{name} must be above 0, got {getattr(settings, name)}")


def check_not_negative(settings: object, *names: str) -> None:
    """Refuse settings that are not 0 or more and finite."""
    for name in names:
        if not 0 <= getattr(settings, name) < math.inf:
            raise ValueError(f"{name} must be 0 or more, got {getattr(settings, name)}")


def check_below_one(settings: object, *names: str) -> None:
    """Refuse settings that are not 0 or more and below 1."""
    for name in names:
        if not 0 <= getattr(settings, name) < 1:
            raise ValueError(f"{name} must be 0 or more and below 1, got {getattr(settings, name)}")
