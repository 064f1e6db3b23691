"""Sizes that the studies of searches share: MobileNetV2's space, tiny, on two cores, on GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.study.definition import Size

TINY: Mapping[str, Any] = {
    "stages": "8x1/1,12x1/2",
    "stem": 8,
    "first": 8,
    "head": 16,
    "train_images": 640,
    "epochs": 2,
    "score_images": 200,
    "score_batch_size": 100,
    "population": 4,
    "parents": 2,
    "generations": 2,
    "max_flops": 1.8e5,
}
"""Seconds a search: what comes out is a table to look at, no measurement."""
TINY_RETRAINING: Mapping[str, Any] = {"epochs": 1, "train_images": 640, "test_images": 500}
SMALL: Mapping[str, Any] = {
    "population": 12,
    "parents": 6,
    "generations": 6,
    "score_images": 1000,
    "train_images": 20_000,
}
"""Minutes a search on a core: some 1,100 steps of a supernet, 72 architectures scored."""


def tiny(**more: Any) -> Size:
    """``TINY`` on the embedded digits; ``more`` are arguments of ``Size``."""
    settings = {**TINY, **more.pop("settings", {})}
    retrain = {**TINY_RETRAINING, **more.pop("retrain", {})}
    return Size("small", "digits", settings, retrain=retrain, **more)


def cpu(**more: Any) -> Size:
    """``SMALL`` on the embedded digits, two epochs of retraining."""
    settings = {**SMALL, **more.pop("settings", {})}
    retrain = {"epochs": 2, **more.pop("retrain", {})}
    return Size("small", "digits", settings, retrain=retrain, **more)


def paper(**more: Any) -> Size:
    """The paper's search on ImageNet and its retraining (sections 5.1, appendices A and B)."""
    settings = dict(more.pop("settings", {}))
    return Size("imagenet", "imagenet", settings, retrain_preset="paper", **more)
