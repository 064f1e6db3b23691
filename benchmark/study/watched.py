"""What runs showed while they were trained: rankings by epoch, and how scores move.

Shape letters: N runs (seeds), T epochs, A architectures that were tracked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmark.study.scored import Scored, Values
from kshot_core.metrics.biases import biases, spread
from kshot_core.metrics.bootstrap import Finding, mean_finding, value_or_none
from kshot_core.metrics.correlation import kendall_tau_b, spearman

_LEAST_EPOCHS = 3
"""A correlation of fewer says nothing."""


@dataclass(frozen=True)
class Watched:
    """The tracked scores of a row's runs.

    Attributes:
        epochs: when (T,).
        merit: −loss (N, T, A).
        true: merit alone (A,).
        traits: of these architectures, (A,) each.
    """

    epochs: NDArray[np.int64]
    merit: Values
    true: Values
    traits: dict[str, Values]

    def with_truth(self) -> Values:
        """Tau-b with the truth, (N, T); NaN where it is undefined."""
        return self._each(lambda run, at: _tau(run[at], self.true))

    def with_last(self) -> Values:
        """Tau-b with the ranking after the last epoch, (N, T)."""
        return self._each(lambda run, at: _tau(run[at], run[-1]))

    def preference(self, trait: str) -> Values:
        """What is preferred at equal truth, (N, T): see ``kshot_core.metrics.biases.Biases``."""
        counts = self.traits[trait]

        def of(run: Values, at: int) -> float:
            found = value_or_none(lambda: float(biases(run[at], self.true, counts).preference[0]))
            return np.nan if found is None else found

        return self._each(of)

    def better_trained_ranks_better(self) -> Finding:
        """Spearman's correlation over epochs of mean merit with tau, averaged over runs.

        NaN with fewer than three epochs, or where no run has a correlation.
        """
        taus = self.with_truth()
        each = [
            value_or_none(partial(spearman, run.mean(axis=1), tau))
            for run, tau in zip(self.merit, taus, strict=True)
            if len(self.epochs) >= _LEAST_EPOCHS and np.isfinite(tau).all()
        ]
        found = mean_finding([one for one in each if one is not None], len(self.true))
        # Student does not know that a correlation is at most 1.
        low, high = np.clip([found.low, found.high], -1.0, 1.0).tolist()
        return replace(found, low=low, high=high)

    def checkpoints_spread(self) -> float | None:
        """Noise of a score over the last half of the epochs, 0..1 of its variance; mean over runs.

        None with fewer than two such epochs.
        """
        last = self.merit[:, len(self.epochs) // 2 :]
        if last.shape[1] < 2:
            return None
        return value_or_none(lambda: float(np.mean([spread(run).share for run in last])))

    def _each(self, of: object) -> Values:
        assert callable(of)
        values = [[of(run, at) for at in range(len(self.epochs))] for run in self.merit]
        return np.array(values, dtype=np.float64)


def watched(one: Scored) -> Watched | None:
    """What a row's runs showed while training; None where they were not tracked.

    Raises:
        UserError: a file is damaged, or runs tracked other architectures.
    """
    found = one.tracked()
    if found is None:
        return None
    epochs, merit, places = found
    traits = {name: values[places] for name, values in one.traits.items()}
    known = {name: values for name, values in traits.items() if np.ptp(values) > 0}
    return Watched(epochs, merit, one.true[places], known)


def seeds_spread(one: Scored) -> float | None:
    """Noise of a score over seeds, 0..1 of its variance; None for a single one."""
    if len(one.predicted) < 2:
        return None
    return value_or_none(lambda: spread(one.predicted).share)


def _tau(first: Values, second: Values) -> float:
    found = value_or_none(partial(kendall_tau_b, first, second))
    return np.nan if found is None else found
