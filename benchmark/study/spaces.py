"""The runs of a study by search space: which rows are of which, and what their truth counts.

Shape letters: N runs (seeds), A architectures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.study.definition import Row, StudyData, of_row
from benchmark.study.scored import Scored, of_runs
from benchmark.truth.format import TruthColumn
from benchmark.truth.networks import network_of
from kshot_core.evaluation.traits import CONVOLUTIONS, DEPTH, FLOPS, PARAMETERS, traits
from kshot_core.metrics.bootstrap import Finding, finding
from kshot_core.metrics.correlation import UndefinedMetricError, kendall_tau_b

COUNTS = (PARAMETERS, FLOPS, DEPTH, CONVOLUTIONS)
Values = NDArray[np.float64]


@dataclass(frozen=True)
class OfSpace:
    """What a study ranked of one space.

    Attributes:
        name: of the space.
        rows: of the study, those without runs too.
        runs: of these rows.
        ranked: the rows with runs, in order.
    """

    name: str
    rows: tuple[Row, ...]
    runs: pd.DataFrame
    ranked: tuple[Scored, ...]

    @property
    def label(self) -> str:
        """Its name for people: what stands before the colon of its rows' labels."""
        return self.rows[0].label.partition(":")[0]

    @cached_property
    def counts(self) -> dict[str, Values]:
        """What costs no training, (A,) each: counts of the truth's networks that vary."""
        first = self.ranked[0]
        column = TruthColumn.parse(str(self.runs.iloc[0]["truth.column"]))
        known = traits(network_of(first.space, column.trained_on), first.archs)
        return {name: known[name] for name in COUNTS if name in known}

    @cached_property
    def gains(self) -> dict[str, Finding]:
        """What each row's tau-b has more than the best count's, where both have one."""
        best, gains = self.best_count(), dict[str, Finding]()
        if best is None:
            return gains
        for one in self.ranked:
            with suppress(UndefinedMetricError):
                gains[one.row.name] = gain(one, best[1])
        return gains

    def best_count(self) -> tuple[str, Values] | None:
        """The count that ranks best, by the truth itself; None where none varies."""
        true = self.ranked[0].true
        every = self.counts.items()
        return max(every, key=lambda pair: kendall_tau_b(pair[1], true), default=None)


def ranker_of(row: Row) -> str:
    """A row's label without its space."""
    return row.label.partition(": ")[2]


def by_space(data: StudyData) -> tuple[OfSpace, ...]:
    """Every space of a study that has runs, in the order of its rows.

    Raises:
        UserError: predictions are damaged, or runs of a row scored different architectures.
    """
    return data.once("by_space", lambda: tuple(_by_space(data)))


def _by_space(data: StudyData) -> Iterator[OfSpace]:
    rows: dict[str, list[Row]] = {}
    for row in data.rows:
        rows.setdefault(str(row.settings["space"]), []).append(row)
    for name, own in rows.items():
        runs = {row.name: of_row(data.runs, row) for row in own}
        ranked = [_scored(data, row, runs[row.name]) for row in own if len(runs[row.name])]
        if ranked:
            yield OfSpace(name, tuple(own), pd.concat(list(runs.values())), tuple(ranked))


def gain(scored: Scored, count: Values) -> Finding:
    """By how much tau-b of a row's runs exceeds that of a count (A,), on the same resamples."""

    def statistic(drawn: Values, places: NDArray[np.int64]) -> float:
        true = scored.true[places]
        taus = [kendall_tau_b(one, true) for one in drawn]
        return float(np.mean(taus)) - kendall_tau_b(count[places], true)

    return finding(statistic, scored.predicted)


def _scored(data: StudyData, row: Row, runs: pd.DataFrame) -> Scored:
    found = of_runs(data, row, str(runs.iloc[0]["config.dataset"]), runs)
    if found is None:
        raise ValueError(f"records of {row.label} do not name their architectures")
    return found
