"""Who survives a generation of NSGA-II (Deb et al., 2002): pymoo's survival, with nothing random.

Individuals are ranked by non-dominated sorting. Of the first rank that does not fit whole, those in
the least crowded places survive.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.config import Config
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
from pymoo.operators.survival.rank_and_crowding.metrics import (
    FunctionalDiversity,
    calc_crowding_distance,
)
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting


class Survivors:
    """The survivors so far, as their numbers in the order in which they were told, from 0.

    Args:
        num: survivors of a generation, at most.
    """

    def __init__(self, num: int) -> None:
        # Where pymoo has no compiled modules it prints so, and none of them is used here.
        Config.warnings["not_compiled"] = False
        crowding = _Crowding(calc_crowding_distance, filter_out_duplicates=False)
        survival = RankAndCrowding(nds=_Fronts(), crowding_func=crowding)
        # Without a seed it would take one from the system. No number drawn has any effect.
        self._algorithm = NSGA2(pop_size=num, survival=survival, seed=0)
        self._algorithm.setup(Problem(n_var=1, n_obj=2), termination=NoTermination())
        self._num_told = 0

    def after(self, objectives: Sequence[tuple[float, float]]) -> list[int]:
        """The survivors of those so far and of new individuals.

        Args:
            objectives: two of each new individual, both to be low; at least one individual.
        """
        if self._num_told:
            # By age, which decides between equals; pymoo leaves them by front and crowding.
            survivors = self._algorithm.pop
            self._algorithm.pop = survivors[np.argsort(survivors.get("X")[:, 0])]
        numbers = np.arange(len(objectives))[:, None] + self._num_told
        self._num_told += len(objectives)
        self._algorithm.tell(infills=Population.new(X=numbers, F=np.array(objectives, dtype=float)))
        return [int(number) for (number,) in self._algorithm.pop.get("X")]


class _Fronts(NonDominatedSorting):  # type: ignore[misc]
    """Fronts in the order of the population: in which one they come differs by pymoo's release."""

    def do(self, F: npt.NDArray[np.float64], **options: int) -> list[npt.NDArray[np.int64]]:
        return [np.sort(front) for front in super().do(F, **options)]


class _Crowding(FunctionalDiversity):  # type: ignore[misc]
    """Crowding distances as ranks from 0, the younger of equals first.

    pymoo shuffles before it sorts, so that of equal distances a random one would survive.
    """

    def _do(self, F: npt.NDArray[np.float64], n_remove: int = 0) -> npt.NDArray[np.float64]:
        order = np.argsort(super()._do(F, n_remove=n_remove), kind="stable")
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order))
        return ranks
