"""Survivors of NSGA-II: the better ranks, then the less crowded, and nothing left to chance."""

from __future__ import annotations

import random

import numpy as np
import pytest
from pymoo import functions
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.config import Config
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from kshot_core.search.survival import Survivors


def _rank(number: int, objectives: dict[int, tuple[float, float]]) -> int:
    """Length of the longest chain that dominates it."""
    one = objectives[number]
    better = [
        other
        for other, values in objectives.items()
        if values != one and values[0] <= one[0] and values[1] <= one[1]
    ]
    return 1 + max((_rank(other, objectives) for other in better), default=-1)


def test_better_ranks_survive() -> None:
    draw = random.Random(0)
    survivors, alive, told = Survivors(10), dict[int, tuple[float, float]](), 0
    for _ in range(8):
        new = [(draw.random(), draw.random()) for _ in range(10)]
        alive |= dict(enumerate(new, told))
        told += 10
        kept = survivors.after(new)
        assert len(set(kept)) == len(kept) == 10
        ranks = {number: _rank(number, alive) for number in alive}
        lost = set(alive) - set(kept)
        worst = max(ranks[number] for number in kept)
        assert all(ranks[number] >= worst for number in lost)
        alive = {number: alive[number] for number in kept}


def test_of_equally_crowded_ones_the_younger_survives() -> None:
    """Old or new: pymoo leaves survivors in another order than by age."""
    draw, decided = random.Random(0), 0
    for _ in range(60):
        survivors, alive, told = Survivors(8), dict[int, tuple[float, float]](), 0
        for _ in range(6):
            new = [(float(draw.randrange(6)), float(draw.randrange(6))) for _ in range(8)]
            alive |= dict(enumerate(new, told))
            told += 8
            kept = set(survivors.after(new))
            ranks = {number: _rank(number, alive) for number in alive}
            last = [
                number
                for number in sorted(alive)
                if ranks[number] == ranks[max(kept, key=lambda number: ranks[number])]
            ]
            crowding = calc_crowding_distance(np.array([alive[number] for number in last]))
            distances = dict(zip(last, crowding, strict=True))
            for lost in set(last) - kept:
                equals = {n for n in last if n in kept and distances[n] == distances[lost]}
                decided += len(equals)
                assert all(number > lost for number in equals)
            alive = {number: alive[number] for number in kept}
    assert decided > 100


def test_they_are_those_of_pymoo_where_nothing_is_equal() -> None:
    draw = random.Random(1)
    ours, theirs = Survivors(10), NSGA2(pop_size=10, seed=5)
    theirs.setup(Problem(n_var=1, n_obj=2), termination=NoTermination())
    for generation in range(12):
        new = [(x := draw.random(), draw.random() * 0.1 - x) for _ in range(10)]
        numbers = np.arange(10 * generation, 10 * generation + 10)[:, None]
        theirs.tell(infills=Population.new(X=numbers, F=np.array(new)))
        assert sorted(ours.after(new)) == sorted(theirs.pop.get("X")[:, 0])


def test_of_one_rank_the_least_crowded_survive() -> None:
    # On a line; the two ends, and those with room around them, are to stay.
    places = [0.0, 1.0, 1.1, 1.2, 5.0, 9.0, 9.1, 10.0]
    survivors = Survivors(4)
    survivors.after([(place, -place) for place in places[:4]])
    kept = survivors.after([(place, -place) for place in places[4:]])
    assert {places[number] for number in kept} == {0.0, 5.0, 9.0, 10.0}


def test_of_equals_the_younger_survive_and_no_random_number_has_a_say() -> None:
    state = str(np.random.get_state())
    survivors = Survivors(50)
    first = survivors.after([(1.0, 1.0)] * 50)
    assert sorted(first) == list(range(50))
    assert sorted(survivors.after([(1.0, 1.0)] * 50)) == list(range(50, 100))
    assert str(np.random.get_state()) == state


def test_the_order_in_which_pymoo_finds_a_front_has_no_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(2)
    told = [[(draw.randrange(9), draw.randrange(9)) for _ in range(20)] for _ in range(5)]
    plain = Survivors(20)
    expected = [plain.after(one) for one in told]
    found = NonDominatedSorting.do
    monkeypatch.setattr(
        NonDominatedSorting,
        "do",
        lambda self, F, **options: [front[::-1] for front in found(self, F, **options)],
    )
    turned = Survivors(20)
    assert [turned.after(one) for one in told] == expected


def test_pymoo_without_compiled_modules_prints_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(functions, "is_compiled", lambda: False)
    monkeypatch.setattr(functions.FunctionLoader, "_FunctionLoader__instance", None)
    monkeypatch.setitem(Config.warnings, "not_compiled", True)
    assert Survivors(2).after([(1.0, 2.0)]) == [0]
    assert capsys.readouterr().out == ""
