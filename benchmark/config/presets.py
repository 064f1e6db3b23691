"""Settings to start from, one function each: what it reproduces, what it costs, how to run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmark.cli.parser import one_of

NO_DROPOUT = {f"dropout{kind}": 0.0 for kind in ("", "h", "x", "i", "e")}
"""Of ``darts_ptb``: nothing is dropped."""
TRUTHS_NETWORKS: dict[tuple[str, str], dict[str, Any]] = {
    ("nasbench201", "digits"): {"channels": 8, "cells": 1},
    ("nasbench101", "digits"): {"channels": 8, "cells": 1},
    ("darts", "digits"): {"channels": 4, "layers": 3, "zero": False},
    ("proxyless", "digits"): {
        "stages": "8x2/1,16x2/2", "stem": 8, "first": 8, "head": 32, "stem_stride": 1,
    },
    ("darts_ptb", "grammar"): {"units": 16, **NO_DROPOUT},
}  # fmt: skip
"""Space, data set -> the networks that the shipped table is of (``benchmark.truth.table``)."""


def quick(dataset: str, space: str) -> dict[str, Any]:
    """A look at the whole pipeline in minutes on a laptop.

    Where a table of stand-alone trainings is shipped, the supernet's networks are those that it is
    of. On ``digits`` and NAS-Bench-201 paths are strictly fair, five a step: the sampler that
    ranked best in so short a training there (study ``protocol``; on CIFAR-10 it ranked far worse
    than the others), in as many epochs as two cores train in five minutes. Copies get as many
    weight steps as one does. On other data sets it is a narrow supernet for a few epochs: good for
    trying things out, not for publishing.
    """
    own = TRUTHS_NETWORKS.get((space, dataset))
    network = {"channels": 8, "cells": 1} if own is None else {"space": space, **own}
    settings: dict[str, Any] = {
        **network,
        "batch_size": 64,
        "learning_rate": 0.05,
        "score_images": 1000,
        "score_batch_size": 250,
        "track_archs": 50,
        "track_every": 1,
        "num_seeds": 1,
    }
    if dataset == "grammar":
        return settings | {
            "batch_size": 32, "learning_rate": 1.0, "gradient_clip": 0.25, "epochs": 4,
            "warmup_epochs": 1, "score_images": 512, "score_batch_size": 64,
        }  # fmt: skip
    if dataset != "digits":
        return settings | {
            "epochs": 4, "warmup_epochs": 1, "archs": 500, "train_images": 10_000,
        }  # fmt: skip
    settings |= {
        "warmup_epochs": 0, "simplex_batches": "extra", "simplex_every": 4, "num_groups": 8,
        "output_scale": 10.0,
    }  # fmt: skip
    if space == "nasbench201":
        return settings | {"sampler": "fair", "epochs": 5}
    return settings | {"epochs": 6}


def proxy(dataset: str, space: str) -> dict[str, Any]:
    """A smaller supernet that still ranks: 8 channels, one cell a stage, 30 epochs.

    What Few-Shot-NAS of CVLab, Yonsei, found holds the ranking with narrow supernets; with
    thousands of architectures an hour of scoring on a CPU core.
    """
    return {
        "channels": 8,
        "cells": 1,
        "batch_size": 64,
        "learning_rate": 0.05,
        "epochs": 30,
        "warmup_epochs": 1,
        "score_images": 0 if dataset == "digits" else 5000,
        "score_batch_size": 250,
        "track_every": 5,
        "track_archs": 50,
        "num_seeds": 3,
    }


def paper(dataset: str, space: str) -> dict[str, Any]:
    """NAS-Bench-201's recipe for weight sharing, which the paper follows (appendix A).

    16 channels, 5 cells a stage, 250 epochs of batch 64, SGD 0.025 → 0.001 with Nesterov momentum
    and weight decay 5e-4 (on unsampled weights too, as torch did in 2021), all architectures
    scored on all validation images, ten seeds. Table 9, K = 8: 62.64 ± .17 on CIFAR-10,
    60.40 ± .13 on CIFAR-100, 56.33 ± .12 on ImageNet16-120. The warm-up keeps the proportion the
    paper states for ImageNet, 5 of 120 epochs. Meant for a GPU::

        python -m benchmark.run --dataset cifar10 --K 1 2 4 8 12 --preset paper --device cuda
    """
    return {
        "channels": 16,
        "cells": 5,
        "batch_size": 64,
        "learning_rate": 0.025,
        "epochs": 250,
        "warmup_epochs": 10,
        "unsampled": "decay",
        "score_images": 0,
        "score_batch_size": 1000,
        "track_every": 25,
        "track_archs": 200,
        "num_seeds": 10,
    }


def small(dataset: str, space: str) -> dict[str, Any]:
    """MobileNetV2's operations and widths in minutes on two cores.

    Six searched layers in two stages for ``digits``, eight in three for the 64×64 pixels that it
    takes of an image folder. Widths begin at .6, or .4 there: layers this narrow learn nothing at
    a fifth of their channels in a few thousand steps. Steps are small and many, and every fourth
    one trains the simplex-net, since a path is seldom drawn. The limit is about what a random
    network has.
    """
    settings: dict[str, Any] = {
        "space": "mobilenetv2",
        "K": 4,
        "batch_size": 32,
        "learning_rate": 0.1,
        "min_learning_rate": 0.0,
        "weight_decay": 4e-5,
        "epochs": 2,
        "warmup_epochs": 1,
        "num_groups": 4,
        "simplex_every": 4,
        "score_batch_size": 500,
        "population": 24,
        "parents": 10,
        "generations": 8,
    }
    if dataset == "digits":
        return settings | {
            "stages": "16x3/1,32x3/2",
            "stem": 16,
            "first": 16,
            "head": 96,
            "stem_stride": 1,
            "factors": "0.6,0.8,1.0",
            "score_images": 2000,
            "max_flops": 1e6,
        }
    return settings | {
        "stages": "16x2/2,24x3/2,40x3/2",
        "stem": 16,
        "first": 16,
        "head": 160,
        "factors": "0.4,0.7,1.0",
        "image_size": 64,
        "epochs": 60,
        "warmup_epochs": 5,
        "score_batch_size": 60,
        "max_flops": 3.5e6,
    }


def imagenet(dataset: str, space: str) -> dict[str, Any]:
    """The paper's search on ImageNet (section 5.1, appendices A and B).

    MobileNetV2's 21 searched layers and 24 widths, K = 8; batch 1024 over all processes, SGD with
    Nesterov momentum .9 from .12 along a cosine to 0 over 120 epochs, codes of 1/K for the first
    5, m = 16 paths in a simplex step, α = 1, τ = .3; batch statistics of 2,048 images at scoring,
    50,000 training images held out for it; 20 generations of 50 architectures from 20 parents.
    Table 2: 77.9 % at 412 M multiply-adds. The weight decay is that of Guo et al. (2020), whom
    the paper follows; it states none. Eight GPUs::

        torchrun --nproc-per-node 8 -m benchmark.search --dataset imagenet --preset imagenet \
            --data DIR --max-flops 420e6 --precision bfloat16
    """
    return {
        "space": "mobilenetv2",
        "K": 8,
        "batch_size": 1024,
        "learning_rate": 0.12,
        "min_learning_rate": 0.0,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 4e-5,
        "gradient_clip": 0.0,
        "epochs": 120,
        "warmup_epochs": 5,
        "num_groups": 16,
        "regularisation": 1.0,
        "width_temperature": 0.3,
        "held_out": 50_000,
        "score_batch_size": 2048,
        "population": 50,
        "parents": 20,
        "generations": 20,
        "max_flops": 420e6,
    }


PRESETS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "quick": quick,
    "proxy": proxy,
    "paper": paper,
    "small": small,
    "imagenet": imagenet,
}


def preset(name: str, dataset: str, space: str = "nasbench201") -> dict[str, Any]:
    """The settings of a preset for a data set and a search space.

    Raises:
        UserError: an unknown name.
    """
    one_of("--preset", name, PRESETS)
    return PRESETS[name](dataset, space)
