"""How long ranking runs would take on a GPU: a roofline, which is an estimate and no measurement.

A step is rehearsed on PyTorch's meta device (``kshot_core.training.rehearsal``), which says what
operations it has, what they move and multiply. Each takes the device as long as its slower part, at
the shares of an H100's published peaks below, and at least the time of a kernel that does nothing;
and each takes the processor, which asks for them one after another, ``HOST_SECONDS``. A step takes
what is longer of both. ``docs/performance.md`` has the reasons and the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.config.run import RunConfig
from benchmark.datasets.splits import Splits
from benchmark.train.setup import build_trainer
from kshot_core.evaluation.scores import score_one, work_list
from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import Sharing
from kshot_core.space import Listable, Space
from kshot_core.tasks.batches import Batch
from kshot_core.training.recipe import Recipe
from kshot_core.training.rehearsal import DEVICE, Operation, Rehearsal, rehearse_step

PEAK_FLOPS = 67e12
"""An H100 SXM's float32 without tensor cores, multiply-adds counted twice (NVIDIA's data sheet)."""
PEAK_BYTES = 3.35e12
"""Bytes a second of its memory (the same)."""
SHARE_OF_FLOPS, SHARE_OF_BYTES = 0.3, 0.6
"""What convolutions of 16 to 64 channels and element-wise kernels are assumed to reach of them."""
KERNEL_SECONDS = 3e-6
"""Assumed of the shortest kernel on the device."""
HOST_SECONDS = 10e-6
"""Assumed of an operation's way through Python, autograd and the launch."""
_NUM_PATHS = 3
_NUM_ALL = 15_625

IMAGES = {
    "cifar10": (10, 32, 25_000, 25_000),
    "cifar100": (100, 32, 50_000, 5_000),
    "imagenet16-120": (120, 16, 151_700, 3_000),
}
"""Classes, pixels a side, images to train on and to score on, as NAS-Bench-201 splits them."""


@dataclass(frozen=True)
class Estimate:
    """What one run would take.

    Args:
        weight_step: seconds.
        simplex_step: seconds; 0 where there are none.
        arch: seconds to score one architecture.
        training: seconds.
        scoring: seconds.
        waits: share of a weight step in which the device waits for the processor.
    """

    weight_step: float
    simplex_step: float
    arch: float
    training: float
    scoring: float
    waits: float

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return self.training + self.scoring


def estimates(configs: Sequence[RunConfig]) -> list[Estimate | None]:
    """An estimate for each run; None for data sets whose sizes are not known beforehand.

    Runs that differ in their seed share one, and so do those of more than one copy on a data set:
    what the largest K moves more than the least is a few per cent.
    """
    largest: dict[RunConfig, int] = {}
    for config in configs:
        largest[_alike(config)] = max(largest.get(_alike(config), 1), config.K)
    known = {
        key: estimate(replace(key, K=K)) for key, K in largest.items() if key.dataset.name in IMAGES
    }
    return [known.get(_alike(config)) for config in configs]


def roofline_lines(configs: Sequence[RunConfig]) -> list[str]:
    """What runs would take on one H100, for a terminal: a line for each kind of run, then all."""
    known = [
        (config, found) for config, found in zip(configs, estimates(configs), strict=True) if found
    ]
    if not known:
        return ["no roofline: the sizes of this data set are not known beforehand"]
    lines = [
        "on one H100, by a roofline (an estimate that no GPU has checked; docs/performance.md):"
    ]
    kinds = {(config.dataset.name, config.K > 1): found for config, found in known}
    for (dataset, several), one in kinds.items():
        simplex = f", simplex step {1e3 * one.simplex_step:.1f} ms" if one.simplex_step else ""
        lines.append(
            f"  {dataset}, K {'> 1' if several else '= 1'}: weight step "
            f"{1e3 * one.weight_step:.1f} ms{simplex}, training {one.training / 3600:.1f} h, "
            f"scoring {one.scoring / 3600:.1f} h"
        )
    hours = sum(found.seconds for _, found in known) / 3600
    lines.append(f"  {len(known)} runs: about {hours:,.0f} h, one after another")
    return lines


def estimate(config: RunConfig) -> Estimate:
    """The estimate of one run. Raises ``KeyError`` for a data set of unknown sizes."""
    images = _images(config)
    space = config.space.build(images)
    trainer = build_trainer(config.training_only(), space, _Nothing(), DEVICE)
    batch = _batch(config.training.batch_size, images)
    paths = [rehearse_step(trainer, "weight", *batch).operations for _ in range(_NUM_PATHS)]
    weight = sum(map(seconds_of, paths)) / _NUM_PATHS
    simplex = 0.0
    if trainer.simplex_optimizer is not None:
        larger = _batch(trainer.recipe.images_of_simplex_step, images)
        simplex = seconds_of(rehearse_step(trainer, "simplex", *larger).operations)
    arch = SAMPLERS["uniform"](space)(torch.Generator().manual_seed(config.seed))[0]
    with Rehearsal() as scored:
        score_one(
            trainer.shared, trainer.sharing, arch, [_batch(config.scoring.score_batch_size, images)]
        )
    num_images = config.scoring.score_images or images.num_valid
    per_arch = seconds_of(scored.operations) * num_images / config.scoring.score_batch_size
    num_weight, num_simplex = num_steps(config.training, images.num_train, simplex > 0)
    device = sum(map(device_seconds, paths)) / _NUM_PATHS
    return Estimate(
        weight,
        simplex,
        per_arch,
        num_weight * weight + num_simplex * simplex,
        per_arch * _num_networks(config, space, trainer.sharing),
        max(0.0, 1 - device / weight),
    )


def seconds_of(operations: Sequence[Operation]) -> float:
    """Seconds of operations one after another: the device's or the processor's, the longer."""
    return max(device_seconds(operations), HOST_SECONDS * len(operations))


def device_seconds(operations: Sequence[Operation]) -> float:
    """Seconds of the device for operations one after another."""
    return sum(
        max(
            KERNEL_SECONDS,
            one.num_bytes / (SHARE_OF_BYTES * PEAK_BYTES),
            one.flops / (SHARE_OF_FLOPS * PEAK_FLOPS),
        )
        for one in operations
    )


def num_steps(recipe: Recipe, num_images: int, learns: bool) -> tuple[int, int]:
    """Weight steps and simplex steps of a training on so many images."""
    per_epoch = num_images // recipe.batch_size
    warm = min(recipe.warmup_epochs, recipe.epochs) if learns else recipe.epochs
    cold, every = (recipe.epochs - warm) * per_epoch, recipe.simplex_every
    if recipe.schedule == "joint":
        return recipe.epochs * per_epoch, cold
    if recipe.simplex_batches == "extra":
        return recipe.epochs * per_epoch, cold // (every - 1)
    return warm * per_epoch + cold - cold // every, cold // every


def _num_networks(config: RunConfig, space: Space, sharing: Sharing) -> int:
    """How many architectures run; equal networks of equal codes once."""
    if config.ranking.archs or not isinstance(space, Listable):
        return config.ranking.archs or _NUM_ALL
    return len(work_list(space.archs(), sharing, space.canonical)[0])


def _alike(config: RunConfig) -> RunConfig:
    """The config with what changes no estimate set to one value."""
    return replace(config, seed=0, K=min(config.K, 2))


def _images(config: RunConfig) -> Splits:
    """Images of a data set's sizes, without numbers."""
    classes, own, num_train, num_valid = IMAGES[config.dataset.name]
    size = config.dataset.get("image_size", 0) or own

    def images(num: int) -> tuple[Tensor, Tensor]:
        pixels = torch.empty(num, 3, size, size, dtype=torch.uint8, device=DEVICE)
        return pixels, torch.empty(num, dtype=torch.long, device=DEVICE)

    train, valid = images(config.dataset["train_images"] or num_train), images(num_valid)
    middle = ((0.5,) * 3,) * 2
    return Splits(config.dataset.name, classes, *train, *valid, *middle, "", 0, False, {})


def _batch(num: int, images: Splits) -> Batch:
    pixels = images.train_images[:1].float().expand(num, -1, -1, -1)
    labels = torch.empty(num, dtype=torch.long, device=DEVICE)
    return pixels.contiguous(memory_format=torch.channels_last), labels


class _Nothing:
    """The batches of a training whose steps are taken one by one."""

    def __len__(self) -> int:
        return 0

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        return iter(())
