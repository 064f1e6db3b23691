"""Which architectures exist is the space's: samplers and searches ask it, and draw nothing else."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice
from random import Random

import pytest
import torch
from constrained import Budget, Ordered, Unpriced
from priced import scorer
from scipy.stats import chisquare

from kshot_core.sampling import SAMPLERS, Uniform, sample
from kshot_core.sampling.fair import Fair
from kshot_core.search.limits import Limits, sample_within
from kshot_core.search.methods import METHODS, SearchSettings
from kshot_core.search.variation import Unseen
from kshot_core.space import Listable, Priced, example, listing, uniform_arch, uniforms
from kshot_core.spaces import MobileNetV2, NASBench201

LISTED = Budget(num_choices=(3,) * 6)
# Too many combinations to list, so that architectures are drawn, led and walked.
DRAWN = Budget(num_choices=(4,) * 10, most=4)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_where_every_site_is_free_the_streams_are_those_of_a_draw_a_site() -> None:
    space = MobileNetV2()
    draws = torch.rand(45, generator=_generator(), dtype=torch.float64).tolist()
    expected = tuple(int(d * num) for d, num in zip(draws, space.num_choices, strict=True))
    assert space.sample(_generator()) == uniform_arch(space.num_choices, _generator()) == expected
    python, again = Random(0), Random(0)
    expected = tuple(int(python.random() * num) for num in space.num_choices)
    assert space.sample(again) == expected
    assert again.random() == python.random(), "and no draw more"
    assert uniforms(Random(1), 3) == [Random(1).random(), *uniforms(Random(1), 3)[1:]]


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_draw_architectures_alone(name: str) -> None:
    if name == "fair":
        pytest.skip("has a test of its own: it cannot serve this space")
    archs = sample(SAMPLERS[name](LISTED), 300, _generator())
    assert all(LISTED.contains(arch) for arch in archs)
    assert any(sum(choice > 0 for choice in arch) == LISTED.most for arch in archs)


def test_uniform_is_uniform_over_the_architectures() -> None:
    counts = Counter(sample(Uniform(LISTED), 5_000, _generator()))
    assert chisquare([counts[arch] for arch in LISTED.archs()]).pvalue > 1e-3


def test_fair_draws_again_until_all_its_paths_are_architectures() -> None:
    space = Budget(num_choices=(2,) * 4, most=2)
    sampler, generator = Fair(space), _generator()
    for _ in range(50):
        paths = sampler(generator)
        assert all(map(space.contains, paths))
        assert all(sorted(choices) == [0, 1] for choices in zip(*paths, strict=True))
    with pytest.raises(ValueError, match="leads to no architectures of budget"):
        Fair(Budget(num_choices=(3,) * 6, most=3))


@pytest.mark.parametrize("space", [LISTED, DRAWN], ids=["listed", "drawn"])
@pytest.mark.parametrize("method", METHODS)
def test_searches_propose_architectures_alone(method: str, space: Budget) -> None:
    # Budget's own assertions see that none but architectures is priced or judged.
    settings = SearchSettings(population=12, generations=4, parents=5)
    limits = Limits(max_flops=space.flops((0,) * (len(space.num_choices) - 2) + (1, 2)))
    scored = [
        one.arch for g in METHODS[method](space, scorer(space), limits, settings) for one in g
    ]
    assert len(set(scored)) == len(scored) == 48
    assert all(space.contains(arch) and limits.allow(space, arch) for arch in scored)


def test_random_architectures_within_limits_are_led_over_architectures() -> None:
    limits = Limits(max_flops=DRAWN.flops((1,) + (0,) * 9), min_flops=DRAWN.flops((1,) + (0,) * 9))
    assert sample_within(DRAWN, limits, Random(0)) == (1,) + (0,) * 9


def test_a_search_ends_when_the_space_is_used_up() -> None:
    space = Budget(num_choices=(2,) * 5, most=2)
    unseen = Unseen(space, Limits(), Random(0))
    archs = list(islice(iter(unseen.fresh, None), 99))
    assert sorted(archs) == [arch for arch in space.archs() if any(arch)]


def test_listing_is_in_the_order_of_choices_and_of_architectures_alone() -> None:
    assert listing(LISTED, 10_000) == LISTED.archs()
    assert listing(LISTED, 100) is None
    cells = NASBench201()
    assert listing(cells, 20_000) == sorted(cells.archs())
    # More combinations than may be listed, but fewer architectures.
    wide = Ordered(num_choices=(4,) * 6, most=1)
    assert len(wide.archs()) < 100 < math.prod(wide.num_choices)
    assert listing(wide, 100) == sorted(wide.archs())
    assert listing(Budget(num_choices=(4,) * 6, most=1), 100) is None
    assert listing(MobileNetV2(), 100_000) is None
    assert cells.is_valid(example(cells))


def test_a_space_has_what_it_has() -> None:
    assert isinstance(LISTED, Priced)
    assert not isinstance(LISTED, Listable)
    assert isinstance(NASBench201(), Listable)
    assert not isinstance(MobileNetV2(), Listable)
    assert not isinstance(Unpriced(), Priced | Listable)
