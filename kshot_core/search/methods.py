"""Search for the best architecture under hard limits (paper section 3 and appendix B).

NSGA-II (Deb et al., 2002) on accuracy, to be high, and multiply-adds, to be few. The first
generation is random within the limits; every other one has for parents the most accurate of the
survivors, and its architectures come from mutation and crossover as in Guo et al. (2020). Which
architectures survive, by non-dominated rank and crowding distance, is pymoo's part. What the paper
leaves open, and what was decided:

* Survivors are as many as a generation has architectures, out of the survivors so far and the
  generation. Equal crowding distances are settled in favour of the younger architecture.
* Half of a generation are mutants of one parent, each site drawn anew with probability 0.1, and
  half are crossings of two, each site from either. Whatever is no architecture of the space, leaves
  the limits or was scored before is made again, a hundred times. Then a crossing gives way to a
  mutant, since parents may have grown too alike to have other children, and a mutant to a random
  architecture.
* No architecture is scored twice; equal networks whose codes differ are two. When nothing new is
  found a generation has fewer architectures, and one that would have none ends the search.

All randomness is the seed's, so a search is resumed by running it again with the scores that are
known. Accuracies are percent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from kshot_core.checks import check_at_least
from kshot_core.search.limits import Limits, check_reachable, none_found
from kshot_core.search.survival import Survivors
from kshot_core.search.variation import Unseen, cross, mutate, nothing
from kshot_core.settings import EVOLUTION, setting
from kshot_core.space import Arch, PricedSpace
from kshot_core.streams import derive_seed

Scorer = Callable[[Sequence[Arch]], Sequence[tuple[float, float]]]
"""Accuracy in percent and loss of each architecture."""
Reads = Callable[[Arch], Hashable]
"""What of an architecture its code depends on, as ``Sharing.reads`` says."""


@dataclass(frozen=True)
class SearchSettings:
    """The paper's search: 20 generations of 50 architectures.

    Args:
        population: architectures of a generation, and survivors.
        generations: of architectures, the random first one included.
        parents: most accurate survivors that the next generation comes from.
        mutation: probability that a mutant's site is drawn anew.
        crossover_share: share of a generation that has two parents; the others are mutants.
        seed: of all random numbers. Methods with the same seed have the same first generation.
    """

    population: int = setting(
        50, "architectures kept from one generation to the next (paper: 50)", often=True
    )
    generations: int = setting(20, "the first, random one counted (paper: 20)", often=True)
    parents: int = setting(
        20,
        "the most accurate ones of the population, which have offspring (paper: 20)",
        needs=EVOLUTION,
    )
    mutation: float = setting(
        0.1, "probability that a choice of a mutated architecture is drawn anew", needs=EVOLUTION
    )
    crossover_share: float = setting(
        0.5, "share of the offspring that come from two parents, the others mutate", needs=EVOLUTION
    )
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_at_least(self, {"population": 1, "generations": 1, "parents": 1})
        if not 0 < self.mutation <= 1:
            raise ValueError(f"mutation must be above 0 and at most 1, got {self.mutation}")
        if not 0 <= self.crossover_share <= 1:
            raise ValueError(f"crossover_share must be 0 to 1, got {self.crossover_share}")

    def check_parents(self) -> None:
        """Refuse more parents than survivors with ``ValueError``; random search has none."""
        if self.parents > self.population:
            raise ValueError(
                f"parents must be 1 to the population of {self.population}, got {self.parents}"
            )


@dataclass(frozen=True)
class Evaluated:
    """An architecture with its score and cost, and the generation it was scored in, from 1."""

    arch: Arch
    accuracy: float
    loss: float
    flops: float
    params: int
    generation: int


class Method(Protocol):
    """A search: yields the architectures of one generation after another, with their scores.

    With ``known``, scores of an interrupted search with the same arguments, the same generations
    come again, from the first on; only what is missing is scored. ``reads`` is that of the weights
    the scores are made with: equal networks are one architecture only where it is equal too.

    Raises:
        ValueError: no architecture keeps the limits, or ``known`` is of another search.
        FloatingPointError: a score is not finite.
    """

    def __call__(
        self,
        space: PricedSpace,
        score: Scorer,
        limits: Limits,
        settings: SearchSettings,
        known: Sequence[Evaluated] = (),
        reads: Reads = nothing,
    ) -> Iterator[list[Evaluated]]:
        """Search."""
        ...


def nsga2(
    space: PricedSpace,
    score: Scorer,
    limits: Limits,
    settings: SearchSettings,
    known: Sequence[Evaluated] = (),
    reads: Reads = nothing,
) -> Iterator[list[Evaluated]]:
    """The paper's search; see ``Method``."""
    settings.check_parents()
    return _nsga2(_Search(space, score, limits, settings, known, reads))


def random_search(
    space: PricedSpace,
    score: Scorer,
    limits: Limits,
    settings: SearchSettings,
    known: Sequence[Evaluated] = (),
    reads: Reads = nothing,
) -> Iterator[list[Evaluated]]:
    """The control: as many architectures, all random within the limits; see ``Method``."""
    search = _Search(space, score, limits, settings, known, reads)
    return search.run(lambda place: search.unseen.fresh())


METHODS: dict[str, Method] = {"nsga2": nsga2, "random": random_search}


def front(evaluated: Sequence[Evaluated]) -> list[Evaluated]:
    """Those that no other is at least as accurate and as cheap as, and better in one; by cost."""
    found: list[Evaluated] = []
    for one in sorted(evaluated, key=lambda one: (one.flops, -one.accuracy)):
        last = found[-1] if found else None
        equal = last is not None and (one.flops, one.accuracy) == (last.flops, last.accuracy)
        if last is None or equal or one.accuracy > last.accuracy:
            found.append(one)
    return found


def best(evaluated: Sequence[Evaluated]) -> Evaluated:
    """The most accurate; of equals the one of less loss, then of fewer multiply-adds.

    Raises:
        ValueError: there is none.
    """
    if not evaluated:
        raise ValueError("the best of no architectures was asked for")
    return min(evaluated, key=_from_best)


class _Search:
    """What all methods share: new architectures, and their scores, known or asked for."""

    def __init__(
        self,
        space: PricedSpace,
        score: Scorer,
        limits: Limits,
        settings: SearchSettings,
        known: Sequence[Evaluated],
        reads: Reads,
    ) -> None:
        check_reachable(space, limits)
        self.space, self.score, self.limits, self.settings = space, score, limits, settings
        self.known = {one.arch: one for one in known}
        if len(self.known) < len(known):
            raise ValueError("the scores to resume from name an architecture twice")
        last = max((one.generation for one in known), default=0)
        if last > settings.generations:
            raise _other_search(f"they reach generation {last} of {settings.generations}")
        self.generator = Random(derive_seed(settings.seed, "search"))
        self.unseen = Unseen(space, limits, self.generator, reads)

    def run(self, propose: Callable[[int], Arch | None]) -> Iterator[list[Evaluated]]:
        """Generations of what ``propose`` gives for each place, until it gives nothing more."""
        for generation in range(1, self.settings.generations + 1):
            archs: list[Arch] = []
            while len(archs) < self.settings.population:
                if (arch := propose(len(archs))) is None:
                    break
                archs.append(arch)
            if generation == 1 and not archs:
                raise none_found(self.limits)
            self._check_known(archs, generation)
            if not archs:
                break
            yield self._evaluated(archs, generation)

    def _check_known(self, archs: Sequence[Arch], generation: int) -> None:
        """Whether all known scores of a generation, the last one if it is empty, belong to it."""
        for one in self.known.values():
            here = one.generation == generation
            if not here and one.arch not in archs and (archs or one.generation < generation):
                continue
            text = self.space.to_string(one.arch)
            if not here or one.arch not in archs:
                raise _other_search(f"{text} is not in generation {one.generation}")
            flops, params = self.space.flops(one.arch), self.space.params(one.arch)
            if (one.flops, one.params) != (flops, params):
                raise _other_search(f"{text} has {flops:.0f} multiply-adds, {params} parameters")

    def _evaluated(self, archs: Sequence[Arch], generation: int) -> list[Evaluated]:
        missing = [arch for arch in archs if arch not in self.known]
        new = self.score(missing) if missing else []
        if len(new) != len(missing):
            raise ValueError(f"{len(missing)} architectures were to be scored, {len(new)} were")
        scores = {one.arch: (one.accuracy, one.loss) for one in self.known.values()}
        scores |= zip(missing, new, strict=True)
        evaluated = []
        for arch in archs:
            accuracy, loss = scores[arch]
            if not math.isfinite(accuracy) or not math.isfinite(loss):
                text = self.space.to_string(arch)
                raise FloatingPointError(f"{text} has accuracy {accuracy} and loss {loss}")
            flops, params = self.space.flops(arch), self.space.params(arch)
            evaluated.append(Evaluated(arch, accuracy, loss, flops, params, generation))
        return evaluated


def _nsga2(search: _Search) -> Iterator[list[Evaluated]]:
    settings, unseen, generator = search.settings, search.unseen, search.generator
    num_mutants = settings.population - round(settings.population * settings.crossover_share)
    survivors = Survivors(settings.population)
    scored: list[Evaluated] = []
    parents: list[Arch] = []

    def mutant() -> Arch:
        parent = parents[int(generator.random() * len(parents))]
        return mutate(parent, search.space, settings.mutation, generator)

    def crossing() -> Arch:
        first = int(generator.random() * len(parents))
        after = 1 + int(generator.random() * (len(parents) - 1))
        return cross(parents[first], parents[(first + after) % len(parents)], generator)

    def propose(place: int) -> Arch | None:
        if not parents:
            return unseen.fresh()
        if place < num_mutants or len(parents) == 1:
            return unseen.child(mutant)
        return unseen.child(crossing, mutant)

    for generation in search.run(propose):
        scored += generation
        places = survivors.after([(-one.accuracy, one.flops) for one in generation])
        best_first = sorted((scored[place] for place in places), key=_from_best)
        parents = [one.arch for one in best_first[: settings.parents]]
        yield generation


def _from_best(one: Evaluated) -> tuple[float, float, float]:
    return -one.accuracy, one.loss, one.flops


def _other_search(difference: str) -> ValueError:
    return ValueError(f"the scores to resume from are of another search: {difference}")
