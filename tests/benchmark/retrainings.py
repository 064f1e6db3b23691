"""A tiny architecture to retrain, for tests: its config, its file, its options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmark.config.retrain import RetrainConfig
from benchmark.config.space import SpaceSettings

ARCH = "k3e3s,k5e3,k3e6|1.0,1.0,0.8,1.0,0.6,1.0"
SPACE = {
    "stages": "4x2/2,6x1/1",
    "stem": 4,
    "first": 4,
    "head": 8,
    "stem_stride": 1,
    "factors": "0.2,0.4,0.6,0.8,1.0",
}
SETTINGS = SpaceSettings("mobilenetv2", **SPACE)
TINY = RetrainConfig.of(
    arch=ARCH,
    **SPACE,
    epochs=3,
    batch_size=50,
    learning_rate=0.02,
    warmup_epochs=0.5,
    ema=0.9,
)
CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
SPACE_OPTIONS = [
    word for name, value in SPACE.items() for word in ("--" + name.replace("_", "-"), str(value))
]


def tiny(**changes: Any) -> RetrainConfig:
    """The tiny config with some settings changed."""
    return TINY.changed(**changes)


def write_arch(path: Path, **changes: Any) -> str:
    """What a search would hand over; returns the path."""
    values = {
        "space": "mobilenetv2",
        "settings": SETTINGS.to_dict(),
        "arch": ARCH,
        "dataset": "digits",
        "flops": 1.0,
        "params": 1,
        "accuracy": 50.0,
        "search": {"record": "searches/a", "config": {"K": 4, "image_size": 64}},
    }
    path.write_text(json.dumps({**values, **changes}))
    return str(path)
