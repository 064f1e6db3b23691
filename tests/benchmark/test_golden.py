"""Regression on results: bits on known platforms, losses and ranking scores everywhere."""

from __future__ import annotations

import json

import pytest
from golden import (
    PATH,
    RANKINGS,
    TINY_RUNS,
    Fingerprint,
    fingerprint,
    mismatch,
    platform,
    ranking_score,
)
from scipy.stats import t

GOLDEN = json.loads(PATH.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TINY_RUNS)
def test_predictions_are_the_stored_ones(name: str) -> None:
    """To the bit on a platform that has stored bits, and everywhere to far less than a seed."""
    assert mismatch(fingerprint(TINY_RUNS[name]), GOLDEN["tiny"][name], platform()) == ""


@pytest.mark.parametrize("name", TINY_RUNS)
def test_another_result_is_noticed_on_every_platform(name: str) -> None:
    stored = GOLDEN["tiny"][name]
    for where, sha256 in stored["sha256"].items():
        same = Fingerprint(sha256, stored["losses"])
        assert mismatch(same, stored, where) == ""
        assert "bits" in mismatch(Fingerprint("other", stored["losses"]), stored, where)
        assert mismatch(Fingerprint("other", stored["losses"]), stored, "another") == ""
        moved = [loss + stored["seed_distance"] / 5 for loss in stored["losses"]]
        assert "losses" in mismatch(Fingerprint(sha256, moved), stored, where)
        assert "losses" in mismatch(Fingerprint("other", moved), stored, "another")


def _lowest(name: str) -> float:
    """Where 99 of 100 runs of another seed lie above, as far as so few seeds can tell.

    On another platform the same seed rounds its way to another result, as another seed would. The
    spread is that of all rankings together: three seeds alone say little of it.
    """
    stored = GOLDEN["ranking"]
    nums = {key: len(one["kendall_tau_b_by_seed"]) for key, one in stored.items()}
    freedom = sum(nums.values()) - len(nums)
    variance = sum((nums[key] - 1) * one["sd"] ** 2 for key, one in stored.items()) / freedom
    error = (variance * (1 + 1 / nums[name])) ** 0.5
    return float(stored[name]["mean"] - t.ppf(0.99, freedom) * error)


@pytest.mark.slow
@pytest.mark.parametrize("name", RANKINGS)
def test_ranking_score_is_within_its_seed_noise(name: str) -> None:
    assert ranking_score(RANKINGS[name]) >= _lowest(name)


def test_stored_ranking_scores_are_worth_guarding() -> None:
    """What the test above lets pass still ranks: chance is 0."""
    assert all(_lowest(name) > 0.1 for name in RANKINGS)
