"""How fast images are read from files, an image a call, on one core: ``tox -e speed``.

Images a second are in each test's ``extra_info`` and are printed; what fails a test are ratios.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from ratios import compare

from benchmark.datasets import DataRequest
from benchmark.datasets.imagefolder import ImageFolder, load_imagenet
from benchmark.datasets.jpeg import _jittered, random_box, read_augmented

CPU = torch.device("cpu")
SIZE, JITTER, NUM = 224, 0.4, 240
Work = list[Callable[[], object]]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    """Ten classes of ImageNet, their shorter sides 224."""
    if not (shared_data / "imagenette").is_dir():
        pytest.skip(f"no imagenette in {shared_data}")
    return shared_data / "imagenette"


def _load(folder: Path, workers: int) -> ImageFolder:
    return load_imagenet(DataRequest(folder, image_size=SIZE, jitter=JITTER, workers=workers))


def _report(benchmark: Any, work: Work, names: tuple[str, str], times: tuple[float, ...]) -> float:
    """Let pytest-benchmark time our side once more, and keep what was compared."""
    first, second, ratio = times
    benchmark.extra_info["images_a_second"] = round(1 / first)
    benchmark.extra_info["ratio"] = round(ratio, 3)
    figures = f"{names[0]} {1e3 * first:.2f} ms an image ({1 / first:.0f} a second), "
    print(f"\n{figures}{names[1]} {1e3 * second:.2f} ms: {ratio:.3f}")  # noqa: T201
    benchmark.pedantic(work[0], rounds=3)
    return ratio


def _decode(path: str) -> Image.Image:
    return Image.open(io.BytesIO(Path(path).read_bytes())).convert("RGB")


def test_reading_takes_a_few_times_as_long_as_decoding(benchmark: Any, folder: Path) -> None:
    files = _load(folder, 0).train_files
    paths = [files.path(index * len(files) // NUM) for index in range(NUM)]
    ours: Work = [partial(read_augmented, path, 7, SIZE, JITTER) for path in paths]
    theirs: Work = [partial(_decode, path) for path in paths]
    times = compare(ours, theirs, CPU)
    # These images are small: decoding a whole one of ImageNet takes four times as long.
    assert _report(benchmark, ours, ("read", "decoded"), times) < 6


def _plain(path: str, seed: int) -> np.ndarray:
    """What ``read_augmented`` does, from the image at its full size."""
    image, generator = _decode(path), random.Random(seed)
    box = random_box(*image.size, generator)
    part = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box)
    mirrored = generator.random() < 0.5
    pixels = np.asarray(_jittered(part, JITTER, generator))
    return pixels[:, ::-1] if mirrored else pixels


@pytest.mark.parametrize(("width", "height", "most"), [(500, 375, 1.1), (2048, 1536, 0.6)])
def test_large_images_are_not_decoded_whole(
    benchmark: Any, folder: Path, tmp_path: Path, width: int, height: int, most: float
) -> None:
    files, paths = _load(folder, 0).train_files, []
    for index in range(24):
        # Of natural images, since what is decoded counts: their 224 pixels, blown up.
        image = _decode(files.path(25 * index)).resize((width, height), Image.Resampling.LANCZOS)
        paths.append(str(tmp_path / f"{index}.JPEG"))
        image.save(paths[-1], quality=90)
    ours: Work = [partial(read_augmented, path, 7, SIZE, JITTER) for path in paths]
    theirs: Work = [partial(_plain, path, 7) for path in paths]
    times = compare(ours, theirs, CPU)
    assert _report(benchmark, ours, ("read", "decoded whole"), times) <= most


def test_another_process_hands_images_over_at_no_cost(benchmark: Any, folder: Path) -> None:
    batch, passes = 60, []
    for workers in (1, 0):
        images = _load(folder, workers).training(CPU)
        # The first batches of a pass, so that a warm-up starts the process.
        passes.append(images)

    def several(images: Any) -> None:
        for _ in zip(range(4), images.training_batches(batch, torch.Generator()), strict=False):
            pass

    ours: Work = [partial(several, passes[0])] * 6
    theirs: Work = [partial(several, passes[1])] * 6
    first, second, ratio = compare(ours, theirs, CPU)
    times = first / (4 * batch), second / (4 * batch), ratio
    assert _report(benchmark, ours, ("one worker", "in this process"), times) < 1.3
