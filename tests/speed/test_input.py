"""How fast images are read from files: ``tox -e speed``. What fails a test are ratios.

Images a second of one core's time are in each test's ``extra_info`` and are printed; time of the
core and not of the clock, which also runs while something else has the core.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from ratios import compare

from benchmark.datasets import DataRequest
from benchmark.datasets.imagefiles import TrainingFiles
from benchmark.datasets.imagefolder import FolderSettings, ImageFolder, load_imagenet
from benchmark.datasets.jpeg import Pixels, random_box, read_augmented
from benchmark.workers.jobs import num_cores

CPU = torch.device("cpu")
SIZE, JITTER, NUM = 224, 0.4, 120
Work = list[Callable[[], object]]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    """Ten classes of ImageNet, their shorter sides 224."""
    if not (shared_data / "imagenette").is_dir():
        pytest.skip(f"no imagenette in {shared_data}")
    return shared_data / "imagenette"


def _load(folder: Path, workers: int) -> ImageFolder:
    return load_imagenet(
        DataRequest(folder, workers=workers), FolderSettings(image_size=SIZE, jitter=JITTER)
    )


def _core_seconds(function: Callable[[], object]) -> float:
    started = time.thread_time()
    function()
    return time.thread_time() - started


def _report(benchmark: Any, work: Work, names: tuple[str, str], times: tuple[float, ...]) -> float:
    """Let pytest-benchmark time our side once more, and keep what was compared."""
    first, second, ratio = times
    benchmark.extra_info["images_a_second"] = round(1 / first)
    benchmark.extra_info["ratio"] = round(ratio, 3)
    figures = f"{names[0]} {1e3 * first:.2f} ms an image ({1 / first:.0f} a second), "
    print(f"\n{figures}{names[1]} {1e3 * second:.2f} ms: {ratio:.3f}")  # noqa: T201
    benchmark.pedantic(work[0], rounds=3)
    return ratio


def _plain(path: str, seed: int) -> Pixels:
    """The recipe step by step: the whole image, the part, its size, three changes of colour."""
    generator = random.Random(seed)
    with Image.open(path) as file:
        image = file.convert("RGB")
    left, top, right, bottom = random_box(*image.size, generator)
    part = image.crop((int(left), int(top), int(right), int(bottom)))
    part = part.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    if generator.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        part = change(part).enhance(1 + JITTER * (2 * generator.random() - 1))
    return np.array(part)


@pytest.mark.parametrize(
    ("size", "most"), [(None, 1.05), ((500, 375), 1.05), ((2048, 1536), 0.6)], ids=str
)
def test_images_are_read_faster_than_step_by_step(
    benchmark: Any, folder: Path, tmp_path: Path, size: tuple[int, int] | None, most: float
) -> None:
    files, paths = _load(folder, 0).train_files, []
    for index in range(NUM if size is None else NUM // 4):
        paths.append(files.path(index * 4))
        if size is not None:
            # Natural images at the size of ImageNet's, and at that of its largest.
            with Image.open(paths[-1]) as file:
                larger = file.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            paths[-1] = str(tmp_path / f"{index}.JPEG")
            larger.save(paths[-1], quality=90)
    ours: Work = [partial(read_augmented, path, 7, SIZE, JITTER) for path in paths]
    theirs: Work = [partial(_plain, path, 7) for path in paths]
    pairs = [
        (_core_seconds(one), _core_seconds(other)) for one, other in zip(ours, theirs, strict=True)
    ]
    first, second = (statistics.mean(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    assert _report(benchmark, ours, ("read", "step by step"), (first, second, ratio)) <= most


def _four_batches(images: TrainingFiles) -> None:
    """The start of a pass; with a process of its own, that decodes on while this one works."""
    batches = images.training_batches(60, torch.Generator())
    for _ in range(4):
        next(batches)


@pytest.mark.skipif(num_cores() < 2, reason="a process beside this one needs a core of its own")
def test_a_process_hands_images_over_at_little_cost(benchmark: Any, folder: Path) -> None:
    other_process, this_process = (_load(folder, workers).training(CPU) for workers in (1, 0))
    ours: Work = [partial(_four_batches, other_process)] * 6
    theirs: Work = [partial(_four_batches, this_process)] * 6
    first, second, ratio = compare(ours, theirs, CPU)
    times = first / 240, second / 240, ratio
    assert _report(benchmark, ours, ("one process", "in this one"), times) < 1.3
