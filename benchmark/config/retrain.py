"""The settings of one retraining: the architecture, its space, the data, and the recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.config import presets
from benchmark.config.arch_file import FoundArch
from benchmark.config.dataset import RetrainingData
from benchmark.config.job import Job
from benchmark.config.space import StandaloneSpace
from benchmark.config.values import flag
from kshot_core.retraining.trainer import RetrainRecipe
from kshot_core.settings import ALONE, plain_settings, setting


@dataclass(frozen=True)
class RetrainConfig(Job):
    """Everything that decides the weights of a retraining, and nothing else."""

    what: ClassVar[str] = "retraining"

    arch: str = setting(
        "", "a search's arch.json, or an architecture as its space writes it", often=True
    )
    seed: int = setting(
        0,
        "seed of the initial weights, of the order of images and of their augmentation",
        often=True,
    )
    preset: str = setting(
        "quick",
        "published or tried settings to start from; other options override them",
        often=True,
    )
    test_images: int = setting(
        0, "how many test images to judge by, the first ones; 0 for all", often=True
    )
    dataset: RetrainingData = RetrainingData("digits")
    space: StandaloneSpace = StandaloneSpace("mobilenetv2")
    recipe: RetrainRecipe = RetrainRecipe()

    def __post_init__(self) -> None:
        """Refuse impossible numbers and what is no architecture, one clear line each."""
        for name in ("seed", "test_images"):
            if getattr(self, name) < 0:
                raise UserError(f"{flag(name)} must be 0 or more, got {getattr(self, name)}")
        object.__setattr__(self, "arch", self.space.arch(self.arch))

    @property
    def title(self) -> str:
        """A retraining in a few words, for its progress."""
        return f"{self.dataset.name} {self.space.name} seed {self.seed}"

    def place(self) -> Path:
        """The folder of the retraining, relative to the results folder."""
        seed = f"seed{self.seed}-{self.run_id()}"
        return Path("retrained", self.dataset.name, self.space.name, seed)

    def conditions(self) -> dict[str, bool]:
        """See ``Job.conditions``."""
        return {ALONE: True}


def quick(dataset: str, space: str) -> dict[str, Any]:
    """A few epochs on 20,000 images: minutes on two cores.

    The learning rate and the average's decay are scaled to the batch and to the number of steps.
    An architecture that comes without its space is one of the small spaces that the presets of
    ``benchmark.run`` and ``benchmark.search`` use.
    """
    made = presets.small if space == "mobilenetv2" else presets.quick
    whole = made(dataset, space)
    kept = {*StandaloneSpace.settings(space), *RetrainingData.settings(dataset)} - {"train_images"}
    return {name: value for name, value in whole.items() if name in kept} | {
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
    return plain_settings(RetrainRecipe())


RETRAIN_PRESETS: dict[str, Callable[[str, str], dict[str, Any]]] = {"quick": quick, "paper": paper}


def config_of_text(preset: str, arch: str, dataset: str, given: Mapping[str, Any]) -> RetrainConfig:
    """A preset's settings for an architecture given as text, overridden.

    Args:
        preset: its name.
        arch: the architecture.
        dataset: the data set.
        given: settings that differ from the preset's.

    Raises:
        UserError: no such preset, or settings that cannot work.
    """
    return _config(arch, dataset, preset, given.get("space", RetrainConfig.space.name), {}, given)


def config_of_found(
    preset: str, found: FoundArch, dataset: str, given: Mapping[str, Any]
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
    space = StandaloneSpace.like(found.settings)
    own: dict[str, Any] = {"space": space.name, **space.plain()}
    if dataset == found.dataset:
        own["image_size"] = found.image_size
    return _config(found.arch, dataset, preset, space.name, own, given)


def _config(
    arch: str,
    dataset: str,
    preset: str,
    space: str,
    own: Mapping[str, Any],
    given: Mapping[str, Any],
) -> RetrainConfig:
    one_of("--preset", preset, RETRAIN_PRESETS)
    one_of("--dataset", dataset, RetrainingData.registry)
    one_of("--space", space, StandaloneSpace.registry)
    settings = RETRAIN_PRESETS[preset](dataset, space)
    # A shorter training than the preset's must not be all warm-up.
    if "epochs" in given:
        settings["warmup_epochs"] = min(settings["warmup_epochs"], given["epochs"] / 2)
    named = {"arch": arch, "dataset": dataset, "preset": preset, "space": space}
    return RetrainConfig.assembled({**given, **named}, {**settings, **own})
