"""Towards what a ranking errs, and how sure it is: functions of predicted scores and the truth.

Shape letters: N rankings (seeds, say), A architectures. ``predicted`` is (A,) or (N, A), higher is
better; ``true`` (A,) is how good each is. Ranks count from the worst, ties share their mean.

**Why "truth held fixed" stands beside every rank error.** A ranking that is only noisy puts good
architectures too low and bad ones too high, since there is nowhere else to go. Whatever goes with
quality, such as the number of parameters, then goes with rank errors, though nothing is preferred
for it. Holding the truth fixed takes that out. A truth with noise of its own, such as one
training seed, leaves some of it in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from kshot_core.metrics.ties import UndefinedMetricError, Vector

# Of a variance: what rounding leaves of a rank that another one explains wholly.
_NOTHING = 1e-12


def rank_errors(predicted: ArrayLike, true: ArrayLike) -> Vector:
    """Predicted rank less true rank as a share of A, (A,) or (N, A): above 0 is ranked too high.

    They add up to 0 in every ranking.

    Raises:
        ValueError: NaN or infinite values, or shapes that do not go together.
    """
    predicted, true = _checked(predicted, true)
    errors: Vector = (_ranks(predicted) - _ranks(true)) / true.shape[-1]
    return errors


def rank_residuals(predicted: ArrayLike, true: ArrayLike) -> Vector:
    """Rank errors with the truth held fixed, as a share of A, (A,) or (N, A).

    Predicted rank less the one that a straight line through true ranks gives, by least squares:
    above 0 is ranked higher than others that are as good.

    Raises:
        ValueError: see ``rank_errors``.
        UndefinedMetricError: the truth is constant.
    """
    predicted, true = _checked(predicted, true)
    residuals: Vector = _without(_ranks(predicted), _ranks(true)[None]) / true.shape[-1]
    return residuals


def partial_spearman(first: ArrayLike, second: ArrayLike, held: ArrayLike) -> float:
    """Spearman's correlation of ``first`` and ``second`` with others held fixed, -1..1.

    Pearson's correlation of what is left of their ranks when a straight line through the ranks of
    what is held is taken off both (Conover, Practical Nonparametric Statistics, 1999, section 5.4).

    Args:
        first: (A,), or (N, A) for the mean over N.
        second: (A,).
        held: (A,), or (C, A) for several at once.

    Raises:
        ValueError: NaN or infinite values, or shapes that do not go together.
        UndefinedMetricError: what is held says all about one of them, or one is constant.
    """
    first, second = _checked(first, second)
    controls = np.atleast_2d(np.asarray(held, dtype=np.float64))
    if controls.shape[-1] != second.size or not np.isfinite(controls).all():
        raise ValueError(f"held should be finite, one for each of {second.size} archs")
    ranks = _ranks(controls)
    return _correlation(_without(_ranks(first), ranks), _without(_ranks(second), ranks))


@dataclass(frozen=True)
class Biases:
    """How a ranking goes with each of M traits, in Spearman's correlation, -1..1; means over N.

    NaN is undefined: a trait that is constant, or that the truth says all about.

    Attributes:
        errors: of rank errors and the trait (M,): above 0, more of it ranks too high. See the
            module's text for what mere noise does to it.
        preference: partial, of predicted scores and the trait with the truth held fixed (M,):
            above 0, more of it ranks above others that are as good. Mere noise has none.
        apart: partial, of predicted scores and the truth with the trait held fixed (M,): how well
            architectures are ranked of which the trait says nothing.
    """

    errors: Vector
    preference: Vector
    apart: Vector


def biases(predicted: ArrayLike, true: ArrayLike, traits: ArrayLike) -> Biases:
    """How rankings go with traits.

    With one variable held fixed the partial correlation is that of the three plain ones,
    (r_12 - r_13 r_23) / sqrt((1 - r_13^2) (1 - r_23^2)).

    Args:
        predicted: (A,) or (N, A).
        true: (A,).
        traits: (M, A), or (A,) for one.

    Raises:
        ValueError: NaN or infinite values, or shapes that do not go together.
        UndefinedMetricError: a ranking or the truth is constant.
    """
    predicted, true = _checked(predicted, true)
    counted = np.atleast_2d(np.asarray(traits, dtype=np.float64))
    if counted.shape[1] != true.size or not np.isfinite(counted).all():
        raise ValueError(f"traits should be finite, one for each of {true.size} archs")
    scores = _standard(_ranks(np.atleast_2d(predicted)))
    truth, others = _standard(_ranks(true)), _standard(_ranks(counted))
    if np.isnan(scores).any() or np.isnan(truth).any():
        raise UndefinedMetricError("a ranking or the truth is constant")
    wrong = _standard(_ranks(np.atleast_2d(rank_errors(predicted, true))))
    by_trait, of_truth = scores @ others.T, others @ truth
    agreed = (scores @ truth)[:, None]
    return Biases(
        (wrong @ others.T).mean(axis=0),
        _partial(by_trait, agreed, of_truth).mean(axis=0),
        _partial(agreed, by_trait, of_truth).mean(axis=0),
    )


def _partial(both: Vector, first: Vector, second: Vector) -> Vector:
    """Of two variables, from their correlation and that of each with what is held fixed."""
    rest = (1 - first**2) * (1 - second**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        partial = (both - first * second) / np.sqrt(np.where(rest > _NOTHING, rest, np.nan))
    return np.clip(partial, -1.0, 1.0)


@dataclass(frozen=True)
class ByChoice:
    """A mean over the architectures with each choice at a site.

    Attributes:
        mean: (choices,), NaN where no architecture has the choice.
        low: lower end of the 95 % interval (choices,), NaN for fewer than two architectures.
        high: its upper end.
        num: how many architectures have each choice.
    """

    mean: Vector
    low: Vector
    high: Vector
    num: NDArray[np.int64]


def by_choice(
    errors: ArrayLike, archs: Sequence[Sequence[int]], num_choices: Sequence[int]
) -> list[ByChoice]:
    """Mean rank error by each choice at each site.

    Args:
        errors: (A,) or (N, A), of which the mean over N is taken first.
        archs: A architectures; a site whose choice is below 0 is left out for that architecture.
        num_choices: number of choices at each site.

    Returns:
        one of each site; intervals are Student's, over architectures.
    """
    values = np.atleast_2d(np.asarray(errors, dtype=np.float64)).mean(axis=0)
    table = np.array(archs, dtype=np.int64).reshape(len(archs), len(num_choices))
    return [_site(values, table[:, site], num) for site, num in enumerate(num_choices)]


def _site(values: Vector, chosen: NDArray[np.int64], num_choices: int) -> ByChoice:
    groups = [values[chosen == choice] for choice in range(num_choices)]
    nums = np.array([len(one) for one in groups], dtype=np.int64)
    mean = np.array([one.mean() if len(one) else np.nan for one in groups])
    half = np.array(
        [
            stats.t.ppf(0.975, len(one) - 1) * one.std(ddof=1) / np.sqrt(len(one))
            if len(one) > 1
            else np.nan
            for one in groups
        ]
    )
    return ByChoice(mean, mean - half, mean + half, nums)


@dataclass(frozen=True)
class Spread:
    """How much a score moves when it is taken again: after more epochs, or with another seed.

    Attributes:
        within: standard deviation of one architecture's score over repetitions, less what moves
            all scores alike; the root of the mean variance over architectures.
        between: that of architectures' true means, the repetitions' share of the noise taken off.
        share: of the variance of a single score the part that is not the architecture's, 0..1.
        rank: standard deviation of one architecture's rank over repetitions, as a share of A.
        num: repetitions.
    """

    within: float
    between: float
    share: float
    rank: float
    num: int


def spread(scores: ArrayLike) -> Spread:
    """The spread of scores over R repetitions, (R, A), R and A at least 2.

    An analysis of variance of architectures by repetitions (Shrout & Fleiss, Psychological
    Bulletin 1979, ICC(3,1): ``share`` is 1 less that).

    Raises:
        ValueError: fewer than two repetitions or architectures, NaN or infinite values.
        UndefinedMetricError: all scores are equal.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise ValueError(f"scores should be finite, (repetitions, archs), got {values.shape}")
    num, size = values.shape
    means = values.mean(axis=0)
    left = values - means - values.mean(axis=1, keepdims=True) + values.mean()
    within = float((left**2).sum() / ((num - 1) * (size - 1)))
    between = max(0.0, float(means.var(ddof=1)) - within / num)
    if within + between <= 0:
        raise UndefinedMetricError("all scores are equal")
    ranks = _ranks(values) / size
    rank = float(np.sqrt(ranks.var(axis=0, ddof=1).mean()))
    share = within / (within + between)
    return Spread(float(np.sqrt(within)), float(np.sqrt(between)), share, rank, num)


def _checked(values: ArrayLike, other: ArrayLike) -> tuple[Vector, Vector]:
    first, second = (np.asarray(one, dtype=np.float64) for one in (values, other))
    if second.ndim != 1 or first.ndim not in (1, 2) or first.shape[-1] != second.size:
        raise ValueError(
            f"expected (A,) or (N, A) beside (A,), got {first.shape} and {second.shape}"
        )
    if second.size < 2:
        raise ValueError(f"a ranking needs at least two archs, got {second.size}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("there are NaN or infinite values")
    return first, second


def _ranks(values: Vector) -> Vector:
    ranks: Vector = stats.rankdata(values, axis=-1)
    return ranks


def _centred(values: Vector) -> Vector:
    centred: Vector = values - values.mean(axis=-1, keepdims=True)
    return centred


def _standard(values: Vector) -> Vector:
    """Rows of mean 0 and length 1, (..., A); NaN where they are constant."""
    centred = _centred(values)
    lengths = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    return centred / np.where(lengths > 0, lengths, np.nan)


def _without(values: Vector, held: Vector) -> Vector:
    """What least squares on (C, A) leave of (..., A); it has mean 0."""
    design, values = _centred(held), _centred(values)
    if (np.abs(design).max(axis=-1) == 0).any():
        raise UndefinedMetricError("what is held fixed is constant")
    slopes = np.linalg.lstsq(design.T, np.atleast_2d(values).T, rcond=None)[0]
    left: Vector = values - (slopes.T @ design).reshape(values.shape)
    scale = (values**2).sum(axis=-1, keepdims=True)
    # Rounding is no rest.
    return np.where((left**2).sum(axis=-1, keepdims=True) > _NOTHING * scale, left, 0.0)


def _correlation(first: Vector, second: Vector) -> float:
    """Mean over N of Pearson's correlation of centred (N, A) or (A,) with (A,)."""
    lengths = (first**2).sum(axis=-1) * (second**2).sum()
    if (lengths <= 0).any():
        raise UndefinedMetricError("one is constant, or what is held fixed says all about it")
    return float(np.clip((first @ second) / np.sqrt(lengths), -1.0, 1.0).mean())
