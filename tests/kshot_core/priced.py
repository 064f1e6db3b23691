"""A space in which every choice has a price, and scores of architectures, both made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from made_up import MadeUpSpace

from kshot_core.search.methods import Scorer
from kshot_core.space import Arch, Space


@dataclass(frozen=True)
class Priced(MadeUpSpace):
    """Choices cost their square times a price that rises with the site; all else is made up."""

    num_choices: tuple[int, ...] = (4,) * 8
    width_sites: tuple[int, ...] = ()

    def extremes(self) -> tuple[Arch, Arch]:
        return (0,) * len(self.num_choices), tuple(num - 1 for num in self.num_choices)

    def flops(self, arch: Arch) -> float:
        return 1e6 * (1 + sum((5 + at) * choice**2 for at, choice in enumerate(arch)))

    def params(self, arch: Arch) -> int:
        return 1_000 * (1 + sum((20 - at) * choice for at, choice in enumerate(arch)))


def scorer(space: Space, seed: int = 0) -> Scorer:
    """Accuracies that are sums over the sites, from about 30 to 70 percent."""
    draw = Random(seed)
    sites = len(space.num_choices)
    worth = [[draw.gauss(0, 10 / sites**0.5) for _ in range(n)] for n in space.num_choices]

    def score(archs: Sequence[Arch]) -> list[tuple[float, float]]:
        sums = [sum(w[c] for w, c in zip(worth, arch, strict=True)) for arch in archs]
        return [(50 + total, -total) for total in sums]

    return score
