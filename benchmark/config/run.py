"""The settings of one run: a flat frozen dataclass is the command line, the JSON, and the run's id.

Help texts are the comments of ``HELP``; a setting without one fails a test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.config.ids import defaults_of, read_settings, settings_id
from benchmark.config.presets import preset
from benchmark.config.space import SPACE_HELP, SpaceSettings
from benchmark.datasets import DATASETS
from kshot_core.evaluation.other_codes import SCORE_CODES
from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import SHARING, SharingOptions
from kshot_core.training.recipe import Recipe

SCORING = (
    "archs",
    "score_images",
    "score_batch_size",
    "score_paths",
    "score_codes",
    "track_every",
    "track_archs",
    "truth_column",
)
"""The settings of a run that decide how it ranks, and none of its weights."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the predictions of a run, and nothing else."""

    dataset: str = "digits"
    K: int = 8
    seed: int = 0
    sharing: str = "simplex"
    sampler: str = "uniform"
    preset: str = "quick"
    encoding: str = "raw"
    hidden: int = 64
    output_scale: float = SharingOptions.output_scale
    output_bias: bool = SharingOptions.output_bias
    widen_copies: bool = False
    few_shot_edge: int = 0
    space: str = "nasbench201"
    channels: int = 16
    cells: int = 5
    stages: str = SpaceSettings.stages
    stem: int = SpaceSettings.stem
    first: int = SpaceSettings.first
    head: int = SpaceSettings.head
    stem_stride: int = SpaceSettings.stem_stride
    factors: str = SpaceSettings.factors
    batch_norm: str = "batch"
    affine: bool = False
    epochs: int = 250
    average_epochs: int = 0
    batch_size: int = 64
    learning_rate: float = 0.025
    min_learning_rate: float = 0.001
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    gradient_clip: float = 5.0
    clip_norm: str = Recipe.clip_norm
    warmup_epochs: int = 10
    warmup: str = Recipe.warmup
    schedule: str = "alternate"
    simplex_every: int = 2
    simplex_batches: str = "shared"
    num_groups: int = 16
    simplex_batch_size: int = Recipe.simplex_batch_size
    simplex_learning_rate: float = 1e-3
    simplex_weight_decay: float = 0.0
    simplex_cosine: bool = Recipe.simplex_cosine
    balance: float = Recipe.balance
    regularisation: float = 1.0
    width_temperature: float = 0.3
    width_distance: float = 0.5
    unsampled: str = "freeze"
    compensate: bool = False
    batch_paths: bool = True
    lockstep: bool = False
    precision: str = "float32"
    archs: int = 0
    score_images: int = 0
    score_batch_size: int = 256
    score_paths: int = 1
    score_codes: str = "own"
    track_every: int = 0
    track_archs: int = 100
    train_images: int = 0
    split_seed: int = 0
    held_out: int = 0
    image_size: int = 0
    jitter: float = 0.4
    truth_column: str = "default"

    def __post_init__(self) -> None:
        """Refuse unknown names and impossible numbers, one clear line each."""
        one_of("--dataset", self.dataset, DATASETS)
        one_of("--sharing", self.sharing, SHARING)
        one_of("--sampler", self.sampler, SAMPLERS)
        one_of("--encoding", self.encoding, ("raw", "canonical"))
        if not 0 < self.output_scale < float("inf"):
            raise UserError(f"--output-scale must be above 0, got {self.output_scale}")
        one_of("--score-codes", self.score_codes, SCORE_CODES)
        if self.K == 1 and self.score_codes != "own":
            raise UserError(f"--score-codes {self.score_codes} needs more than one copy, got --K 1")
        one_of("--batch-norm", self.batch_norm, ("batch", "running"))
        least = {"K": 1, "seed": 0, "hidden": 1, "channels": 1, "cells": 1, "score_batch_size": 2}
        least |= {
            "score_paths": 1,
            "archs": 0,
            "score_images": 0,
            "track_every": 0,
            "track_archs": 2,
        }
        least |= {"train_images": 0, "split_seed": 0, "warmup_epochs": 0}
        least |= {"held_out": 0, "image_size": 0}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise UserError(
                    f"{flag(name)} must be at least {smallest}, got {getattr(self, name)}"
                )
        if self.archs == 1:
            raise UserError("--archs must be 0 (all) or at least 2 to rank anything, got 1")
        # Refuses what describes no space, and writes equal ones alike.
        space = self.space_settings()
        object.__setattr__(self, "stages", space.stages)
        object.__setattr__(self, "factors", space.factors)
        for name in ("width_temperature", "width_distance"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"{flag(name)} must be above 0, got {getattr(self, name)}")
        rates = ("learning_rate", "min_learning_rate", "momentum", "weight_decay")
        for name in (*rates, "gradient_clip", "regularisation", "jitter"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{flag(name)} must be 0 or more, got {getattr(self, name)}")
        try:
            self.recipe()
        except ValueError as error:
            raise UserError(f"these settings cannot train: {error}") from None

    def recipe(self) -> Recipe:
        """The settings that training reads."""
        names = {field.name for field in dataclasses.fields(Recipe)}
        return Recipe(**{name: value for name, value in self.to_dict().items() if name in names})

    def space_settings(self) -> SpaceSettings:
        """The settings that make the search space."""
        names = {field.name for field in dataclasses.fields(SpaceSettings)}
        values = {name: value for name, value in self.to_dict().items() if name in names}
        return SpaceSettings(**values)

    def training_only(self) -> RunConfig:
        """The same training, with whatever decides no weight at its default.

        Equal trainings have equal configs then, whatever they are used for.
        """
        return dataclasses.replace(
            self, **{name: getattr(RunConfig, name) for name in ("preset", *SCORING)}
        )

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values, in the order of their definition."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Settings from JSON values; missing ones have their defaults, unknown keys are refused."""
        return cls(**read_settings(cls, values))

    def run_id(self) -> str:
        """Eight hexadecimal digits, see ``settings_id``."""
        return settings_id(self.to_dict(), self.defaults())

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The defaults of all settings."""
        return defaults_of(cls)


def run_config(name: str, dataset: str, settings: Mapping[str, Any]) -> RunConfig:
    """A preset's settings, overridden; what a preset says of searches is passed over.

    One copy is one-shot whatever maps architectures to codes, and a training shorter than the
    preset's is not all warm-up. A strategy has a warm-up of its own where none is asked for:
    few-shot copies start from a one-shot supernet that is trained for half of the epochs (Zhao et
    al. 2021, whose sub-supernets take over trained weights), and random codes, which the paper
    never changes, are there from the first step. ``warmup`` and ``warmup_epochs`` give both the
    warm-up at 1/K that the others have.

    Args:
        name: of the preset.
        dataset: the data set.
        settings: those that differ from the preset's, by name.

    Raises:
        UserError: no such preset, no such setting, or settings that cannot work.
    """
    known = {field.name for field in dataclasses.fields(RunConfig)}
    unknown = sorted(settings.keys() - known)
    if unknown:
        raise UserError(f"a run has no settings {', '.join(unknown)}; see --help for those it has")
    values = {key: value for key, value in preset(name, dataset).items() if key in known}
    if "epochs" in settings and "warmup_epochs" in values:
        values["warmup_epochs"] = min(values["warmup_epochs"], max(0, settings["epochs"] // 2))
    values |= settings
    values |= {"dataset": dataset, "preset": name}
    # Without a K asked for, sharing that has one copy says what it is.
    K = values.setdefault("K", 1 if values.get("sharing") == "one-shot" else RunConfig.K)
    if K == 1:
        values["sharing"] = "one-shot"
    elif values.get("sharing") == "one-shot" and K > 1:
        raise UserError(f"--sharing one-shot has one copy, so --K is 1, got {K}")
    return RunConfig(**(values | _own_warmup(values, settings)))


def _own_warmup(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a strategy says of the warm-up, where the settings asked for say nothing of it."""
    if {"warmup", "warmup_epochs"} & settings.keys():
        return {}
    if values.get("sharing") == "random":
        return {"warmup_epochs": 0}
    if values.get("sharing") == "few-shot":
        return {"warmup": "one-shot", "warmup_epochs": values.get("epochs", RunConfig.epochs) // 2}
    return {}


HELP = SPACE_HELP | {
    "dataset": f"images to train on: {', '.join(DATASETS)}",
    "K": "copies of the supernet's weights; several values train one run each",
    "seed": "seed of everything random in a run",
    "sharing": f"how an architecture gets its weights: {', '.join(SHARING)}; K = 1 is one-shot",
    "sampler": f"which paths are trained: {', '.join(SAMPLERS)}",
    "preset": "published or tried settings to start from; other options override them",
    "encoding": "what the simplex-net sees: raw (paper), or canonical (dead edges removed)",
    "hidden": "width of the simplex-net's hidden layer",
    "output_scale": "of the simplex-net's first output weights; above 1 codes differ at once",
    "output_bias": "a bias in the simplex-net's output, which prefers copies for all alike",
    "widen_copies": "copies drawn √K wider, so that their mean has the scale of one network",
    "few_shot_edge": "edge whose operation picks the copy in few-shot sharing, 0..5",
    "epochs": "passes over the training images",
    "average_epochs": "end with the mean of the weights after the last so many epochs; 0: the last",
    "batch_size": "images of a training step",
    "learning_rate": "of SGD at the start",
    "min_learning_rate": "of SGD at the end of its cosine",
    "momentum": "of SGD",
    "nesterov": "Nesterov's form of momentum",
    "weight_decay": "of SGD on the supernets' weights",
    "gradient_clip": "largest norm of the gradient; 0 for no clipping",
    "clip_norm": "whose norm that is: the bank's (another bound at each K), or the merged weights'",
    "warmup_epochs": "first epochs, in which the simplex-net waits",
    "warmup": "codes of those: uniform (1/K), own, or one-shot (copy 0, then all from it)",
    "schedule": "alternate: supernets and simplex-net in turns (algorithm 2); joint: together",
    "simplex_every": "one step in so many trains the simplex-net",
    "simplex_batches": "shared: simplex steps use the epoch's images (paper), extra: further ones",
    "num_groups": "m, architectures in a simplex step, each with its part of the batch",
    "simplex_batch_size": "images of a simplex step with extra images; 0 for the batch size",
    "simplex_learning_rate": "of Adam on the simplex-net",
    "simplex_weight_decay": "of Adam on the simplex-net",
    "simplex_cosine": "the simplex-net's rate falls along a cosine to 0 instead of staying",
    "balance": "weight of a term that is 0 where all copies are used alike",
    "regularisation": "weight of r_c, which tells widths apart (paper eq. 17), where there are any",
    "width_temperature": "temperature of r_c (paper eq. 15)",
    "width_distance": "widths this far apart differ, as a share of the mean distance (paper: m)",
    "unsampled": "freeze: leave unused operations alone; decay: they decay and coast too",
    "compensate": "divide the weights' gradient by the sum of the squared code",
    "batch_paths": "several paths of a step in one pass; one by one is slower, rounds otherwise",
    "lockstep": "runs of one process share each step (for a GPU); rounds otherwise, resumed too",
    "precision": "of forward passes: float32, or bfloat16 (faster on a GPU, another result)",
    "archs": "how many architectures to score, drawn from the truth table; 0 for all it has",
    "score_images": "how many validation images to score on; 0 for all",
    "score_batch_size": "images of a scoring pass; under batch statistics part of the result",
    "score_paths": "architectures scored in one pass; more than 1 may pay on a GPU, and rounds",
    "score_codes": "own: each architecture's; mean: one for all; shuffled: another architecture's",
    "track_every": "measure tau on a few architectures every so many epochs; 0 for never",
    "track_archs": "architectures to measure tau on while training",
    "train_images": "how many training images to use, the first ones; 0 for all",
    "split_seed": "seed of the split where no published split file is found",
    "held_out": "training images held out for ranking, of an image folder; 0 for its default",
    "image_size": "pixels a side: of an image folder (0: 224), or what CIFAR's 32 shrink to",
    "jitter": "colour jitter of an image folder's training images",
    "truth_column": "column of the truth table to compare with, e.g. cifar10/test/200ep/mean",
}


def flag(name: str) -> str:
    """The command line option of a setting."""
    return "--" + name.replace("_", "-")
