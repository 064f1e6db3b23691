"""Spaces in which only some combinations of choices are architectures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from made_up import MadeUpSpace
from priced import Priced

from kshot_core.space import Arch, Generator, in_range, uniform_arch


@dataclass(frozen=True)
class Budget(Priced):
    """At most ``most`` sites of which the choice is not 0, as graphs have at most so many edges."""

    name: str = "budget"
    most: int = 3

    def sample(self, generator: Generator) -> Arch:
        while not self.contains(arch := uniform_arch(self.num_choices, generator)):
            pass
        return arch

    def contains(self, arch: Arch) -> bool:
        return in_range(arch, self.num_choices) and self._fits(arch)

    def _fits(self, arch: Arch) -> bool:
        return sum(choice > 0 for choice in arch) <= self.most

    def archs(self) -> list[Arch]:
        return [a for a in product(*map(range, self.num_choices)) if self._fits(a)]

    def is_valid(self, arch: Arch) -> bool:
        self._asked(arch)
        return any(arch)

    def canonical(self, arch: Arch) -> Arch:
        self._asked(arch)
        return arch

    def num_convolutions(self, arch: Arch) -> int:
        self._asked(arch)
        return sum(choice == 1 for choice in arch)

    def extremes(self) -> tuple[Arch, Arch]:
        free = len(self.num_choices) - self.most
        dearest = tuple(num - 1 for num in self.num_choices[free:])
        return (0,) * len(self.num_choices), (0,) * free + dearest

    def flops(self, arch: Arch) -> float:
        self._asked(arch)
        return 1e6 * (1 + sum((5 + at) * choice for at, choice in enumerate(arch)))

    def params(self, arch: Arch) -> int:
        self._asked(arch)
        return 1_000 * (1 + sum(arch))

    def _asked(self, arch: Arch) -> None:
        assert self.contains(arch), f"asked about {arch}, which is no architecture"


class Ordered(Budget):
    """A budget's architectures in their order."""

    def index(self, arch: Arch) -> int:
        return self.archs().index(arch)

    def from_index(self, index: int) -> Arch:
        return self.archs()[index]


class Unpriced:
    """The made-up space without a word on costs and order."""

    def __init__(self) -> None:
        self._space = MadeUpSpace()

    def __getattr__(self, name: str) -> object:
        if name in {"flops", "params", "extremes", "archs", "index", "from_index", "_space"}:
            raise AttributeError(name)
        return getattr(self._space, name)
