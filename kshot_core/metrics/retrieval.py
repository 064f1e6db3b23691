"""What a ranking is good for: finding the best, throwing away the worst, searching what is left.

Shape letters: N rankings (seeds, say), A architectures. ``predicted`` is (A,), higher is better;
``true`` (A,) is how good each is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kshot_core.metrics.correlation import p_at_top
from kshot_core.metrics.ties import Vector, checked, group_size, membership


@dataclass(frozen=True)
class Retrieval:
    """How many of the truly best a ranking has among its own best, beside drawing at random.

    Attributes:
        found: share of the predicted top that is in the true top, 0..1.
        random: what that is in expectation where the top is drawn at random.
        random_high: what random drawing does not pass in 95 of 100 cases.
        p: probability that it finds as many or more.
        size: architectures in the top.
    """

    found: float
    random: float
    random_high: float
    p: float
    size: int


def retrieval(predicted: ArrayLike, true: ArrayLike, share: float) -> Retrieval:
    """``p_at_top`` beside the hypergeometric distribution of drawing without looking.

    A tie at the border counts in expectation; for the probability its part of an architecture is
    not counted.

    Raises:
        UndefinedMetricError: the top of so few architectures is empty.
        ValueError: input that cannot be ranked, or an impossible share.
    """
    predicted, true = checked(predicted, true)
    found = p_at_top(predicted, true, share)
    size = group_size(share, true.size)
    drawn = stats.hypergeom(true.size, size, size)
    # Rounding must not make three of three two.
    p = float(drawn.sf(math.floor(found * size + 1e-9) - 1))
    return Retrieval(found, size / true.size, float(drawn.ppf(0.95)) / size, p, size)


def p_at_bottom(predicted: ArrayLike, true: ArrayLike, share: float) -> float:
    """Which part of the predicted worst ``share`` is in the true worst ``share``, 0..1.

    Raises as ``p_at_top`` does.
    """
    predicted, true = checked(predicted, true)
    return p_at_top(-predicted, -true, share)


def surer_of_the_worst(predicted: ArrayLike, true: ArrayLike, share: float) -> float:
    """Precision at the bottom less precision at the top, -1..1: above 0, surer of the worst.

    Raises as ``p_at_top`` does.
    """
    return p_at_bottom(predicted, true, share) - p_at_top(predicted, true, share)


def best_of(true: ArrayLike, num_draws: int, weights: ArrayLike | None = None) -> float:
    """The best of ``num_draws`` architectures drawn at random with replacement, in expectation.

    Exact: E max = Σ v_i (F(v_i)^n - F(v_{i-1})^n) over the distinct values v, where F is the share
    of the weight at most v.

    Args:
        true: (A,).
        num_draws: n, at least 1.
        weights: chance of each to be drawn (A,), not negative and not all 0; None for equal ones.

    Raises:
        ValueError: NaN, infinite or negative values, shapes that do not fit, or no draw.
    """
    values = np.asarray(true, dtype=np.float64)
    chance = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.ndim != 1 or chance.shape != values.shape or not np.isfinite(values).all():
        raise ValueError(f"expected finite values (A,) and weights, got {values.shape}")
    if num_draws < 1 or not np.isfinite(chance).all() or chance.min() < 0 or chance.sum() <= 0:
        raise ValueError("expected a draw, and weights that are not negative and not all 0")
    distinct, place = np.unique(values, return_inverse=True)
    below = np.bincount(place, chance).cumsum()
    powers = (below / below[-1]) ** num_draws
    return float(distinct @ np.diff(powers, prepend=0.0))


def kept(predicted: ArrayLike, share: float) -> Vector:
    """The chance (A,) of each to be in a space pruned to the predicted best ``share``.

    1 or 0, less where a tie at the border is broken at random.

    Raises:
        ValueError: an impossible share, or one that leaves nothing.
    """
    values = np.asarray(predicted, dtype=np.float64)
    size = group_size(share, values.size)
    if size < 1:
        raise ValueError(f"the best {share:g} of {values.size} archs is none")
    return membership(values, size)


def pruning_gain(predicted: ArrayLike, true: ArrayLike, num_draws: int, share: float) -> float:
    """What random search gains by a pruned space: true score of the best of ``num_draws`` draws.

    That of draws from the predicted best ``share`` less that of draws from all, in expectation.

    Raises:
        ValueError: input that cannot be ranked, an impossible share, or no draw.
    """
    predicted, true = checked(predicted, true)
    return best_of(true, num_draws, kept(predicted, share)) - best_of(true, num_draws)
