"""Limits: what they allow, that random architectures keep to them, and how uniform those are."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priced import Priced
from scipy.stats import chisquare

import kshot_core.search.limits
from kshot_core.search.limits import Limits, check_reachable, sample_within
from kshot_core.space import Arch, Space, check_arch
from kshot_core.spaces import MobileNetV2, NASBench201

SPACES: dict[str, Space] = {
    "mobilenetv2": MobileNetV2(
        stages=((8, 2, 2), (12, 3, 1)), stem=8, first=6, head=20, num_classes=10, image_size=16
    ),
    "nasbench201": NASBench201(),
    "priced": Priced(),
}
SHARES = st.floats(0, 1).map(lambda share: share**4)


def _between(space: Space, share: float) -> tuple[float, int]:
    """Multiply-adds and parameters, each at a share of the way up the space's range."""
    low, high = space.extremes()
    flops = space.flops(low) + share * (space.flops(high) - space.flops(low))
    params = space.params(low) + share * (space.params(high) - space.params(low))
    return flops, math.ceil(params)


@pytest.mark.parametrize("name", SPACES)
@settings(max_examples=25, deadline=None)
@given(flops=SHARES, params=SHARES | st.none(), seed=st.integers(0, 2**32))
def test_upper_limits_that_can_be_kept_are_kept(
    name: str, flops: float, params: float | None, seed: int
) -> None:
    space = SPACES[name]
    limits = Limits(
        _between(space, flops)[0], None if params is None else _between(space, params)[1]
    )
    check_reachable(space, limits)
    generator = Random(seed)
    for _ in range(3):
        arch = sample_within(space, limits, generator)
        assert check_arch(arch, space.num_choices) == arch
        assert space.is_valid(arch)
        assert space.flops(arch) <= limits.max_flops
        assert limits.max_params is None or space.params(arch) <= limits.max_params


@pytest.mark.parametrize("name", SPACES)
def test_the_cheapest_limit_of_all_is_kept(name: str) -> None:
    space = SPACES[name]
    least = space.extremes()[0]
    limits = Limits(space.flops(least), space.params(least))
    arch = sample_within(space, limits, Random(0))
    assert space.is_valid(arch)  # which NAS-Bench-201's least architecture is not
    assert (space.flops(arch), space.params(arch)) == (space.flops(least), space.params(least))


@dataclass(frozen=True)
class Demanding(Priced):
    """Valid with a choice of 2 somewhere: neither its cheapest architecture is, nor most near."""

    def is_valid(self, arch: Arch) -> bool:
        return 2 in arch


def test_only_valid_architectures_are_led_and_walked_to() -> None:
    space, generator = Demanding(), Random(0)
    limits = Limits(space.flops((0,) * 7 + (2,)))
    samples = [sample_within(space, limits, generator) for _ in range(60)]
    assert all(2 in arch and limits.allow(space, arch) for arch in samples)
    assert len(set(samples)) > 30


@pytest.mark.parametrize("middle", [0.1, 0.5, 0.9])
def test_a_narrow_band_is_found_from_either_side(middle: float) -> None:
    space = SPACES["mobilenetv2"]
    flops = _between(space, middle)[0]
    limits = Limits(flops * 1.002, min_flops=flops * 0.998)
    for seed in range(5):
        assert limits.allow(space, sample_within(space, limits, Random(seed)))


def _evenness(space: Space, limits: Limits, num: int) -> float:
    """Probability of counts at least as uneven as those of samples, were they uniform."""
    archs = [a for a in product(*map(range, space.num_choices)) if limits.allow(space, a)]
    # Uniform draws alone would nearly never find one.
    assert 30 <= len(archs) < 1e-3 * math.prod(space.num_choices)
    generator = Random(0)
    counts = Counter(sample_within(space, limits, generator) for _ in range(num))
    return float(chisquare([counts[arch] for arch in archs]).pvalue)


@pytest.mark.parametrize("limits", [Limits(2.5e7), Limits(1e8, 40_000)], ids=str)
def test_samples_are_uniform(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _evenness(Priced(), limits, 1_500) > 0.01
    monkeypatch.setattr(kshot_core.search.limits, "_STEPS_PER_SITE", 1)
    assert _evenness(Priced(), limits, 500) < 1e-6


def test_wide_limits_leave_uniform_draws_alone() -> None:
    space, generator = Priced(num_choices=(2, 2, 2)), Random(0)
    limits = Limits(space.flops((1, 1, 0)))
    counts = Counter(sample_within(space, limits, generator) for _ in range(7_000))
    assert set(counts) == {a for a in product(range(2), repeat=3) if limits.allow(space, a)}
    assert chisquare(list(counts.values())).pvalue > 0.01


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(6.9e6), "at most 6.9 M multiply-adds: they have 6.981 to 697.455 M"),
        (Limits(330e6, 10_000), "at most 0.01 M parameters: they have 0.2955 to 9.1204 M"),
        (Limits(min_flops=1e9), "at least 1000.0 M multiply-adds: they have 6.981 to 697.455 M"),
    ],
)
def test_limits_out_of_reach_name_the_range(limits: Limits, message: str) -> None:
    space = MobileNetV2()
    for check in (check_reachable, lambda s, lim: sample_within(s, lim, Random(0))):
        with pytest.raises(ValueError, match=f"^no architecture has {message}$"):
            check(space, limits)


def test_either_end_of_the_range_named_can_be_asked_for() -> None:
    check_reachable(MobileNetV2(), Limits(6.981e6))
    check_reachable(MobileNetV2(), Limits(min_flops=697.455e6))
    check_reachable(MobileNetV2(), Limits(max_params=295_500))


def test_limits_that_clash_are_given_up_with_a_word() -> None:
    space = Priced()
    limits = Limits(None, space.params((1,) * 8), space.flops((3,) * 8))
    check_reachable(space, limits)
    with pytest.raises(ValueError, match=r"found no architecture of at least .*: widen the limits"):
        sample_within(space, limits, Random(0))


def test_a_space_of_one_cost_is_named_by_it() -> None:
    arch: Arch = (0,)
    space = Priced(num_choices=(1,))
    assert space.flops(arch) == 1e6
    with pytest.raises(ValueError, match=r"at most 0\.5 M multiply-adds: they have 1\.0 to 1\.0 M"):
        check_reachable(space, Limits(5e5))


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("name", ["max_flops", "max_params", "min_flops"])
def test_what_cannot_be_a_limit_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0 and finite, got {value}"):
        Limits(**{name: value})
