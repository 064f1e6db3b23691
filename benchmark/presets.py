"""Settings to start from, one function each: what it reproduces, what it costs, how to run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmark.errors import UserError


def quick(dataset: str) -> dict[str, Any]:
    """A look at the whole pipeline in minutes on a laptop.

    For ``digits`` the network is the one its truth was trained with (8 channels, one cell a
    stage), so predictions and truth are about the same architectures. On other data sets it is a
    narrow one-cell supernet for a few epochs: good for trying things out, not for publishing.
    """
    settings: dict[str, Any] = {
        "channels": 8,
        "cells": 1,
        "batch_size": 64,
        "learning_rate": 0.05,
        "epochs": 4,
        "warmup_epochs": 1,
        "score_images": 1000,
        "score_batch_size": 250,
        "track_every": 1,
        "track_archs": 50,
        "num_seeds": 1,
    }
    if dataset != "digits":
        settings |= {"archs": 500, "train_images": 10_000}
    return settings


def proxy(dataset: str) -> dict[str, Any]:
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


def paper(dataset: str) -> dict[str, Any]:
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


PRESETS: dict[str, Callable[[str], dict[str, Any]]] = {
    "quick": quick,
    "proxy": proxy,
    "paper": paper,
}


def preset(name: str, dataset: str) -> dict[str, Any]:
    """The settings of a preset for a data set. Raises ``UserError`` for an unknown name."""
    if name not in PRESETS:
        raise UserError(f"--preset is one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name](dataset)
