"""Which pairs of architectures a ranking puts in the right order, by how much they have in common.

Two architectures that differ at few sites share most of their weights in a supernet. They are also
more alike in quality, and so harder to order for any ranking, which is why every distance has its
share of right pairs *at equal gaps* beside the plain one. Shape letters: N rankings, A
architectures, S sites, D distances, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kshot_core.metrics.ties import Vector

MOST_PAIRS = 200_000
"""Pairs that are looked at; of more a random part."""
NUM_GAPS = 5
"""Groups of pairs with a like gap between their true scores."""
_NEAREST = 0.02
"""Share of all pairs that at least are called the nearest."""


@dataclass(frozen=True)
class Order:
    """Pairs in the right order, by the number of sites that differ.

    Attributes:
        distance: numbers of sites (D,) that some pairs differ at, rising.
        right: share (N, D) of their pairs that each ranking puts in the true order; a tie of its
            scores counts half.
        at_equal_gaps: the same (N, D), were gaps between true scores spread as among the nearest
            pairs, those that differ least; NaN where a distance has no pairs of some gap.
        num: pairs (D,) of each distance.
    """

    distance: NDArray[np.int64]
    right: Vector
    at_equal_gaps: Vector
    num: NDArray[np.int64]


def order_by_distance(
    predicted: ArrayLike, true: ArrayLike, archs: Sequence[Sequence[int]], seed: int = 0
) -> Order:
    """Share of pairs in the right order by the number of sites that differ.

    Pairs that are truly equal have no order and are left out, and so are equal architectures.

    Args:
        predicted: (A,) or (N, A).
        true: (A,).
        archs: (A, S); canonical ones, so that what changes nothing is no difference.
        seed: of the generator that draws pairs, where there are more than ``MOST_PAIRS``.

    Raises:
        ValueError: shapes that do not go together, NaN or infinite values, or no pair.
    """
    scores = np.atleast_2d(np.asarray(predicted, dtype=np.float64))
    values, table = np.asarray(true, dtype=np.float64), np.asarray(archs, dtype=np.int64)
    if values.ndim != 1 or table.ndim != 2 or scores.ndim != 2:
        raise ValueError("expected scores (N, A), truth (A,) and archs (A, S)")
    if not len(values) == len(table) == scores.shape[1]:
        raise ValueError(f"got {scores.shape} scores, {values.shape} true and {len(table)} archs")
    if not (np.isfinite(scores).all() and np.isfinite(values).all()):
        raise ValueError("there are NaN or infinite values")
    first, second = _pairs(len(values), seed)
    apart = (table[first] != table[second]).sum(axis=1)
    known = (values[first] != values[second]) & (apart > 0)
    first, second, apart = first[known], second[known], apart[known]
    if not len(apart):
        raise ValueError("no two archs differ in truth")
    sign = np.sign(values[first] - values[second])
    right = 0.5 + 0.5 * sign * np.sign(scores[:, first] - scores[:, second])
    distance, at, num = np.unique(apart, return_inverse=True, return_counts=True)
    gaps = np.abs(values[first] - values[second])
    farthest = distance[np.searchsorted(num.cumsum(), _NEAREST * num.sum())]
    edges = np.quantile(gaps[apart <= farthest], np.linspace(0, 1, NUM_GAPS + 1)[1:])
    # Gaps wider than any of theirs stand behind the last edge.
    cell = at * (NUM_GAPS + 1) + np.searchsorted(edges, gaps)
    shape = (len(distance), NUM_GAPS + 1)
    nums = np.bincount(cell, minlength=shape[0] * shape[1])
    sums = np.stack([np.bincount(cell, one, minlength=nums.size) for one in right])
    nums, sums = nums.reshape(shape), sums.reshape(-1, *shape)
    usual = nums[distance <= farthest].sum(axis=0)
    there = usual > 0
    with np.errstate(invalid="ignore"):
        each = (sums / nums)[:, :, there]
    equal = (each * usual[there]).sum(axis=2) / usual.sum()
    return Order(distance, sums.sum(axis=2) / num, equal, num)


def _pairs(size: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if size * (size - 1) // 2 <= MOST_PAIRS:
        first, second = np.triu_indices(size, 1)
        return first.astype(np.int64), second.astype(np.int64)
    generator = np.random.default_rng(seed)
    # Two different ones: the second is counted from behind the first.
    first = generator.integers(size, size=MOST_PAIRS)
    second = (first + generator.integers(1, size, size=MOST_PAIRS)) % size
    return first, second
