"""Regression on results: bits on a fixed platform, ranking scores everywhere."""

from __future__ import annotations

import json

import pytest
from golden import PATH, RANKINGS, TINY_RUNS, fingerprint, platform, ranking_score

GOLDEN = json.loads(PATH.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", TINY_RUNS)
def test_predictions_are_bit_identical_on_the_same_platform(name: str) -> None:
    if platform() != GOLDEN["platform"]:
        pytest.skip(f"golden bits are of {GOLDEN['platform']}, this is {platform()}")
    assert fingerprint(TINY_RUNS[name]) == GOLDEN["tiny"][name]


@pytest.mark.slow
@pytest.mark.parametrize("name", RANKINGS)
def test_ranking_score_is_within_its_seed_noise(name: str) -> None:
    """One run's tau lies less than two standard deviations of seeds below the stored mean."""
    stored = GOLDEN["ranking"][name]
    assert ranking_score(RANKINGS[name]) >= stored["mean"] - 2 * stored["sd"]


def test_stored_ranking_scores_are_worth_guarding() -> None:
    """What the test above lets pass still ranks: chance is 0."""
    for stored in GOLDEN["ranking"].values():
        assert stored["mean"] - 2 * stored["sd"] > 0.05
