"""Differences between two rows of a study, seed by seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """The mean difference of pairs with equal seeds, with a t interval.

    Attributes:
        mean: first less second.
        low: lower end of the 95 % interval; NaN for fewer than two pairs.
        high: its upper end.
        p: two-sided, of Student's paired t-test; NaN for fewer than two pairs, or where all
            differences are equal.
        num: pairs.
    """

    mean: float
    low: float
    high: float
    p: float
    num: int

    @classmethod
    def of(cls, first: ArrayLike, second: ArrayLike) -> Difference:
        """Compare values (N,) with values (N,) of the same seeds, N at least 1."""
        pairs = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
        mean = float(pairs.mean())
        error = float(pairs.std(ddof=1)) / np.sqrt(len(pairs)) if len(pairs) > 1 else 0.0
        if error == 0.0:
            return cls(mean, np.nan, np.nan, np.nan, len(pairs))
        low, high = stats.t.interval(LEVEL, len(pairs) - 1, loc=mean, scale=error)
        p = 2 * stats.t.sf(abs(mean) / error, len(pairs) - 1)
        return cls(mean, float(low), float(high), float(p), len(pairs))

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def interval(self) -> str:
        """Its ends, e.g. ``+0.4 to +2.0``; empty where there is none."""
        return "" if np.isnan(self.low) else f"{self.low:+.1f} to {self.high:+.1f}"

    @property
    def brief(self) -> str:
        """With its interval, e.g. ``+1.2 (+0.4 to +2.0, n = 5)``."""
        between = f"{self.interval}, " if self.interval else ""
        return f"{self.mean:+.1f} ({between}n = {self.num})"

    def text(self, unit: str) -> str:
        """As a person would write it, e.g. ``+1.2 points (95 % interval 0.4 to 2.0, n = 5)``."""
        if self.num < 2:
            return f"{self.mean:+.2f} {unit} (one seed: no finding)"
        if np.isnan(self.p):
            return f"{self.mean:+.2f} {unit} in each of {self.num} pairs"
        return (
            f"{self.mean:+.2f} {unit} (95 % interval {self.low:+.2f} to {self.high:+.2f}, "
            f"p = {self.p:.2g}, n = {self.num} pairs)"
        )
