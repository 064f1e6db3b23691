"""What every metric needs: inputs that can be ranked, and a fair treatment of ties.

Shape letter: A architectures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]


class UndefinedMetricError(ValueError):
    """The metric has no value for this input, e.g. the correlation of a constant."""


def checked(predicted: ArrayLike, true: ArrayLike) -> tuple[Vector, Vector]:
    """Both inputs as float64 vectors of the same length A >= 2 without NaN."""
    vectors = []
    for name, values in (("predicted", predicted), ("true", true)):
        vector = np.asarray(values, dtype=np.float64)
        if vector.ndim != 1:
            raise ValueError(f"{name} must be one-dimensional, got shape {vector.shape}")
        num_bad = int(np.count_nonzero(~np.isfinite(vector)))
        if num_bad:
            raise ValueError(f"{name} has {num_bad} NaN or infinite values among {vector.size}")
        vectors.append(vector)
    if vectors[0].size != vectors[1].size:
        raise ValueError(f"got {vectors[0].size} predicted but {vectors[1].size} true values")
    if vectors[0].size < 2:
        raise ValueError(f"a ranking needs at least two archs, got {vectors[0].size}")
    return vectors[0], vectors[1]


def varying(predicted: ArrayLike, true: ArrayLike) -> tuple[Vector, Vector]:
    """Like ``checked``, and neither input may be constant (``UndefinedMetricError``)."""
    vectors = checked(predicted, true)
    for name, vector in zip(("predicted", "true"), vectors, strict=True):
        if is_constant(vector):
            raise UndefinedMetricError(
                f"{name} is {vector[0]:g} for all {vector.size} archs: correlation undefined"
            )
    return vectors


def is_constant(vector: Vector) -> bool:
    """Whether all values are the same."""
    return bool((vector == vector[0]).all())


def num_tied_pairs(values: Vector) -> int:
    """Count the unordered pairs of equal values."""
    counts = np.unique(values, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def net_wins(first: Vector, second_sorted: Vector) -> int:
    """Sum of sign(f - s) over all pairs; ``second_sorted`` ascends."""
    below = np.searchsorted(second_sorted, first, side="left")
    above = second_sorted.size - np.searchsorted(second_sorted, first, side="right")
    return int((below - above).sum())


def group_size(share: float, num_archs: int) -> int:
    """Members of the top ``share`` of ``num_archs`` architectures, rounded down."""
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    # The small number undoes binary rounding: 0.07 · 100 is 7.000000000000001, 0.29 · 100 is less.
    return int(share * num_archs + 1e-9)


def membership(values: Vector, size: int) -> Vector:
    """Probability (A,) that each arch is among the ``size`` highest, ties broken at random."""
    border = np.partition(values, -size)[-size]
    above, tied = values > border, values == border
    share = (size - int(above.sum())) / int(tied.sum())
    return np.where(above, 1.0, np.where(tied, share, 0.0))
