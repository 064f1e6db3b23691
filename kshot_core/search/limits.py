"""Hard limits on what an architecture may cost, and random architectures that keep to them.

Under upper limits that the cheapest architecture keeps, one is always found, however tight they
are. Uniform draws come first. Only where none of them fits, choices of the cheapest architecture
replace those of a draw, at no more sites than it takes, and single changes that each come nearer
to the limits do the rest.

Bias: draws that fit are exactly uniform over the valid architectures within the limits. What was
led there lies too close to the cheapest architecture at first. It then takes random steps that stay
within, eight a site: Metropolis sampling, whose stationary distribution is the uniform one. (Of 200
architectures of MobileNetV2 of at most 150 M multiply-adds, mean cost, operations and widths were
those of uniform draws to within the noise after four.) In a narrow band of multiply-adds such steps
are rare, and what none of one or two sites leads to is missed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from kshot_core.space import Arch, PricedSpace, Space

_Item = TypeVar("_Item")

_DRAWS = 100  # uniform ones, before an architecture is led to the limits
_STARTS = 20  # of the way there, where a lower limit can make it a dead end
_STEPS_PER_SITE = 8  # of the random walk within the limits


@dataclass(frozen=True)
class Limits:
    """What an architecture may cost at most, and at least; ``None`` is no limit.

    Args:
        max_flops: most multiply-adds of one image, as ``Space.flops`` counts them.
        max_params: most trainable scalars.
        min_flops: fewest multiply-adds, to search a band of them.
    """

    max_flops: float | None = None
    max_params: int | None = None
    min_flops: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a limit with ``ValueError``."""
        for name in ("max_flops", "max_params", "min_flops"):
            limit = getattr(self, name)
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, got {limit}")
        if (self.min_flops or 0) > (self.max_flops or math.inf):
            raise ValueError(f"min_flops {self.min_flops} is above max_flops {self.max_flops}")

    def excess(self, space: PricedSpace, arch: Arch) -> float:
        """How far ``arch`` is outside, each limit's excess as a share of it, added; 0 within."""
        total = 0.0
        if self.max_flops is not None or self.min_flops is not None:
            flops = space.flops(arch)
            if self.max_flops is not None:
                total += max(0.0, flops - self.max_flops) / self.max_flops
            if self.min_flops is not None:
                total += max(0.0, self.min_flops - flops) / self.min_flops
        if self.max_params is not None:
            total += max(0, space.params(arch) - self.max_params) / self.max_params
        return total

    def allow(self, space: PricedSpace, arch: Arch) -> bool:
        """Whether ``arch`` keeps to every limit."""
        return self.excess(space, arch) == 0

    def __str__(self) -> str:
        limits = (
            ("at least", self.min_flops, "multiply-adds"),
            ("at most", self.max_flops, "multiply-adds"),
            ("at most", self.max_params, "parameters"),
        )
        given = [_bound(*limit) for limit in limits if limit[1] is not None]
        return " and ".join(given) or "no limits"


def check_reachable(space: PricedSpace, limits: Limits) -> None:
    """Refuse limits that no architecture can keep.

    Each limit is held against what the space reaches; two that only clash with each other, such
    as many multiply-adds with few parameters, show when nothing is found.

    Raises:
        ValueError: there is no architecture within; the message names the range there is.
    """
    least, most = space.extremes()
    flops = (space.flops(least), space.flops(most))
    params = (space.params(least), space.params(most))
    if limits.max_flops is not None and limits.max_flops < flops[0]:
        raise _unreachable(Limits(max_flops=limits.max_flops), flops)
    if limits.min_flops is not None and limits.min_flops > flops[1]:
        raise _unreachable(Limits(min_flops=limits.min_flops), flops)
    if limits.max_params is not None and limits.max_params < params[0]:
        raise _unreachable(Limits(max_params=limits.max_params), params)


def sample_within(space: PricedSpace, limits: Limits, generator: Random) -> Arch:
    """A random valid architecture within the limits, as uniform as the module says.

    Raises:
        ValueError: there is none, or none was found: a lower limit close below an upper one may
            leave a band that single changes do not lead to.
    """
    check_reachable(space, limits)
    arch = draw_within(space, limits, generator)
    if arch is None:
        raise none_found(limits)
    return arch


def none_found(limits: Limits) -> ValueError:
    """What to raise when limits can be kept, each by itself, and nothing was found within."""
    return ValueError(f"found no architecture of {limits}: widen the limits")


def draw_within(space: PricedSpace, limits: Limits, generator: Random) -> Arch | None:
    """``sample_within`` of limits that are known to be in reach; ``None``: found nothing."""
    for _ in range(_DRAWS):
        arch = space.sample(generator)
        if space.is_valid(arch) and limits.allow(space, arch):
            return arch
    for _ in range(_STARTS):
        if (start := _valid(space, generator)) is None:
            continue
        cheaper = _cheapened(space, limits, start, generator)
        led = _led(space, limits, cheaper if is_path(space, cheaper) else start, generator)
        if led is not None:
            return _walked(space, limits, led, generator)
    # The cheapest keeps any upper limit that can be kept.
    least = space.extremes()[0]
    return least if space.is_valid(least) and limits.allow(space, least) else None


def is_path(space: Space, arch: Arch) -> bool:
    """Whether choices make an architecture of the space whose output depends on its input."""
    return space.contains(arch) and space.is_valid(arch)


def _valid(space: PricedSpace, generator: Random) -> Arch | None:
    draws = (space.sample(generator) for _ in range(_DRAWS))
    return next((arch for arch in draws if space.is_valid(arch)), None)


def _cheapened(space: PricedSpace, limits: Limits, arch: Arch, generator: Random) -> Arch:
    """``arch`` with the cheapest choices at sites in random order, few enough to stay below."""
    upper = Limits(max_flops=limits.max_flops, max_params=limits.max_params)
    if upper.allow(space, arch):
        return arch
    least = space.extremes()[0]
    sites = _shuffled(range(len(arch)), generator)

    def replaced(num: int) -> Arch:
        cheap = set(sites[:num])
        return tuple(least[at] if at in cheap else choice for at, choice in enumerate(arch))

    # Not every site need make it cheaper; however that is, ``enough`` of them are enough.
    few, enough = 0, len(arch)
    while enough - few > 1:
        half = (few + enough) // 2
        if space.contains(one := replaced(half)) and upper.allow(space, one):
            enough = half
        else:
            few = half
    return replaced(enough)


def _led(space: PricedSpace, limits: Limits, arch: Arch, generator: Random) -> Arch | None:
    """``arch`` led within by single changes in random order; ``None`` at a dead end."""
    changes = [(site, at) for site, num in enumerate(space.num_choices) for at in range(num)]
    excess = limits.excess(space, arch)
    while excess > 0:
        before = excess
        for site, choice in _shuffled(changes, generator):
            changed = (*arch[:site], choice, *arch[site + 1 :])
            if not space.contains(changed):
                continue
            after = limits.excess(space, changed)
            if after < excess and space.is_valid(changed):
                arch, excess = changed, after
            if excess == 0:
                return arch
        if excess == before:
            return None
    return arch


def _walked(space: PricedSpace, limits: Limits, arch: Arch, generator: Random) -> Arch:
    """``arch`` after random steps within: one or two sites drawn anew each."""
    # At a limit most single changes lead out; of two, one can pay for the other.
    for _ in range(_STEPS_PER_SITE * len(arch)):
        changed = list(arch)
        for _ in range(1 + (generator.random() < 0.5)):
            site = int(generator.random() * len(arch))
            changed[site] = int(generator.random() * space.num_choices[site])
        step = tuple(changed)
        if is_path(space, step) and limits.allow(space, step):
            arch = step
    return arch


def _shuffled(items: Sequence[_Item], generator: Random) -> list[_Item]:
    # Of Python's generators only random() gives the same numbers in every release.
    return sorted(items, key=lambda _: generator.random())


def _bound(side: str, limit: float, what: str) -> str:
    return f"{side} {limit / 1e6} M {what}"


def _unreachable(limits: Limits, reach: tuple[float, float]) -> ValueError:
    # Rounded inwards, so that either end can be given as a limit.
    scale = 10 ** max(1, 3 - math.floor(math.log10(max(reach[0], 1) / 1e6)))
    low = math.ceil(reach[0] / 1e6 * scale) / scale
    high = math.floor(reach[1] / 1e6 * scale) / scale
    if low > high:
        low, high = reach[0] / 1e6, reach[1] / 1e6
    return ValueError(f"no architecture has {limits}: they have {low} to {high} M")
