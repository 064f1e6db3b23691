"""Which paths are sampled; what all samplers have in common is in ``test_contracts.py``."""

from __future__ import annotations

from collections import Counter
from itertools import product

import made_up
import pytest
import torch
from scipy.stats import chisquare

from kshot_core.sampling import sample
from kshot_core.sampling.balanced import Balanced
from kshot_core.sampling.fair import Fair
from kshot_core.sampling.uniform import Uniform
from kshot_core.sampling.valid import Valid
from kshot_core.space import uniform_arch
from kshot_core.spaces import NASBench201

SPACE = NASBench201(channels=2, cells=1)
# Seeds are fixed, so a test either always passes or never: the level only says how extreme
# a draw was accepted when it was written.
LEVEL = 1e-3


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_uniform_draws_every_choice_of_every_site_alike() -> None:
    archs = sample(Uniform(SPACE), 5_000, _generator())
    for site in range(6):
        counts = Counter(arch[site] for arch in archs)
        assert chisquare([counts[choice] for choice in range(5)]).pvalue > LEVEL
    for first, second in ((0, 1), (0, 5), (2, 3)):
        pairs = Counter((arch[first], arch[second]) for arch in archs)
        counts_of_pairs = [pairs[pair] for pair in product(range(5), repeat=2)]
        assert chisquare(counts_of_pairs).pvalue > LEVEL, "sites are independent"


def test_uniform_draws_every_architecture_alike() -> None:
    space = made_up.MadeUpSpace()
    counts = Counter(sample(Uniform(space), 5_000, _generator(1)))
    assert chisquare([counts[arch] for arch in space.archs()]).pvalue > LEVEL


def test_sites_may_have_different_numbers_of_choices() -> None:
    archs = [uniform_arch((1, 2, 13), _generator(seed)) for seed in range(300)]
    assert [len({arch[site] for arch in archs}) for site in range(3)] == [1, 2, 13]


def test_valid_draws_uniformly_from_architectures_with_a_path() -> None:
    archs = sample(Valid(SPACE), 4_000, _generator(2))
    assert all(SPACE.is_valid(arch) for arch in archs)
    universe = [arch for arch in SPACE.archs() if SPACE.is_valid(arch)]
    expected = Counter(SPACE.num_convolutions(arch) for arch in universe)
    found = Counter(SPACE.num_convolutions(arch) for arch in archs)
    share = len(archs) / len(universe)
    assert (
        chisquare(
            [found[num] for num in range(7)], [expected[num] * share for num in range(7)]
        ).pvalue
        > LEVEL
    )


def test_fair_takes_each_choice_of_each_site_once() -> None:
    sampler, generator = Fair(SPACE), _generator()
    draws = [sampler(generator) for _ in range(50)]
    for archs in draws:
        assert len(archs) == 5
        for site in range(6):
            assert sorted(arch[site] for arch in archs) == list(range(5))
    assert len({frozenset(archs) for archs in draws}) == 50, "a fresh permutation every time"


def test_fair_permutes_sites_independently() -> None:
    archs = sample(Fair(SPACE), 5_000, _generator(3))
    for first, second in ((0, 1), (0, 5), (2, 3)):
        pairs = Counter((arch[first], arch[second]) for arch in archs)
        counts = [pairs[pair] for pair in product(range(5), repeat=2)]
        assert chisquare(counts).pvalue > LEVEL


def test_fair_needs_equally_many_choices() -> None:
    with pytest.raises(ValueError, match="equally many choices"):
        Fair(made_up.MadeUpSpace())


def test_balanced_draws_every_number_of_convolutions_alike() -> None:
    archs = sample(Balanced(SPACE), 3_500, _generator())
    assert all(SPACE.is_valid(arch) for arch in archs)
    counts = Counter(SPACE.num_convolutions(arch) for arch in archs)
    assert chisquare([counts[num] for num in range(7)]).pvalue > LEVEL
    all_convolutions = Counter(arch for arch in archs if SPACE.num_convolutions(arch) == 6)
    assert len(all_convolutions) == 2**6
    assert chisquare(list(all_convolutions.values())).pvalue > LEVEL


def test_balanced_refuses_a_space_too_large_to_list() -> None:
    with pytest.raises(ValueError, match="at most 1000000"):
        Balanced(made_up.MadeUpSpace(num_choices=(13,) * 21))


def test_sample_leaves_out_the_surplus() -> None:
    assert len(sample(Fair(SPACE), 7, _generator())) == 7
    assert sample(Fair(SPACE), 7, _generator()) == sample(Fair(SPACE), 10, _generator())[:7]
    assert sample(Uniform(SPACE), 0, _generator()) == []
