"""The settings of one run: a supernet, its training, and a ranking with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from benchmark.cli.errors import UserError
from benchmark.config.choice import Choice
from benchmark.config.dataset import DatasetSettings
from benchmark.config.job import Job
from benchmark.config.presets import preset
from benchmark.config.space import SpaceSettings
from benchmark.config.values import flag
from kshot_core.checks import check_at_least
from kshot_core.evaluation.settings import ScoringSettings
from kshot_core.sampling import SAMPLERS
from kshot_core.settings import ALONE, SEVERAL_COPIES, TRAINED_CODES, WIDTHS, setting
from kshot_core.sharing import SHARING, OwnWarmup
from kshot_core.training.recipe import Recipe
from kshot_core.training.regularisation import WidthSettings


class SharingSettings(Choice):
    """A sharing strategy; its settings stand in its own file."""

    part: ClassVar[str] = "sharing"
    registry: ClassVar[Mapping[str, Any]] = SHARING
    help: ClassVar[str] = "how an architecture gets its weights: {names}; K = 1 is one-shot"


class SamplerSettings(Choice):
    """A sampler; its settings stand in its own file."""

    part: ClassVar[str] = "sampler"
    registry: ClassVar[Mapping[str, Any]] = SAMPLERS
    help: ClassVar[str] = "which paths are trained: {names}"


@dataclass(frozen=True)
class RankingSettings:
    """What is ranked, and what it is compared with."""

    archs: int = setting(
        0,
        "how many architectures to score, drawn from the truth table; 0 for all it has",
        often=True,
    )
    track_every: int = setting(
        0, "measure tau on a few architectures every so many epochs; 0 for never", often=True
    )
    track_archs: int = setting(
        100, "architectures to measure tau on while training", needs="track_every"
    )
    gradient_archs: int = setting(
        0, "architectures whose gradients in shared weights are compared in pairs; 0 for none"
    )
    truth_column: str = setting(
        "default",
        "column of the truth table to compare with, e.g. cifar10/test/200ep/mean",
        often=True,
    )

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        least = {"archs": 0, "track_every": 0, "track_archs": 2, "gradient_archs": 0}
        check_at_least(self, least)
        if self.archs == 1:
            raise ValueError("archs must be 0 (all) or at least 2 to rank anything, got 1")
        if self.gradient_archs == 1:
            raise ValueError("gradient_archs must be 0 (none) or at least 2 to make a pair, got 1")


@dataclass(frozen=True)
class RunConfig(Job):
    """Everything that decides the predictions of a run, and nothing else."""

    what: ClassVar[str] = "run"

    seed: int = setting(0, "seed of everything random in a run", often=True)
    preset: str = setting(
        "quick",
        "published or tried settings to start from; other options override them",
        often=True,
    )
    K: int = setting(
        8, "copies of the supernet's weights; several values train one run each", often=True
    )
    widen_copies: bool = setting(
        False,
        "copies drawn √K wider, so that their mean has the scale of one network",
        needs=SEVERAL_COPIES,
    )
    lockstep: bool = setting(
        False, "runs of one process share each step (for a GPU); rounds otherwise, resumed too"
    )
    dataset: DatasetSettings = DatasetSettings("digits")
    space: SpaceSettings = SpaceSettings()
    sharing: SharingSettings = SharingSettings("simplex")
    sampler: SamplerSettings = SamplerSettings("uniform")
    training: Recipe = Recipe()
    widths: WidthSettings = WidthSettings()
    scoring: ScoringSettings = ScoringSettings()
    ranking: RankingSettings = RankingSettings()

    def __post_init__(self) -> None:
        """Refuse impossible numbers, one clear line each."""
        for name, smallest in {"K": 1, "seed": 0}.items():
            if getattr(self, name) < smallest:
                raise UserError(
                    f"{flag(name)} must be at least {smallest}, got {getattr(self, name)}"
                )
        codes = self.scoring.score_codes
        if self.K == 1 and codes != "own":
            raise UserError(f"--score-codes {codes} needs more than one copy, got --K 1")

    @property
    def label(self) -> str:
        """How weights are shared, in the names of folders."""
        return f"{self.sharing.name}-K{self.K}"

    @property
    def title(self) -> str:
        """A training in a few words, for its progress."""
        return f"{self.dataset.name} {self.sharing.name} K={self.K} seed {self.seed}"

    def place(self) -> Path:
        """The folder of the run's record, relative to the results folder."""
        return Path("records", *self._below())

    def supernet_place(self) -> Path:
        """The folder of its supernet, likewise."""
        return Path("supernets", *self.training_only()._below())

    def _below(self) -> tuple[str, ...]:
        seed = f"seed{self.seed}-{self.run_id()}"
        return self.dataset.name, self.space.name, self.label, seed

    def training_only(self) -> RunConfig:
        """The same training, with whatever decides no weight at its default.

        Equal trainings have equal configs then, whatever they are used for.
        """
        return dataclasses.replace(
            self, preset=type(self).preset, scoring=ScoringSettings(), ranking=RankingSettings()
        )

    def conditions(self) -> dict[str, bool]:
        """See ``Job.conditions``."""
        several = self.K > 1
        return {
            ALONE: False,
            SEVERAL_COPIES: several,
            TRAINED_CODES: several and self._trains_codes(),
            WIDTHS: several and self._searches_widths() and self._trains_codes(),
        }

    def _trains_codes(self) -> bool:
        """Whether the strategy has parameters, which simplex steps train."""
        try:
            module = self.sharing.made()(self.space.without_images(), self.K)
        except ValueError:
            return True  # it is refused with a reason when it is built for its images
        return any(True for _ in module.parameters())

    def _searches_widths(self) -> bool:
        space = self.space.without_images()
        return any(space.num_choices[site] > 1 for site in space.width_sites)


def run_config(
    name: str,
    dataset: str,
    settings: Mapping[str, Any],
    offered: Mapping[str, Any] = {},
) -> RunConfig:
    """A preset's settings, overridden.

    What a preset says of searches, or of another space than the one asked for, is passed over. One
    copy is one-shot whatever maps architectures to codes, and a training shorter than the
    preset's is not all warm-up. Where neither ``warmup`` nor ``warmup_epochs`` is asked for, a
    strategy that has a warm-up of its own gets that one, see ``OwnWarmup``.

    Args:
        name: of the preset.
        dataset: the data set.
        settings: those that differ from the preset's, by name.
        offered: others, of which the run takes those that its parts have: settings of several
            runs together.

    Raises:
        UserError: no such preset, no such setting, or settings that cannot work.
    """
    wanted = {"dataset": dataset, **offered, **settings}
    space = wanted.get("space", RunConfig.space.name)
    values = RunConfig.fitting({"dataset": dataset, **preset(name, dataset, space)}, wanted)
    if "epochs" in wanted and "warmup_epochs" in values:
        values["warmup_epochs"] = min(values["warmup_epochs"], max(0, wanted["epochs"] // 2))
    given = {**settings, "dataset": dataset, "preset": name}
    # Without a K asked for, sharing that has one copy says what it is.
    sharing = wanted.get("sharing", values.get("sharing"))
    K = wanted.get("K", values.get("K", 1 if sharing == "one-shot" else RunConfig.K))
    if K == 1:
        sharing = "one-shot"
    elif sharing == "one-shot" and K > 1:
        raise UserError(f"--sharing one-shot has one copy, so --K is 1, got {K}")
    given |= {"K": K} | ({} if sharing is None else {"sharing": sharing})
    values |= _own_warmup(sharing, {**values, **wanted}, wanted)
    return RunConfig.assembled(given, {**values, **offered})


def _own_warmup(
    sharing: str | None, values: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """What a strategy says of the warm-up, where the settings asked for say nothing of it."""
    if {"warmup", "warmup_epochs"} & wanted.keys():
        return {}
    strategy: object = SHARING.get(sharing or "")
    if not isinstance(strategy, OwnWarmup):
        return {}
    return strategy.warmup(values.get("epochs", RunConfig.training.epochs))
