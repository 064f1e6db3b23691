"""How well predicted scores rank architectures. Pure functions ``(predicted, true) -> float``.

Shape letter: A architectures. ``predicted`` (A,) is any score, higher is better (a supernet's
accuracy, a parameter count); ``true`` (A,) is the stand-alone accuracy in percent.

Rules that hold for every metric:

* **Input.** NaN, infinities, unequal lengths and fewer than two architectures are ``ValueError``
  in every function here. A score of 0 never stands for "could not be measured".
* **Undefined.** A rank correlation of a constant is undefined and raises
  ``UndefinedMetricError``; ``summary`` writes it as ``None``, so that the record of a collapsed
  supernet exists and says so.
* **Ties.** No metric depends on the order of the architectures. Correlations treat ties by their
  definition. Wherever a tie decides who is in a group (the top k, the high group), the value is
  the exact expectation over breaking it at random; ``tau_top`` alone takes all of a tie in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from kshot_core.metrics.bootstrap import Metric, bootstrap_interval, value_or_none
from kshot_core.metrics.ties import (
    UndefinedMetricError,
    checked,
    group_size,
    is_constant,
    membership,
    net_wins,
    num_tied_pairs,
    varying,
)

__all__ = [
    "METRICS",
    "NUM_CANDIDATES",
    "P_AT_TOP_SHARES",
    "TAU_TOP_SHARES",
    "Metric",
    "UndefinedMetricError",
    "best_rank_at_k",
    "bootstrap_interval",
    "group_sizes",
    "headline_group_size",
    "high_low_curve",
    "high_low_tau",
    "kendall_tau_a",
    "kendall_tau_b",
    "p_at_top",
    "pearson",
    "regret",
    "spearman",
    "summary",
    "tau_top",
]

TAU_TOP_SHARES = (0.5, 0.25, 0.1)
P_AT_TOP_SHARES = (0.01, 0.05, 0.1)
NUM_CANDIDATES = (1, 5, 10, 50)


def kendall_tau_b(predicted: ArrayLike, true: ArrayLike) -> float:
    """Kendall's tau-b, the headline metric: (con - discon) / sqrt((all - tied_p) (all - tied_t)).

    ``tied_p`` and ``tied_t`` count pairs tied in ``predicted`` and in ``true``, so ties lower
    neither side's scale. Kendall, Biometrika 33 (1945); it is ``scipy.stats.kendalltau``.

    Raises ``UndefinedMetricError`` when either input is constant.
    """
    predicted, true = varying(predicted, true)
    # The asymptotic p-value is never used; asking for it avoids the costly exact one.
    # Only the statistic is used; the p-value that comes with it divides by zero for two archs.
    if true.size == 2:
        return float(np.sign((predicted[1] - predicted[0]) * (true[1] - true[0])))
    return float(stats.kendalltau(predicted, true, variant="b", method="asymptotic").statistic)


def kendall_tau_a(predicted: ArrayLike, true: ArrayLike) -> float:
    """Kendall's tau-a, (con - discon) / C(A, 2): the paper's eq. 18. Ties count neither way.

    With ties its range is smaller than [-1, 1]; without any it equals tau-b. For a constant the
    formula says 0, which would read as "no correlation", hence the error.

    Raises ``UndefinedMetricError`` when either input is constant.
    """
    predicted, true = varying(predicted, true)
    num_pairs = predicted.size * (predicted.size - 1) // 2
    untied = [num_pairs - num_tied_pairs(values) for values in (predicted, true)]
    # Exact: the difference is an integer below 2^53, recovered from tau-b by rounding.
    difference = round(kendall_tau_b(predicted, true) * math.sqrt(untied[0] * untied[1]))
    return difference / num_pairs


def spearman(predicted: ArrayLike, true: ArrayLike) -> float:
    """Spearman's rho: Pearson's correlation of the ranks, ties at their mean rank (paper eq. 19).

    The paper's shortcut, eq. 20, agrees where there are no ties.

    Raises ``UndefinedMetricError`` when either input is constant.
    """
    predicted, true = varying(predicted, true)
    return pearson(stats.rankdata(predicted), stats.rankdata(true))


def pearson(predicted: ArrayLike, true: ArrayLike) -> float:
    """Pearson's linear correlation with its sign (paper appendix C.2, table 7).

    Raises ``UndefinedMetricError`` when either input is constant.
    """
    predicted, true = varying(predicted, true)
    x, y = predicted - predicted.mean(), true - true.mean()
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def high_low_tau(predicted: ArrayLike, true: ArrayLike, size: int | None = None) -> float:
    """Kendall's tau over pairs of one good and one other architecture (appendix C.1, figure 5).

    The high group are the ``size`` truly best architectures, the low group all others. A pair
    across is concordant when ``predicted`` puts the member of the high group first; the value is
    (con - discon) / (size · (A - size)). Ties in ``predicted`` count neither way; a tie in
    ``true`` across the border is broken at random, in expectation.

    Args:
        predicted: scores (A,).
        true: stand-alone accuracies in percent (A,).
        size: members of the high group, 1..A-1; by default ``headline_group_size(A)``.

    Raises:
        ValueError: ``size`` is not 1..A-1.
        UndefinedMetricError: either input is constant.
    """
    predicted, true = varying(predicted, true)
    if size is None:
        size = headline_group_size(true.size)
    if not 1 <= size < true.size:
        raise ValueError(f"size must be 1..{true.size - 1} for {true.size} archs, got {size}")
    border = np.partition(true, -size)[-size]
    high, tied, low = true > border, true == border, true < border
    share = (size - high.sum()) / tied.sum()
    low_sorted, tied_sorted = np.sort(predicted[low]), np.sort(predicted[tied])
    # Pairs inside the tie cancel: either order is equally likely.
    difference = (
        net_wins(predicted[high], low_sorted)
        + (1.0 - share) * net_wins(predicted[high], tied_sorted)
        + share * net_wins(predicted[tied], low_sorted)
    )
    return float(difference / (size * (true.size - size)))


def tau_top(predicted: ArrayLike, true: ArrayLike, share: float = 0.1) -> float:
    """Kendall's tau-b inside the true top ``share`` of the architectures.

    Tau over a whole space is mostly about telling bad from middling; a search needs order among
    the best. The group is every architecture at least as accurate as the one at rank
    floor(share · A), so a tie at the border comes in whole.

    Raises ``UndefinedMetricError`` when the group has fewer than two members or is constant in
    either input, ``ValueError`` for an impossible share.
    """
    predicted, true = checked(predicted, true)
    size = group_size(share, true.size)
    if size < 2:
        raise UndefinedMetricError(f"the top {share:g} of {true.size} archs is fewer than two")
    group = true >= np.partition(true, -size)[-size]
    return kendall_tau_b(predicted[group], true[group])


def p_at_top(predicted: ArrayLike, true: ArrayLike, share: float = 0.05) -> float:
    """P@top-q: which part of the predicted top ``share`` is in the true top ``share``, 0..1.

    Both groups have floor(share · A) members. Random scores give ``share``. From Ning et al.,
    "Evaluating efficient performance estimators of neural architectures", NeurIPS 2021.

    Raises ``UndefinedMetricError`` when the group is empty, ``ValueError`` for an impossible share.
    """
    predicted, true = checked(predicted, true)
    size = group_size(share, true.size)
    if size < 1:
        raise UndefinedMetricError(f"the top {share:g} of {true.size} archs is empty")
    return float(membership(predicted, size) @ membership(true, size)) / size


def best_rank_at_k(predicted: ArrayLike, true: ArrayLike, num_candidates: int = 10) -> float:
    """Find the true rank (1 is best) of the best among the ``num_candidates`` predicted best.

    What a search finds that trains its top k candidates alone (BR@K of Ning et al., NeurIPS 2021,
    as a rank instead of a share). Architectures of equal accuracy have the same, better rank. A
    whole number unless ``predicted`` has ties, then the exact expectation.

    Raises ``ValueError`` when ``num_candidates`` is not 1..A.
    """
    predicted, true = checked(predicted, true)
    if not 1 <= num_candidates <= true.size:
        raise ValueError(f"num_candidates must be 1..{true.size}, got {num_candidates}")
    ranks = stats.rankdata(-true, method="min")
    border = np.partition(predicted, -num_candidates)[-num_candidates]
    sure, tied = ranks[predicted > border], np.sort(ranks[predicted == border])
    num_tied, num_drawn = tied.size, num_candidates - sure.size
    best_sure = float(sure.min()) if sure.size else np.inf
    # P(the best drawn is the j-th of the tie) = C(t-1-j, s-1) / C(t, s), j from 0, as a product.
    left = num_tied - np.arange(num_tied, dtype=np.float64)
    missed = np.cumprod(np.maximum(left - num_drawn, 0.0) / left)
    chance = np.concatenate([[1.0], missed[:-1]]) * np.minimum(num_drawn / left, 1.0)
    return float(chance @ np.minimum(tied, best_sure))


def regret(predicted: ArrayLike, true: ArrayLike) -> float:
    """Accuracy lost by choosing the predicted best: best truth - its truth, in percent points.

    Ties for the predicted best give the mean over them.
    """
    predicted, true = checked(predicted, true)
    return float(true.max() - true[predicted == predicted.max()].mean())


METRICS: Mapping[str, Metric] = {
    "kendall_tau_b": kendall_tau_b,
    "kendall_tau_a": kendall_tau_a,
    "spearman": spearman,
    "pearson": pearson,
    "high_low_tau": high_low_tau,
    "tau_top": tau_top,
    "p_at_top": p_at_top,
    "best_rank_at_k": best_rank_at_k,
    "regret": regret,
}


def headline_group_size(num_archs: int) -> int:
    """Members of the high group in ``high_low_tau``'s headline: 100 (section 5.2), or a tenth."""
    return 100 if num_archs >= 1000 else max(1, num_archs // 10)


def group_sizes(num_archs: int) -> list[int]:
    """Group sizes of figure 5's curve: 10, 20, 50, 100, ... up to half of the architectures."""
    series = [step * 10**power for power in range(len(str(num_archs))) for step in (1, 2, 5)]
    smallest = 10 if num_archs >= 20 else 1
    return [size for size in series if smallest <= size <= num_archs // 2]


def high_low_curve(
    predicted: ArrayLike, true: ArrayLike, sizes: list[int] | None = None
) -> dict[int, float]:
    """``high_low_tau`` for each group size (figure 5); by default those of ``group_sizes``."""
    predicted, true = varying(predicted, true)
    return {
        size: high_low_tau(predicted, true, size)
        for size in (group_sizes(true.size) if sizes is None else sizes)
    }


def summary(predicted: ArrayLike, true: ArrayLike) -> dict[str, Any]:
    """Every metric as JSON-ready values, the ``metrics`` of a record.

    Undefined values (of constant predictions, or of a constant group) are ``None``.

    Returns:
        ``kendall_tau_b``, ``kendall_tau_a``, ``spearman``, ``pearson``, ``high_low_tau``,
        ``regret``: float or None; ``high_low_group_size``: int; ``high_low_tau_by_size``,
        ``tau_top``, ``p_at_top``, ``best_rank_at_k``: dictionaries keyed by the parameter as text.

    Raises:
        ValueError: input that cannot be ranked, or a constant truth.
    """
    predicted, true = checked(predicted, true)
    if is_constant(true):
        raise ValueError(f"the truth is {true[0]:g} for all {true.size} archs: nothing to rank")
    names = ("kendall_tau_b", "kendall_tau_a", "spearman", "pearson", "high_low_tau", "regret")
    result: dict[str, Any] = {
        name: value_or_none(partial(METRICS[name], predicted, true)) for name in names
    }
    result["high_low_group_size"] = headline_group_size(true.size)
    result["high_low_tau_by_size"] = {
        str(size): value_or_none(partial(high_low_tau, predicted, true, size))
        for size in group_sizes(true.size)
    }
    result["tau_top"] = {
        f"{share:g}": value_or_none(partial(tau_top, predicted, true, share))
        for share in TAU_TOP_SHARES
    }
    result["p_at_top"] = {
        f"{share:g}": p_at_top(predicted, true, share)
        for share in P_AT_TOP_SHARES
        if group_size(share, true.size) >= 1
    }
    result["best_rank_at_k"] = {
        str(num): best_rank_at_k(predicted, true, num) for num in NUM_CANDIDATES if num <= true.size
    }
    return result
