"""Finding the best, throwing away the worst, searching what is left: counted one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from kshot_core.metrics.retrieval import (
    best_of,
    kept,
    p_at_bottom,
    pruning_gain,
    retrieval,
    surer_of_the_worst,
)
from kshot_core.metrics.ties import UndefinedMetricError

TRUE = np.random.default_rng(0).normal(size=400)


def test_random_drawing_finds_what_the_hypergeometric_distribution_says() -> None:
    found = [
        retrieval(np.random.default_rng(seed).permutation(400), TRUE, 0.1) for seed in range(400)
    ]
    assert np.mean([one.found for one in found]) == pytest.approx(0.1, abs=0.006)
    assert {one.random for one in found} == {0.1}
    passed = np.mean([one.found > one.random_high for one in found])
    assert 0.01 < passed < 0.06
    # Of a discrete number: not more often below .05 than one in twenty.
    assert np.mean([one.p < 0.05 for one in found]) < 0.07


def test_a_perfect_ranking_finds_all_and_a_reversed_one_none() -> None:
    best = retrieval(TRUE, TRUE, 0.1)
    assert (best.found, best.size) == (1.0, 40)
    assert best.p == pytest.approx(1 / math.comb(400, 40))
    assert retrieval(-TRUE, TRUE, 0.1).found == 0
    assert retrieval(-TRUE, TRUE, 0.1).p == 1


def test_the_top_1_percent_can_be_missed_where_the_top_10_is_found() -> None:
    scores = TRUE.copy()
    top = np.argsort(-TRUE)[:40]
    scores[top] = TRUE[top][::-1]
    assert retrieval(scores, TRUE, 0.1).found == 1
    assert retrieval(scores, TRUE, 0.01).found == 0


def test_ties_never_count_as_found_for_certain() -> None:
    found = retrieval([1, 1, 1, 1], [1, 2, 3, 4], 0.5)
    assert found.found == 0.5
    assert found.p == pytest.approx(stats.hypergeom(4, 2, 2).sf(0))
    assert retrieval([0, 0, 1, 1, 1, 1], [1, 2, 3, 4, 5, 6], 0.5).p == pytest.approx(
        stats.hypergeom(6, 3, 3).sf(1)
    )
    with pytest.raises(UndefinedMetricError):
        retrieval(TRUE[:50], TRUE[:50], 0.01)


def test_a_ranking_that_knows_the_worst_alone_is_surer_of_it() -> None:
    middle = np.median(TRUE)
    knows = np.where(middle > TRUE, TRUE, 10.0)
    noise = np.random.default_rng(1).normal(size=400)
    knows = knows + 0.1 * noise
    assert p_at_bottom(knows, TRUE, 0.1) > 0.6
    assert surer_of_the_worst(knows, TRUE, 0.1) > 0.4
    assert surer_of_the_worst(-knows, -TRUE, 0.1) < -0.4
    assert surer_of_the_worst(TRUE, TRUE, 0.1) == 0


def test_the_best_of_draws_is_their_expectation() -> None:
    values, weights = [3.0, 1.0, 1.0, 7.0], [0.5, 0.25, 1.0, 0.25]
    total = sum(weights)
    expected = sum(
        max(values[i] for i in drawn) * math.prod(weights[i] / total for i in drawn)
        for drawn in itertools.product(range(4), repeat=3)
    )
    assert best_of(values, 3, weights) == pytest.approx(expected)
    assert best_of(values, 1) == pytest.approx(np.mean(values))
    assert best_of(values, 10_000) == pytest.approx(7.0)
    with pytest.raises(ValueError, match="expected a draw"):
        best_of(values, 0)
    with pytest.raises(ValueError, match="expected a draw"):
        best_of(values, 1, [0, 0, 0, 0])


def test_a_pruned_space_is_better_to_search_where_the_ranking_is_right() -> None:
    generator = np.random.default_rng(2)
    good = pruning_gain(TRUE + generator.normal(size=400), TRUE, 10, 0.5)
    assert good > 0.1
    assert pruning_gain(-TRUE, TRUE, 10, 0.5) < -0.5
    random = [pruning_gain(generator.permutation(400), TRUE, 10, 0.5) for _ in range(300)]
    assert np.mean(random) == pytest.approx(0, abs=0.03)
    top = np.sort(TRUE)[200:]
    assert pruning_gain(TRUE, TRUE, 10, 0.5) == pytest.approx(best_of(top, 10) - best_of(TRUE, 10))


def test_a_tie_at_the_border_is_kept_in_part() -> None:
    assert kept([3, 2, 2, 1], 0.5).tolist() == [1.0, 0.5, 0.5, 0.0]
    with pytest.raises(ValueError, match="is none"):
        kept([3, 2], 0.1)
