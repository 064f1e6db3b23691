"""Settings held to their ranges."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from kshot_core.checks import (
    check_above_zero,
    check_at_least,
    check_below_one,
    check_not_negative,
)


def test_settings_in_their_ranges_pass() -> None:
    settings = SimpleNamespace(num=2, rate=1e-9, decay=0.0, share=0.0)
    check_at_least(settings, {"num": 2})
    check_above_zero(settings, "rate")
    check_not_negative(settings, "rate", "decay")
    check_below_one(settings, "share", "decay", "rate")


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_what_is_in_no_range_is_refused_by_name(value: float) -> None:
    settings = SimpleNamespace(fine=0.5, rate=value)
    with pytest.raises(ValueError, match=f"rate must be at least 0, got {value}"):
        check_at_least(settings, {"fine": 0, "rate": 0})
    for check in (check_above_zero, check_not_negative, check_below_one):
        with pytest.raises(ValueError, match=f"^rate must be .*, got {value}"):
            check(settings, "fine", "rate")


def test_ends_of_the_ranges() -> None:
    settings = SimpleNamespace(zero=0.0, one=1.0, endless=math.inf)
    with pytest.raises(ValueError, match="zero must be above 0"):
        check_above_zero(settings, "one", "zero")
    with pytest.raises(ValueError, match="endless must be above 0"):
        check_above_zero(settings, "endless")
    with pytest.raises(ValueError, match="endless must be 0 or more"):
        check_not_negative(settings, "zero", "endless")
    with pytest.raises(ValueError, match="one must be 0 or more and below 1"):
        check_below_one(settings, "zero", "one")
