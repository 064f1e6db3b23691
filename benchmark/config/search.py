"""The settings of one search: those of its supernet, how it goes, and its limits."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.config.ids import defaults_of, settings_id
from benchmark.config.presets import preset
from benchmark.config.run import RunConfig, flag, run_config
from kshot_core.search.limits import Limits
from kshot_core.search.methods import METHODS, SearchSettings

ENSEMBLES = ("", "max", "average")


@dataclass(frozen=True)
class SearchConfig:
    """Everything that decides what a search finds, and nothing else.

    Args:
        run: the supernet, and on how many images it scores.
    """

    run: RunConfig
    method: str = "nsga2"
    population: int = 50
    generations: int = 20
    parents: int = 20
    mutation: float = 0.1
    crossover_share: float = 0.5
    search_seed: int = 0
    max_flops: float = 0.0
    min_flops: float = 0.0
    max_params: int = 0
    ensemble: str = ""

    def __post_init__(self) -> None:
        """Refuse unknown names and impossible numbers, one clear line each."""
        one_of("--method", self.method, METHODS)
        one_of("--ensemble", self.ensemble, ENSEMBLES)
        for name in ("max_flops", "min_flops", "max_params"):
            if not 0 <= getattr(self, name) < float("inf"):
                value = getattr(self, name)
                raise UserError(f"{flag(name)} must be 0 (no limit) or more, got {value}")
        if self.min_flops > (self.max_flops or math.inf):
            raise UserError(
                f"--min-flops {self.min_flops:g} is above --max-flops {self.max_flops:g}, given or "
                "the preset's, so that nothing lies between them; lower one or raise the other"
            )
        if self.ensemble and self.run.K < 2:
            raise UserError(f"--ensemble needs --K supernets, at least 2, got {self.run.K}")
        try:
            self.settings()
        except ValueError as error:
            raise UserError(f"these settings cannot search: {error}") from None

    def settings(self) -> SearchSettings:
        """The settings that the search itself reads."""
        return SearchSettings(
            population=self.population,
            generations=self.generations,
            parents=self.parents,
            mutation=self.mutation,
            crossover_share=self.crossover_share,
            seed=self.search_seed,
        )

    def limits(self) -> Limits:
        """The limits, those that are 0 left away."""
        return Limits(
            max_flops=self.max_flops or None,
            max_params=self.max_params or None,
            min_flops=self.min_flops or None,
        )

    def supernets(self) -> list[RunConfig]:
        """The supernets that score: one, or K one-shot ones of consecutive seeds (appendix D)."""
        if not self.ensemble:
            return [self.run]
        one = dataclasses.replace(self.run, K=1, sharing="one-shot")
        seeds = range(self.run.seed, self.run.seed + self.run.K)
        return [dataclasses.replace(one, seed=seed) for seed in seeds]

    @property
    def label(self) -> str:
        """How weights are shared, in the names of folders."""
        name = f"ensemble-{self.ensemble}" if self.ensemble else self.run.sharing
        return f"{name}-K{self.run.K}"

    def to_dict(self) -> dict[str, Any]:
        """All settings as JSON values in one flat dictionary."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "run"}
        return {**self.run.to_dict(), **own}

    def run_id(self) -> str:
        """Eight hexadecimal digits, see ``settings_id``."""
        return settings_id(self.to_dict(), self.defaults())

    def defaults(self) -> dict[str, Any]:
        """The defaults of all settings, those of the supernet among them."""
        return self.run.defaults() | defaults_of(type(self))


def search_config(
    name: str, dataset: str, run: dict[str, Any], search: dict[str, Any]
) -> SearchConfig:
    """A preset's settings, overridden.

    Args:
        name: of the preset.
        dataset: the data set.
        run: settings of the supernet that differ from the preset's.
        search: settings of the search that do.

    Raises:
        UserError: no such preset, or settings that cannot work.
    """
    own = {field.name for field in dataclasses.fields(SearchConfig)}
    named = {key: value for key, value in preset(name, dataset).items() if key in own}
    search = named | search
    if search.get("ensemble", ""):
        # K is the number of its members, each of them one-shot; see ``supernets``.
        shared = {key: value for key, value in run.items() if key != "sharing"}
        config = dataclasses.replace(run_config(name, dataset, shared), sharing="one-shot")
        return SearchConfig(config, **search)
    return SearchConfig(run_config(name, dataset, run), **search)


SEARCH_HELP = {
    "method": f"how architectures are chosen: {', '.join(METHODS)}",
    "population": "architectures kept from one generation to the next (paper: 50)",
    "generations": "the first, random one counted (paper: 20)",
    "parents": "the most accurate ones of the population, which have offspring (paper: 20)",
    "mutation": "probability that a choice of a mutated architecture is drawn anew",
    "crossover_share": "share of the offspring that come from two parents, the others mutate",
    "search_seed": "seed of the search, apart from the supernet's",
    "max_flops": "most multiply-adds of an image, e.g. 330e6; 0 for no limit",
    "min_flops": "fewest multiply-adds; 0 for no limit",
    "max_params": "most parameters; 0 for no limit",
    "ensemble": "score by K supernets trained apart: max or average of their outputs (table 8)",
}
