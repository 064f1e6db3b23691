"""Truth about the architectures of a search, where there is any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.records.files import sha256
from benchmark.train.setup import Places, Target, load_target
from benchmark.truth.table import TruthTable, find_truth, is_shipped
from kshot_core.search.limits import Limits
from kshot_core.space import Arch, Generator, Listable, PricedSpace, uniforms
from kshot_core.tasks import task_of


class Listed:
    """A space of a list of another's architectures alone, those that the truth is known of.

    Everything but which they are is that space's.
    """

    def __init__(self, space: PricedSpace, archs: Sequence[Arch]) -> None:
        self._space, self._archs = space, tuple(archs)
        self._places = {arch: place for place, arch in enumerate(self._archs)}

    def __getattr__(self, name: str) -> Any:
        """The space's own."""
        if name.startswith("_"):  # also while a copy or a pickle has no attributes yet
            raise AttributeError(name)
        return getattr(self._space, name)

    def sample(self, generator: Generator) -> Arch:
        """One of the list, each alike likely."""
        (draw,) = uniforms(generator, 1)
        return self._archs[int(draw * len(self._archs))]

    def contains(self, arch: Arch) -> bool:
        """Whether it is on the list."""
        return arch in self._places

    def archs(self) -> list[Arch]:
        """The list."""
        return list(self._archs)

    def index(self, arch: Arch) -> int:
        """Its place in the list."""
        return self._places[arch]

    def from_index(self, index: int) -> Arch:
        """What is in a place of the list. Raises ``ValueError`` where nothing is."""
        if not 0 <= index < len(self._archs):
            raise ValueError(f"the list has {len(self._archs)} architectures, none at {index}")
        return self._archs[index]


class SearchTruth:
    """Stand-alone accuracies of a search's architectures."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._values = target.table.column(target.column).dropna()

    @classmethod
    def of(cls, config: RunConfig, places: Places, space: PricedSpace) -> SearchTruth | None:
        """The truth table that goes with a config, or None where there is none.

        None too where a table is shipped of networks with other sites, such as ProxylessNAS's of
        other stages, since nobody has named it.

        Raises:
            UserError: a table that was named, or that the user has, cannot be used.
        """
        try:
            path = find_truth(config.dataset.name, places.truth_for(space.name), space.name)
        except UserError:
            if places.truth_for(space.name) is not None:
                raise
            return None  # a search needs none
        if is_shipped(path) and not TruthTable.is_of(path, space):
            return None
        return cls(load_target(config, places))

    def restricted(self, space: PricedSpace) -> PricedSpace:
        """The space, or the part of it that the truth is known of."""
        if isinstance(space, Listable) and len(self._values) == len(space.archs()):
            return space
        listed = [space.from_string(text) for text in self._values.index]
        return cast(PricedSpace, Listed(space, listed))

    def value(self, arch: str) -> float | None:
        """Stand-alone accuracy in percent, None where it is not known."""
        value = self._values.get(arch)
        return None if value is None or math.isnan(value) else float(value)

    def optimum(self, space: PricedSpace, limits: Limits) -> dict[str, Any] | None:
        """The best architecture within the limits; the first in the table of equals."""
        falling = task_of(space).higher_is_better
        for text, value in self._values.sort_values(ascending=not falling, kind="stable").items():
            if limits.allow(space, space.from_string(str(text))):
                return {"arch": str(text), "true": float(value)}
        return None

    def judged(
        self, arch: str, space: PricedSpace, limits: Limits
    ) -> dict[str, dict[str, float | None]]:
        """What was found beside what takes no search, on this data set and on related ones.

        Args:
            arch: what was found.
            space: the space searched.
            limits: on what it may cost.

        Returns:
            Column of the truth (its own first) -> true accuracy of ``found``, and of all within
            the limits that of the ``best``, their ``mean`` (what a random one has on average) and
            that of the ``largest``, which has most parameters.
        """
        within = {str(text): space.from_string(str(text)) for text in self._values.index}
        within = {text: one for text, one in within.items() if limits.allow(space, one)}
        largest = max(within, key=lambda text: space.params(space.canonical(within[text])))
        falling = task_of(space).higher_is_better
        judged = {}
        for column in (self._target.column, *self._target.related()):
            values = self._target.table.column(column)
            here = values.reindex(list(within)).dropna()
            true = {
                "found": values.get(arch),
                "best": here.max() if falling else here.min(),
                "mean": here.mean(),
                "largest": here.get(largest),
            }
            judged[str(column)] = {
                name: None if value is None or math.isnan(value) else float(value)
                for name, value in true.items()
            }
        return judged

    def source(self) -> dict[str, str]:
        """Which column of which file."""
        path = self._target.table.path
        return {
            "column": str(self._target.column),
            "file": path.name if path else "",
            "sha256": sha256(path) if path else "",
        }
