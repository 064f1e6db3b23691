"""Tiny runs on the embedded data set, for tests that train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmark.config.run import RunConfig
from benchmark.run.execute import run_one
from benchmark.standalone.command import draw_archs
from benchmark.train.setup import Places
from benchmark.truth.table import TruthTable
from kshot_core.spaces import NASBench201

TINY = RunConfig.of(
    K=3,
    channels=4,
    cells=1,
    epochs=3,
    batch_size=50,
    train_images=300,
    warmup_epochs=1,
    archs=12,
    score_images=100,
    score_batch_size=50,
    track_every=2,
    track_archs=4,
)


def write_truth(path: Path, num_archs: int = 12) -> Path:
    """A truth table of made-up accuracies that depend on the architecture alone."""
    space = NASBench201()
    archs = draw_archs(num_archs)
    values = [40 + 3.0 * space.num_convolutions(arch) + space.index(arch) % 7 for arch in archs]
    frame = pd.DataFrame(
        {
            "digits/valid/1ep/mean": values,
            "digits/valid/1ep/seed0": [value + 0.5 for value in values],
            "digits/valid/1ep/seed1": [value - 0.5 for value in values],
        },
        index=pd.Index([space.to_string(arch) for arch in archs], name="arch"),
    )
    TruthTable(None, frame).save(path)
    return path


def tiny(**changes: Any) -> RunConfig:
    """The tiny config with some settings changed."""
    return TINY.changed(**changes)


def run_tiny(
    config: RunConfig, results: Path, truth: Path, progress: Any = None, workers: int = 1
) -> dict[str, Any]:
    """Run a config on the CPU with a checkpoint after every epoch and every score."""

    def ignore(stage: str, done: int, total: int) -> None:
        pass

    places = Places(results=results, truth=truth)
    device = torch.device("cpu")
    return run_one(config, places, device, progress or ignore, 0, workers=workers)
