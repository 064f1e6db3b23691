"""Metrics against their definitions, counted pair by pair, and against random tie-breaking."""

from __future__ import annotations

import itertools
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats

from kshot_core.metrics import correlation as metrics
from kshot_core.metrics.correlation import (
    METRICS,
    UndefinedMetricError,
    bootstrap_interval,
    summary,
)
from kshot_core.metrics.ties import Vector

# Few distinct values, so that ties are the rule.
tied_values = st.integers(0, 6)
tied_pairs = (
    st.integers(4, 25)
    .flatmap(
        lambda n: st.tuples(
            st.lists(tied_values, min_size=n, max_size=n),
            st.lists(tied_values, min_size=n, max_size=n),
        )
    )
    .filter(lambda pair: len(set(pair[0])) > 1 and len(set(pair[1])) > 1)
)
Pair = tuple[list[int], list[int]]


def net_concordance(predicted: list[int], true: list[int]) -> int:
    pairs = itertools.combinations(range(len(true)), 2)
    return int(
        sum(np.sign(predicted[i] - predicted[j]) * np.sign(true[i] - true[j]) for i, j in pairs)
    )


def shuffled_untied(values: list[int], generator: np.random.Generator) -> Vector:
    """Break ties at random: ranks of the values, equal ones in random order."""
    order = np.lexsort((generator.random(len(values)), np.array(values)))
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values))
    return ranks


@given(tied_pairs)
@settings(max_examples=60, deadline=None)
def test_kendall_is_counted_over_pairs(pair: Pair) -> None:
    predicted, true = pair
    net, num_pairs = net_concordance(predicted, true), math.comb(len(true), 2)
    tied = [sum(a == b for a, b in itertools.combinations(values, 2)) for values in pair]
    assert metrics.kendall_tau_a(predicted, true) == net / num_pairs
    scale = math.sqrt((num_pairs - tied[0]) * (num_pairs - tied[1]))
    assert metrics.kendall_tau_b(predicted, true) == pytest.approx(net / scale, abs=1e-12)


@given(tied_pairs)
@settings(max_examples=60, deadline=None)
def test_other_correlations_are_scipys(pair: Pair) -> None:
    assert metrics.spearman(*pair) == pytest.approx(stats.spearmanr(*pair).statistic)
    assert metrics.pearson(*pair) == pytest.approx(stats.pearsonr(*pair).statistic)


def test_spearman_is_the_papers_equation_20_without_ties() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.permutation(50), generator.permutation(50)
    expected = 1 - 6 * ((first - second) ** 2).sum() / (50 * (50**2 - 1))
    assert metrics.spearman(first, second) == pytest.approx(expected)


def test_signs_are_kept() -> None:
    true = np.linspace(50.0, 90.0, 40)
    for name in ("kendall_tau_b", "kendall_tau_a", "spearman", "pearson", "high_low_tau"):
        assert METRICS[name](true, true) == pytest.approx(1.0)
        assert METRICS[name](-true, true) == pytest.approx(-1.0)


@given(tied_pairs, st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_high_low_tau_averages_over_all_ways_to_break_a_tie_of_the_truth(
    pair: Pair, size: int
) -> None:
    predicted, true = pair
    border = sorted(true)[-size]
    sure = [i for i, value in enumerate(true) if value > border]
    tied = [i for i, value in enumerate(true) if value == border]
    taus = []
    for chosen in itertools.combinations(tied, size - len(sure)):
        high = {*sure, *chosen}
        low = set(range(len(true))) - high
        net = sum(np.sign(predicted[i] - predicted[j]) for i in high for j in low)
        taus.append(net / (size * (len(true) - size)))
    assert metrics.high_low_tau(predicted, true, size) == pytest.approx(np.mean(taus), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_groups_with_ties_are_expectations_over_random_tie_breaking(seed: int) -> None:
    generator = np.random.default_rng(seed)
    predicted = generator.integers(0, 8, 60).tolist()
    true = generator.integers(0, 12, 60).tolist()
    best_ranks, precisions, regrets = [], [], []
    for _ in range(2000):
        order = shuffled_untied(predicted, generator)
        top = np.argsort(-order)[:6]
        ranks = [1 + sum(other > true[i] for other in true) for i in top]
        best_ranks.append(min(ranks))
        true_top = np.argsort(-shuffled_untied(true, generator))[:6]
        precisions.append(len(set(top) & set(true_top)) / 6)
        regrets.append(max(true) - true[top[0]])
    assert metrics.best_rank_at_k(predicted, true, 6) == pytest.approx(np.mean(best_ranks), rel=0.1)
    assert metrics.p_at_top(predicted, true, 0.1) == pytest.approx(np.mean(precisions), abs=0.02)
    assert metrics.regret(predicted, true) == pytest.approx(np.mean(regrets), abs=0.25)


def test_a_small_ranking_by_hand() -> None:
    true = [90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0, 0.0]
    predicted = [8, 9, 10, 7, 6, 5, 4, 3, 2, 1]
    assert metrics.regret(predicted, true) == 20.0
    assert metrics.best_rank_at_k(predicted, true, 1) == 3.0
    assert metrics.best_rank_at_k(predicted, true, 2) == 2.0
    assert metrics.p_at_top(predicted, true, 0.2) == 0.5
    assert metrics.p_at_top(predicted, true, 0.3) == 1.0
    assert metrics.tau_top(predicted, true, 0.3) == -1.0
    assert metrics.high_low_tau(predicted, true, 1) == pytest.approx(5 / 9)
    assert metrics.high_low_tau(predicted, true, 3) == 1.0


@given(tied_pairs)
@settings(max_examples=40, deadline=None)
def test_the_order_of_architectures_changes_nothing(pair: Pair) -> None:
    predicted, true = np.array(pair[0]), np.array(pair[1])
    order = np.random.default_rng(0).permutation(true.size)
    for name in ("kendall_tau_b", "kendall_tau_a", "high_low_tau", "regret", "p_at_top"):
        try:
            expected = METRICS[name](predicted, true)
        except UndefinedMetricError:
            continue
        assert METRICS[name](predicted[order], true[order]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        ([1.0, math.nan, 3.0], [1, 2, 3], "predicted has 1 NaN"),
        ([1, 2, 3], [1.0, math.inf, 3.0], "true has 1 NaN or infinite"),
        ([1, 2], [1, 2, 3], "2 predicted but 3 true"),
        ([1], [1], "at least two"),
        ([], [], "at least two"),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], "one-dimensional"),
    ],
)
def test_input_that_cannot_be_ranked_is_an_error(
    name: str, predicted: object, true: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        METRICS[name](predicted, true)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["kendall_tau_b", "kendall_tau_a", "spearman", "pearson", "high_low_tau"]
)
def test_correlation_of_a_constant_is_undefined_and_never_zero(name: str) -> None:
    varying = np.arange(20.0)
    with pytest.raises(UndefinedMetricError, match="predicted is 10 for all 20"):
        METRICS[name](np.full(20, 10.0), varying)
    with pytest.raises(UndefinedMetricError, match="true is 10 for all 20"):
        METRICS[name](varying, np.full(20, 10.0))


def test_constant_predictions_are_worth_as_much_as_chance_where_that_is_defined() -> None:
    true = np.arange(100.0)
    constant = np.zeros(100)
    assert metrics.p_at_top(constant, true, 0.1) == pytest.approx(0.1)
    assert metrics.regret(constant, true) == pytest.approx(99 - 49.5)
    # The expected minimum of k of n ranks without replacement is (n + 1) / (k + 1).
    for k in (1, 7, 100):
        assert metrics.best_rank_at_k(constant, true, k) == pytest.approx(101 / (k + 1))
    result = summary(constant, true)
    assert result["kendall_tau_b"] is None
    assert result["tau_top"] == {"0.5": None, "0.25": None, "0.1": None}
    assert set(result["high_low_tau_by_size"].values()) == {None}
    json.dumps(result, allow_nan=False)


def test_impossible_parameters_are_errors() -> None:
    values = np.arange(10.0)
    for size in (0, 10):
        with pytest.raises(ValueError, match=r"1\.\.9"):
            metrics.high_low_tau(values, values, size)
    for num in (0, 11):
        with pytest.raises(ValueError, match=r"1\.\.10"):
            metrics.best_rank_at_k(values, values, num)
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match="share"):
            metrics.p_at_top(values, values, share)
    with pytest.raises(UndefinedMetricError, match="fewer than two"):
        metrics.tau_top(values, values, 0.1)


def test_summary_has_every_figure_and_is_json() -> None:
    generator = np.random.default_rng(1)
    true = generator.normal(size=2000)
    result = summary(true + generator.normal(size=2000), true)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["high_low_group_size"] == 100
    assert result["high_low_tau"] == result["high_low_tau_by_size"]["100"]
    assert list(result["high_low_tau_by_size"]) == ["10", "20", "50", "100", "200", "500", "1000"]
    assert list(result["p_at_top"]) == ["0.01", "0.05", "0.1"]
    assert list(result["best_rank_at_k"]) == ["1", "5", "10", "50"]
    assert metrics.high_low_curve(true, true) == dict.fromkeys(metrics.group_sizes(2000), 1.0)


def test_summary_of_very_few_architectures_leaves_out_what_there_is_not() -> None:
    result = summary([1, 3, 2], [10.0, 20.0, 30.0])
    assert result["p_at_top"] == {}
    assert list(result["best_rank_at_k"]) == ["1"]
    assert result["high_low_group_size"] == 1
    with pytest.raises(ValueError, match="nothing to rank"):
        summary([1, 2], [5.0, 5.0])


def test_bootstrap_covers_is_seeded_and_rejects_nonsense() -> None:
    generator = np.random.default_rng(2)
    true = generator.normal(size=300)
    predicted = true + generator.normal(size=300)
    low, high = bootstrap_interval(metrics.kendall_tau_b, predicted, true, 300)
    assert low < metrics.kendall_tau_b(predicted, true) < high
    assert 0.02 < high - low < 0.2
    assert (low, high) == bootstrap_interval(metrics.kendall_tau_b, predicted, true, 300)
    assert (low, high) != bootstrap_interval(metrics.kendall_tau_b, predicted, true, 300, seed=1)
    narrow = bootstrap_interval(metrics.kendall_tau_b, predicted, true, 300, level=0.5)
    assert low < narrow[0] < narrow[1] < high
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval(metrics.kendall_tau_b, predicted, true, level=95)
    with pytest.raises(UndefinedMetricError):
        bootstrap_interval(metrics.kendall_tau_b, np.zeros(300), true)


def test_bootstrap_says_when_most_resamples_are_undefined() -> None:
    predicted = np.zeros(40)
    predicted[0] = 1.0
    # A resample misses the one arch that differs with probability 1/e.
    low, high = bootstrap_interval(metrics.kendall_tau_b, predicted, np.arange(40.0), 100)
    assert -1 <= low <= high <= 1

    def seldom(predicted: ArrayLike, true: ArrayLike) -> float:
        if np.unique(predicted).size + np.unique(true).size < 80:
            raise UndefinedMetricError("a resample repeats values")
        return 1.0

    with pytest.raises(UndefinedMetricError, match="most resamples"):
        bootstrap_interval(seldom, np.arange(40.0), np.arange(40.0), 50)


def test_the_whole_benchmark_is_summed_up_in_well_under_a_second() -> None:
    generator = np.random.default_rng(3)
    true = generator.normal(size=15625)
    predicted = np.round(true + generator.normal(size=15625), 2)
    start = time.perf_counter()
    summary(predicted, true)
    bootstrap_interval(metrics.kendall_tau_b, predicted, true, 20)
    # About 0.1 s; the bound leaves room for a busy machine.
    assert time.perf_counter() - start < 3
