"""The settings of one retraining: the architecture, its space, the data, and the recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.config import presets
from benchmark.config.arch_file import FoundArch
from benchmark.config.ids import defaults_of, read_settings, settings_id
from benchmark.config.run import flag
from benchmark.config.space import SPACE_HELP, SpaceSettings
from benchmark.datasets import DATASETS
from kshot_core.retraining.trainer import RetrainRecipe

STRUCTURE = tuple(
    field.name
    for field in dataclasses.fields(SpaceSettings)
    # A network that is trained alone keeps running statistics and has affine batch-norms.
    if field.name not in ("batch_norm", "affine")
)
"""The settings that say which networks a space has."""


@dataclass(frozen=True)
class RetrainConfig:
    """Everything that decides the weights of a retraining, and nothing else."""

    arch: str
    dataset: str = "digits"
    seed: int = 0
    preset: str = "quick"
    space: str = "mobilenetv2"
    channels: int = SpaceSettings.channels
    cells: int = SpaceSettings.cells
    stages: str = SpaceSettings.stages
    stem: int = SpaceSettings.stem
    first: int = SpaceSettings.first
    head: int = SpaceSettings.head
    stem_stride: int = SpaceSettings.stem_stride
    factors: str = SpaceSettings.factors
    train_images: int = 0
    test_images: int = 0
    split_seed: int = 0
    image_size: int = 0
    jitter: float = 0.4
    epochs: int = RetrainRecipe.epochs
    batch_size: int = RetrainRecipe.batch_size
    learning_rate: float = RetrainRecipe.learning_rate
    warmup_epochs: float = RetrainRecipe.warmup_epochs
    decay: float = RetrainRecipe.decay
    decay_epochs: float = RetrainRecipe.decay_epochs
    momentum: float = RetrainRecipe.momentum
    rms_decay: float = RetrainRecipe.rms_decay
    epsilon: float = RetrainRecipe.epsilon
    weight_decay: float = RetrainRecipe.weight_decay
    label_smoothing: float = RetrainRecipe.label_smoothing
    ema: float = RetrainRecipe.ema
    precision: str = RetrainRecipe.precision

    def __post_init__(self) -> None:
        """Refuse unknown names and impossible numbers, one clear line each."""
        one_of("--dataset", self.dataset, DATASETS)
        for name in ("seed", "train_images", "test_images", "split_seed", "image_size"):
            if getattr(self, name) < 0:
                raise UserError(f"{flag(name)} must be 0 or more, got {getattr(self, name)}")
        if not 0 <= self.jitter < float("inf"):
            raise UserError(f"--jitter must be 0 or more, got {self.jitter}")
        # Refuses what describes no space, and what is no architecture of it.
        space = self.settings()
        object.__setattr__(self, "arch", space.arch(self.arch))
        object.__setattr__(self, "stages", space.stages)
        object.__setattr__(self, "factors", space.factors)
        try:
            self.recipe()
        except ValueError as error:
            raise UserError(f"these settings cannot train: {error}") from None

    def settings(self) -> SpaceSettings:
        """The search space, for networks that are trained alone."""
        structure = {name: getattr(self, name) for name in STRUCTURE}
        return SpaceSettings(**structure, batch_norm="running", affine=True)

    def recipe(self) -> RetrainRecipe:
        """The settings that training reads."""
        names = [field.name for field in dataclasses.fields(RetrainRecipe)]
        return RetrainRecipe(**{name: getattr(self, name) for name in names})

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values, in the order of their definition."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RetrainConfig:
        """Settings from JSON values; missing ones have their defaults, unknown keys are refused."""
        return cls(**read_settings(cls, values))

    def run_id(self) -> str:
        """Eight hexadecimal digits, see ``settings_id``."""
        return settings_id(self.to_dict(), self.defaults())

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The defaults of all settings that have one."""
        return defaults_of(cls)


RETRAIN_HELP = {name: SPACE_HELP[name] for name in STRUCTURE} | {
    "arch": "a search's arch.json, or an architecture as its space writes it",
    "dataset": f"images to train and judge on: {', '.join(DATASETS)}",
    "seed": "seed of the initial weights, of the order of images and of their augmentation",
    "preset": "published or tried settings to start from; other options override them",
    "train_images": "how many training images to use, the first ones; 0 for all, held out or not",
    "test_images": "how many test images to judge by, the first ones; 0 for all",
    "split_seed": "seed of the split where no published split file is found",
    "image_size": "height and width of an image folder's images; 0 for the search's, or 224",
    "jitter": "colour jitter of an image folder's training images",
    "epochs": "passes over the training images",
    "batch_size": "images of a training step, of all processes together",
    "learning_rate": "of RMSProp at its highest",
    "warmup_epochs": "epochs in which the learning rate rises from 0",
    "decay": "factor of the learning rate every decay-epochs after the warm-up",
    "decay_epochs": "epochs between two falls of the learning rate",
    "momentum": "of RMSProp",
    "rms_decay": "of RMSProp's mean square of the gradient",
    "epsilon": "of RMSProp, added to the mean square",
    "weight_decay": "of RMSProp on the weights, not on biases and batch-norms",
    "label_smoothing": "share of the target spread over all classes",
    "ema": "decay of the moving average of the weights, by step; the average is what is kept",
    "precision": "of forward passes: float32, or bfloat16 (faster on a GPU, another result)",
}


def quick(dataset: str, space: str) -> dict[str, Any]:
    """A few epochs on 20,000 images: minutes on two cores.

    The learning rate and the average's decay are scaled to the batch and to the number of steps.
    An architecture that comes without its space is one of the small spaces that the presets of
    ``benchmark.run`` and ``benchmark.search`` use.
    """
    whole = presets.small(dataset) if space == "mobilenetv2" else presets.quick(dataset)
    return {name: whole[name] for name in (*STRUCTURE, "image_size") if name in whole} | {
        "space": space,
        "train_images": 20_000 if dataset == "digits" else 0,
        "epochs": 6,
        "batch_size": 64,
        "learning_rate": 0.008,
        "warmup_epochs": 0.5,
        "decay": 0.8,
        "decay_epochs": 0.4,
        "ema": 0.999,
    }


def paper(dataset: str, space: str) -> dict[str, Any]:
    """The paper's retraining, meant for ImageNet and several GPUs.

    Section 5.1 and appendix A: RMSProp with momentum .9, batch 1024 over all processes, learning
    rate to .128 in 5 epochs and then times .97 every 2.4, weights averaged with .9999; 77.9 %
    top-1 at 412 M multiply-adds (table 2). The paper says nothing of the number of epochs and of
    the rest; MnasNet's 350, weight decay 1e-5 and label smoothing .1 are taken. At 412 M that is
    5.5e17 multiply-adds, backward passes included, and 450 M images to decode. Eight GPUs::

        torchrun --nproc-per-node 8 -m benchmark.retrain --arch arch.json --preset paper \
            --dataset imagenet --data DIR --precision bfloat16
    """
    return {"space": space, **dataclasses.asdict(RetrainRecipe())}


RETRAIN_PRESETS: dict[str, Callable[[str, str], dict[str, Any]]] = {"quick": quick, "paper": paper}


def config_of_text(preset: str, arch: str, dataset: str, given: dict[str, Any]) -> RetrainConfig:
    """A preset's settings for an architecture given as text, overridden.

    Args:
        preset: its name.
        arch: the architecture.
        dataset: the data set.
        given: settings that differ from the preset's.

    Raises:
        UserError: no such preset, or settings that cannot work.
    """
    space = given.get("space", RetrainConfig.space)
    return _config(arch, dataset, preset, _preset(preset, dataset, space), given)


def config_of_found(
    preset: str, found: FoundArch, dataset: str, given: dict[str, Any]
) -> RetrainConfig:
    """A preset's settings for an architecture that a search found, overridden.

    The space is the search's, and so is the size of the images where the data set is.

    Args:
        preset: its name.
        found: the architecture.
        dataset: the data set.
        given: settings that differ from the preset's.

    Raises:
        UserError: no such preset, or settings that cannot work.
    """
    settings = _preset(preset, dataset, found.settings.space)
    settings |= {name: getattr(found.settings, name) for name in STRUCTURE}
    if dataset == found.dataset:
        settings["image_size"] = found.image_size
    return _config(found.arch, dataset, preset, settings, given)


def _preset(name: str, dataset: str, space: str) -> dict[str, Any]:
    one_of("--preset", name, RETRAIN_PRESETS)
    return RETRAIN_PRESETS[name](dataset, space)


def _config(
    arch: str, dataset: str, preset: str, settings: dict[str, Any], given: dict[str, Any]
) -> RetrainConfig:
    # A shorter training than the preset's must not be all warm-up.
    if "epochs" in given:
        settings["warmup_epochs"] = min(settings["warmup_epochs"], given["epochs"] / 2)
    settings |= given
    structure = {name: settings[name] for name in STRUCTURE if name in settings}
    arch = SpaceSettings(**structure).arch(arch)
    return RetrainConfig(arch=arch, dataset=dataset, preset=preset, **settings)
