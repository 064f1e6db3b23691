"""New architectures from old ones: mutation, crossover, and that none is proposed twice.

Two architectures are the same when ``Space.canonical`` says that they compute the same function of
the weights, and the weights are the same: what the code reads of them is equal. The one met first
stands for both, with its own cost and as it was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from random import Random

from kshot_core.search.limits import Limits, draw_within, is_path
from kshot_core.space import Arch, PricedSpace, Space, listing

_TRIES = 100  # of one way to make a child
_DRAWS = 20  # random architectures, before those that are left are looked for
_MOST_LISTED = 100_000


def mutate(arch: Arch, space: Space, rate: float, generator: Random) -> Arch:
    """``arch`` with each site drawn anew with probability ``rate`` (Guo et al., 2020).

    Not always an architecture of the space, as of ``cross`` and ``single_changes``: where sites are
    not free ``Unseen`` makes another one.
    """
    return tuple(
        int(generator.random() * num) if generator.random() < rate else choice
        for choice, num in zip(arch, space.num_choices, strict=True)
    )


def cross(first: Arch, second: Arch, generator: Random) -> Arch:
    """Each site's choice from one parent or the other, alike likely."""
    return tuple(
        one if generator.random() < 0.5 else other for one, other in zip(first, second, strict=True)
    )


def single_changes(arch: Arch, space: Space) -> Iterator[Arch]:
    """``arch`` with one choice changed, in every way there is."""
    for site, num in enumerate(space.num_choices):
        for choice in range(num):
            if choice != arch[site]:
                yield (*arch[:site], choice, *arch[site + 1 :])


def nothing(arch: Arch) -> Hashable:
    """What the code of one copy reads of an architecture."""
    return ()


class Unseen:
    """Proposes architectures: valid, within the limits, and new. ``None`` where there is no more.

    A space of up to 100,000 architectures is listed, so random ones are exactly uniform over what
    is within the limits, and ``None`` means that nothing is left. Those of a larger space are
    ``sample_within``'s. When twenty of them were all known, the space within the limits is nearly
    used up: from then on what is new is what a change of one site makes of a known architecture.

    Args:
        space: where from.
        limits: what all of them keep to.
        generator: the source of all randomness.
        reads: what of an architecture its code depends on, ``Sharing.reads``.
    """

    def __init__(
        self,
        space: PricedSpace,
        limits: Limits,
        generator: Random,
        reads: Callable[[Arch], Hashable] = nothing,
    ) -> None:
        self.space, self.limits, self.generator = space, limits, generator
        self.reads = reads
        self._seen: set[Hashable] = set()
        self._taken: list[Arch] = []
        self._num_explored = 0
        everything = listing(space, _MOST_LISTED)
        self._is_listed = everything is not None
        # Architectures that will do, unless they were taken since.
        self._left = [arch for arch in everything or () if self._will_do(arch)]

    def fresh(self) -> Arch | None:
        """A new random architecture."""
        if self._num_explored == 0:
            for _ in range(_DRAWS):
                arch = self._draw()
                if arch is None:
                    break
                if self._is_new(arch):
                    return self._take(arch)
        self._left = [arch for arch in self._left if self._is_new(arch)]
        while not self._left and not self._is_listed and self._num_explored < len(self._taken):
            around = single_changes(self._taken[self._num_explored], self.space)
            self._left = [arch for arch in around if self._will_do(arch)]
            self._num_explored += 1
        return self._take(self._choice()) if self._left else None

    def child(self, *ways: Callable[[], Arch]) -> Arch | None:
        """The first result that will do of a way to make one, tried 100 times, or of the next way.

        Where no way leads to any, a ``fresh`` one.
        """
        for make in ways:
            for _ in range(_TRIES):
                arch = make()
                if self._will_do(arch):
                    return self._take(arch)
        return self.fresh()

    def _draw(self) -> Arch | None:
        if self._is_listed:
            return self._choice() if self._left else None
        return draw_within(self.space, self.limits, self.generator)

    def _choice(self) -> Arch:
        return self._left[int(self.generator.random() * len(self._left))]

    def _is_new(self, arch: Arch) -> bool:
        return self._identity(arch) not in self._seen

    def _will_do(self, arch: Arch) -> bool:
        new = is_path(self.space, arch) and self._is_new(arch)
        return new and self.limits.allow(self.space, arch)

    def _take(self, arch: Arch) -> Arch:
        self._seen.add(self._identity(arch))
        self._taken.append(arch)
        return arch

    def _identity(self, arch: Arch) -> Hashable:
        return self.space.canonical(arch), self.reads(arch)
