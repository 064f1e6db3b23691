"""Biases of rankings that were planted, and of rankings that have none."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from kshot_core.metrics.biases import (
    biases,
    by_choice,
    partial_spearman,
    rank_errors,
    rank_residuals,
    spread,
)
from kshot_core.metrics.bootstrap import Finding, finding, findings, mean_finding
from kshot_core.metrics.correlation import kendall_tau_b
from kshot_core.metrics.pairs import order_by_distance
from kshot_core.metrics.ties import UndefinedMetricError, Vector

NUM = 600
GENERATOR = np.random.default_rng(0)
TRUE = GENERATOR.normal(size=NUM)
PARAMETERS = TRUE + GENERATOR.normal(size=NUM)
"""A trait that good architectures have more of."""
OTHER = GENERATOR.normal(size=NUM)
NOISE = GENERATOR.normal(size=(3, NUM))
FAIR = TRUE + NOISE
BIASED = FAIR + 0.6 * PARAMETERS
AGAINST = FAIR - 0.6 * PARAMETERS


def test_rank_errors_by_hand() -> None:
    errors = rank_errors([10, 30, 20, 40], [1.0, 2.0, 3.0, 4.0])
    assert errors.tolist() == [0.0, 0.25, -0.25, 0.0]
    assert rank_errors([5, 5, 5, 5], [1, 2, 3, 4]).tolist() == [0.375, 0.125, -0.125, -0.375]
    assert rank_errors(FAIR, TRUE).sum(axis=1) == pytest.approx([0, 0, 0], abs=1e-12)


def test_a_planted_bias_is_found_and_noise_is_none() -> None:
    fair, biased, against = (
        biases(one, TRUE, [PARAMETERS, OTHER]) for one in (FAIR, BIASED, AGAINST)
    )
    assert abs(fair.preference[0]) < 0.06
    assert biased.preference[0] > 0.4
    assert against.preference[0] < -0.4
    # What was planted is of the parameters alone.
    assert abs(biased.preference[1]) < 0.06
    # Mere noise already ranks what goes with quality too low, which is no bias.
    assert fair.errors[0] < -0.15
    assert against.errors[0] < fair.errors[0] - 0.2 < biased.errors[0] - 0.4


def test_intervals_leave_out_zero_where_a_bias_was_planted_and_only_there() -> None:
    def statistic(scores: Vector, places: NDArray[np.int64]) -> Vector:
        return biases(scores, TRUE[places], np.stack([PARAMETERS, OTHER])[:, places]).preference

    fair, biased = (findings(statistic, one, 100) for one in (FAIR, BIASED))
    assert [one.is_sure for one in fair] == [False, False]
    assert [one.is_sure for one in biased] == [True, False]
    assert biased[0].low < biased[0].value < biased[0].high
    assert (biased[0].num, biased[0].num_archs) == (3, NUM)


def test_a_trait_held_fixed_leaves_what_it_does_not_say() -> None:
    # A ranking that counts parameters, and nothing else.
    counting = biases(PARAMETERS + 0.01 * NOISE[0], TRUE, PARAMETERS)
    plain = stats.spearmanr(PARAMETERS, TRUE).statistic
    assert plain > 0.6
    assert abs(counting.apart[0]) < 0.1
    assert biases(FAIR, TRUE, PARAMETERS).apart[0] > 0.4


def test_the_formula_is_the_correlation_of_what_lines_leave() -> None:
    ranks = [stats.rankdata(one) for one in (FAIR[0], TRUE, PARAMETERS)]

    def left(values: Vector, held: Vector) -> Vector:
        line = stats.linregress(held, values)
        return values - line.slope * held - line.intercept

    preference = stats.pearsonr(left(ranks[0], ranks[1]), left(ranks[2], ranks[1])).statistic
    apart = stats.pearsonr(left(ranks[0], ranks[2]), left(ranks[1], ranks[2])).statistic
    found = biases(FAIR[0], TRUE, PARAMETERS)
    assert found.preference[0] == pytest.approx(preference)
    assert found.apart[0] == pytest.approx(apart)
    assert partial_spearman(FAIR[0], PARAMETERS, TRUE) == pytest.approx(preference)
    each = [partial_spearman(one, PARAMETERS, TRUE) for one in FAIR]
    assert biases(FAIR, TRUE, PARAMETERS).preference[0] == pytest.approx(np.mean(each))


def test_several_traits_are_held_at_once() -> None:
    cause = PARAMETERS + OTHER
    one = partial_spearman(cause + 0.1 * NOISE[0], TRUE, PARAMETERS)
    both = partial_spearman(cause + 0.1 * NOISE[0], TRUE, [PARAMETERS, OTHER])
    assert abs(both) < abs(one) + 0.05
    assert partial_spearman(TRUE + cause, TRUE, [PARAMETERS, OTHER]) > 0.8


def test_only_ranks_count() -> None:
    stretched = biases(np.exp(BIASED), TRUE**3, PARAMETERS * 1e6 + 7)
    plain = biases(BIASED, TRUE, PARAMETERS)
    for name in ("errors", "preference", "apart"):
        np.testing.assert_allclose(getattr(stretched, name), getattr(plain, name), atol=1e-12)


def test_what_has_no_correlation_is_undefined() -> None:
    found = biases(FAIR, TRUE, [np.ones(NUM), TRUE, PARAMETERS])
    assert np.isnan(found.preference[:2]).all()
    assert np.isnan(found.apart[:2]).all()
    assert np.isfinite(found.preference[2])
    with pytest.raises(UndefinedMetricError):
        biases(np.ones(NUM), TRUE, PARAMETERS)
    with pytest.raises(UndefinedMetricError):
        partial_spearman(TRUE, PARAMETERS, np.ones(NUM))
    with pytest.raises(UndefinedMetricError):
        partial_spearman(FAIR[0], TRUE, TRUE)
    with pytest.raises(ValueError, match="NaN"):
        biases([1.0, math.nan], [1, 2], [1, 2])
    with pytest.raises(ValueError, match="traits"):
        biases(FAIR, TRUE, PARAMETERS[1:])


def test_errors_of_a_choice_are_found_at_its_site() -> None:
    archs = list(itertools.product(range(3), range(2), range(3))) * 20
    true = np.random.default_rng(1).normal(size=len(archs))
    chosen = np.array([arch[2] == 1 for arch in archs])
    predicted = true + np.random.default_rng(2).normal(size=(2, len(archs))) + 2.0 * chosen
    sites = by_choice(rank_residuals(predicted, true), archs, (3, 2, 3))
    assert [len(site.mean) for site in sites] == [3, 2, 3]
    assert [site.num.sum() for site in sites] == [len(archs)] * 3
    planted = sites[2]
    assert planted.mean[1] > 0.15
    assert planted.low[1] > 0
    assert planted.high[0] < 0
    assert planted.high[2] < 0
    for site in sites[:2]:
        assert (np.abs(site.mean) < 0.05).all()


def test_a_mean_by_choice_is_that_of_its_architectures() -> None:
    errors = np.array([[0.1, 0.3, -0.4, 0.0], [0.3, 0.5, -0.4, -0.4]])
    (site,) = by_choice(errors, [(0,), (0,), (2,), (-1,)], (3,))
    assert site.mean.tolist() == pytest.approx([0.3, math.nan, -0.4], nan_ok=True)
    assert site.num.tolist() == [2, 0, 1]
    expected = stats.t.interval(0.95, 1, loc=0.3, scale=stats.sem([0.2, 0.4]))
    assert (site.low[0], site.high[0]) == pytest.approx(expected)
    assert np.isnan(site.low[2])


def test_residuals_have_no_slope_and_no_mean() -> None:
    residuals = rank_residuals(BIASED, TRUE)
    assert residuals.mean(axis=1) == pytest.approx([0, 0, 0], abs=1e-12)
    for one in residuals:
        assert stats.linregress(stats.rankdata(TRUE), one).slope == pytest.approx(0, abs=1e-12)
    assert np.abs(rank_residuals(TRUE, TRUE)).max() == 0


def test_planted_spread_is_found() -> None:
    generator = np.random.default_rng(3)
    scores = 5 * generator.normal(size=400) + 2 * generator.normal(size=(6, 400))
    # What moves all alike is no spread of one.
    scores += 100 * np.arange(6)[:, None]
    found = spread(scores)
    assert found.within == pytest.approx(2, rel=0.05)
    assert found.between == pytest.approx(5, rel=0.1)
    assert found.share == pytest.approx(4 / 29, abs=0.03)
    assert found.num == 6
    # Noise in means of two is not taken for architectures that differ.
    two = generator.normal(size=4000) + generator.normal(size=(2, 4000))
    assert spread(two).between == pytest.approx(1, abs=0.06)
    still = spread(np.stack([TRUE, TRUE + 1]))
    assert still.within == pytest.approx(0, abs=1e-9)
    assert still.rank == 0
    assert spread(NOISE).share > 0.9
    assert spread(NOISE).rank == pytest.approx(math.sqrt(1 / 12), abs=0.02)
    with pytest.raises(ValueError, match="repetitions"):
        spread(TRUE[None])
    with pytest.raises(UndefinedMetricError):
        spread(np.ones((2, 4)))


def test_a_finding_covers_architectures_and_runs() -> None:
    def tau(scores: Vector, places: NDArray[np.int64]) -> float:
        return float(np.mean([kendall_tau_b(one, TRUE[places]) for one in scores]))

    found = finding(tau, FAIR, 200)
    each = [kendall_tau_b(one, TRUE) for one in FAIR]
    assert found.value == pytest.approx(np.mean(each))
    assert found.low < found.value < found.high
    # Runs that disagree widen it.
    apart = finding(tau, np.stack([TRUE, -TRUE, NOISE[0]]), 200)
    assert apart.high - apart.low > 5 * (found.high - found.low)
    # Fewer architectures widen it.
    few = finding(tau, FAIR[:, :60], 200)
    assert few.high - few.low > 2 * (found.high - found.low)
    assert finding(tau, FAIR, 50) == finding(tau, FAIR, 50)


def test_a_finding_that_is_undefined_says_so() -> None:
    def never(scores: Vector, places: NDArray[np.int64]) -> float:
        raise UndefinedMetricError("never")

    found = finding(never, FAIR, 10)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert not found.is_sure
    with pytest.raises(ValueError, match="2 runs, 1 archs"):
        finding(never, np.zeros((2, 1)))


def test_a_mean_over_runs_has_students_interval() -> None:
    values = [1.0, 2.0, 4.0]
    expected = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    found = mean_finding(values, 7)
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.num, found.num_archs) == (3, 7)
    alone = mean_finding([2.0])
    assert alone.value == 2.0
    assert math.isnan(alone.low)
    assert not Finding(1.0, math.nan, math.nan, 1).is_sure


def _archs(num: int, seed: int = 4) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.random.default_rng(seed).integers(0, 3, (num, 5))


def test_pairs_are_counted_by_the_sites_that_differ() -> None:
    archs = _archs(40)
    true = np.random.default_rng(5).integers(0, 12, 40).astype(float)
    predicted = np.random.default_rng(6).integers(0, 9, 40).astype(float)
    right: dict[int, list[float]] = {}
    for i, j in itertools.combinations(range(40), 2):
        apart = int((archs[i] != archs[j]).sum())
        if true[i] != true[j] and apart:
            sign = np.sign(true[i] - true[j]) * np.sign(predicted[i] - predicted[j])
            right.setdefault(apart, []).append({1.0: 1.0, 0.0: 0.5, -1.0: 0.0}[float(sign)])
    found = order_by_distance(predicted, true, archs.tolist())
    assert found.distance.tolist() == sorted(right)
    for place, apart in enumerate(sorted(right)):
        assert found.num[place] == len(right[apart])
        assert found.right[0, place] == pytest.approx(np.mean(right[apart]))


def test_at_equal_gaps_only_what_is_shared_counts() -> None:
    # The truth is a sum over sites, so that near pairs are alike; the noise is the same for all.
    archs = _archs(500)
    own = 0.05 * np.random.default_rng(7).normal(size=500)
    true = archs @ np.array([1.0, 1.3, 0.7, 1.1, 0.9]) + own
    predicted = true + np.random.default_rng(8).normal(size=(8, 500))
    found = order_by_distance(predicted, true, archs.tolist())
    plain, equal = found.right.mean(axis=0), found.at_equal_gaps.mean(axis=0)
    assert plain[-1] - plain[0] > 0.05
    known = np.isfinite(equal)
    assert known.sum() >= 3
    assert np.ptp(equal[known]) < 0.025


def test_gaps_weigh_as_among_the_nearest_pairs() -> None:
    archs = [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)]
    true = [0.0, 1.0, 10.0, 11.5, 30.0]
    predicted = [0.0, 1.0, 12.0, 11.0, 5.0]
    # Two pairs differ at one site: gaps of 1, right, and of 1.5, wrong. No other pair is as close.
    found = order_by_distance(predicted, true, archs)
    assert found.at_equal_gaps[0, 0] == pytest.approx(0.5)
    assert np.isnan(found.at_equal_gaps[0, 1])
    # A gap three times as frequent among the nearest counts three times.
    archs = [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7)]
    true = [0.0, 1.0, 100.0, 101.0, 200.0, 201.0, 300.0, 305.0]
    predicted = [0.0, 1.0, 100.0, 101.0, 200.0, 201.0, 306.0, 305.0]
    found = order_by_distance(predicted, true, archs)
    assert found.at_equal_gaps[0, 0] == pytest.approx(0.75)


def test_pairs_that_share_weights_worse_are_seen_at_equal_gaps() -> None:
    generator = np.random.default_rng(9)
    # Most pairs that differ at one site have the first choice in common.
    archs = list(itertools.product(range(12), range(40)))
    true = generator.normal(size=len(archs))
    first = np.array([arch[0] for arch in archs])
    # Those are told apart by nothing but noise.
    predicted = np.array([true[first == one].mean() for one in first])
    predicted += 1e-6 * generator.normal(size=len(archs))
    found = order_by_distance(predicted, true, archs)
    assert found.distance.tolist() == [1, 2]
    assert found.at_equal_gaps[0, 1] > found.at_equal_gaps[0, 0] + 0.03


def test_many_pairs_are_drawn_and_agree_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    archs = _archs(300).tolist()
    true = TRUE[:300]
    whole = order_by_distance(FAIR[:, :300], true, archs)
    monkeypatch.setattr("kshot_core.metrics.pairs.MOST_PAIRS", 20000)
    part = order_by_distance(FAIR[:, :300], true, archs)
    assert part.num.sum() < 20001
    assert np.abs(part.right - whole.right)[:, 2:].max() < 0.03
    with pytest.raises(ValueError, match="no two archs"):
        order_by_distance([1, 2], [3, 3], [(0,), (1,)])
