"""The settings of one search: those of its supernet, how it goes, and its limits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.config.job import Job
from benchmark.config.presets import preset
from benchmark.config.run import RunConfig, run_config
from benchmark.config.values import flag
from kshot_core.search.limits import Limits
from kshot_core.search.methods import METHODS, SearchSettings
from kshot_core.settings import EVOLUTION, setting

ENSEMBLES = ("", "max", "average")


@dataclass(frozen=True)
class SearchConfig(Job):
    """Everything that decides what a search finds, and nothing else.

    Args:
        run: the supernet, and on how many images it scores.
    """

    what: ClassVar[str] = "search"

    run: RunConfig = RunConfig()
    method: str = setting(
        "nsga2", f"how architectures are chosen: {', '.join(METHODS)}", often=True
    )
    search: SearchSettings = SearchSettings()
    search_seed: int = setting(0, "seed of the search, apart from the supernet's", often=True)
    max_flops: float = setting(
        0.0, "most multiply-adds of an image, e.g. 330e6; 0 for no limit", often=True
    )
    min_flops: float = setting(0.0, "fewest multiply-adds; 0 for no limit", often=True)
    max_params: int = setting(0, "most parameters; 0 for no limit", often=True)
    ensemble: str = setting(
        "", "score by K supernets trained apart: max or average of their outputs (table 8)"
    )

    def __post_init__(self) -> None:
        """Refuse unknown names and impossible numbers, one clear line each."""
        one_of("--method", self.method, METHODS)
        one_of("--ensemble", self.ensemble, ENSEMBLES)
        if self.method != "random":
            try:
                self.search.check_parents()
            except ValueError as error:
                raise UserError(f"--{error}") from None
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

    def settings(self) -> SearchSettings:
        """The settings that the search itself reads."""
        return dataclasses.replace(self.search, seed=self.search_seed)

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
        one = self.run.changed(K=1, sharing="one-shot")
        seeds = range(self.run.seed, self.run.seed + self.run.K)
        return [dataclasses.replace(one, seed=seed) for seed in seeds]

    @property
    def label(self) -> str:
        """How weights are shared, in the names of folders."""
        return f"ensemble-{self.ensemble}-K{self.run.K}" if self.ensemble else self.run.label

    @property
    def title(self) -> str:
        """A search in a few words, for its progress."""
        return f"{self.run.dataset.name} {self.label} seed {self.run.seed}"

    def place(self) -> Path:
        """The folder of the search, relative to the results folder."""
        run = self.run
        seed = f"seed{run.seed}-{self.run_id()}"
        return Path("searches", run.dataset.name, run.space.name, self.label, seed)

    def conditions(self) -> dict[str, bool]:
        """See ``Job.conditions``."""
        return {**self.run.conditions(), EVOLUTION: self.method != "random"}


def search_config(
    name: str,
    dataset: str,
    settings: Mapping[str, Any],
    offered: Mapping[str, Any] = {},
) -> SearchConfig:
    """A preset's settings, overridden.

    Args:
        name: of the preset.
        dataset: the data set.
        settings: those that differ from the preset's, by name, the supernet's and the search's.
        offered: others, of which the search takes those that its parts have.

    Raises:
        UserError: no such preset, no such setting, or settings that cannot work.
    """
    whole, run = SearchConfig.known(), RunConfig.known()
    named = {key: value for key, value in preset(name, dataset).items() if key in whole}
    wanted = {**named, **offered, **settings}
    own = {key: value for key, value in settings.items() if key in run or key not in whole}
    shared = {key: value for key, value in offered.items() if key in run or key not in whole}
    if wanted.get("ensemble", ""):
        # K is the number of its members, each of them one-shot; see ``supernets``.
        own, shared = ({k: v for k, v in one.items() if k != "sharing"} for one in (own, shared))
        config = run_config(name, dataset, own, shared).changed(sharing="one-shot")
    else:
        config = run_config(name, dataset, own, shared)
    rest = {key: value for key, value in wanted.items() if key in whole.keys() - run.keys()}
    return dataclasses.replace(SearchConfig.of(**rest), run=config)
