"""Mutation, crossover, single changes, and proposals that never come twice."""

from __future__ import annotations

from collections import Counter
from itertools import product
from random import Random
from statistics import mean

import pytest
from priced import Priced
from scipy.stats import chisquare

from kshot_core.search.limits import Limits
from kshot_core.search.variation import Unseen, cross, mutate, single_changes
from kshot_core.space import Arch, check_arch
from kshot_core.spaces import MobileNetV2

SPACE = Priced()
LARGE = Priced(num_choices=(4,) * 9)
FIRST, SECOND = (0, 1, 2, 3) * 2, (1, 2, 3, 0) * 2


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_mutation_draws_every_site_anew_at_its_rate(rate: float) -> None:
    generator = Random(0)
    mutants = [mutate(FIRST, SPACE, rate, generator) for _ in range(4_000)]
    for site, choice in enumerate(FIRST):
        found = Counter(mutant[site] for mutant in mutants)
        expected = [4_000 * (rate / 4 + (1 - rate) * (other == choice)) for other in range(4)]
        assert chisquare([found[other] for other in range(4)], expected).pvalue > 1e-3
    # Sites change independently of each other.
    changes = [sum(map(int.__ne__, mutant, FIRST)) for mutant in mutants]
    probability = rate * 3 / 4
    spread = mean((num - 8 * probability) ** 2 for num in changes)
    assert spread == pytest.approx(8 * probability * (1 - probability), rel=0.1)


def test_crossover_takes_each_site_from_either_parent() -> None:
    generator = Random(0)
    children = [cross(FIRST, SECOND, generator) for _ in range(25_600)]
    patterns = Counter(tuple(map(int.__eq__, child, FIRST)) for child in children)
    assert set(patterns) == set(product([False, True], repeat=8))
    assert chisquare(list(patterns.values())).pvalue > 1e-3
    for child in children[:100]:
        assert all(
            c in pair for c, pair in zip(child, zip(FIRST, SECOND, strict=True), strict=True)
        )


def test_single_changes_are_all_there_are() -> None:
    space = MobileNetV2(stages=((8, 2, 2),), stem=8, first=6, head=20)
    arch = space.extremes()[1]
    changed = list(single_changes(arch, space))
    assert len(set(changed)) == len(changed) == sum(num - 1 for num in space.num_choices)
    for other in changed:
        assert check_arch(other, space.num_choices) == other
        assert sum(map(int.__ne__, other, arch)) == 1


def _taken(unseen: Unseen) -> list[Arch]:
    taken = []
    while (arch := unseen.fresh()) is not None:
        taken.append(arch)
    return taken


@pytest.mark.parametrize("space", [SPACE, LARGE], ids=["listed", "too large to list"])
def test_all_are_proposed_once_and_then_none(space: Priced) -> None:
    limits = Limits(3e7)
    within = [a for a in product(range(4), repeat=len(space.num_choices)) if limits.allow(space, a)]
    unseen = Unseen(space, limits, Random(0))
    assert sorted(_taken(unseen)) == within
    assert unseen.fresh() is None
    assert unseen.child(lambda: within[0]) is None


def test_the_first_of_a_listed_space_is_uniform() -> None:
    space, limits = Priced(num_choices=(3,) * 4), Limits(2e7)
    found = Counter(Unseen(space, limits, Random(seed)).fresh() for seed in range(2_000))
    assert set(found) == {a for a in product(range(3), repeat=4) if limits.allow(space, a)}
    assert len(found) > 5
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_children_that_will_not_do_are_made_again() -> None:
    unseen = Unseen(LARGE, Limits(1e8), Random(0))
    good, other, costly = (0,) * 9, (1, *(0,) * 8), (3,) * 9
    assert unseen.child(lambda: good) == good
    made = iter([costly, good, costly, other])
    assert unseen.child(lambda: next(made)) == other
    # What never does gives way to the next, and at last to a random architecture.
    last = (2, *(0,) * 8)
    assert unseen.child(lambda: costly, lambda: last) == last
    fresh = unseen.child(lambda: costly, lambda: good)
    assert fresh not in (good, other, costly, last, None)
    assert Limits(1e8).allow(LARGE, fresh)


def test_what_computes_the_same_is_the_same() -> None:
    space = MobileNetV2(stages=((8, 3, 2),), stem=8, first=6, head=20)
    unseen = Unseen(space, Limits(), Random(0))
    arch = space.extremes()[0]  # first layer, two identities; widths of stem, first block, layers
    alike = (*arch[:6], 3, *arch[7:])
    assert alike != arch
    assert space.canonical(alike) == space.canonical(arch)
    assert unseen.child(lambda: arch) == arch
    made = iter([alike, space.extremes()[1]])
    assert unseen.child(lambda: next(made)) == space.extremes()[1]
