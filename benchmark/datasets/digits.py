"""The embedded data set: scenes of handwritten digits, hard enough to tell architectures apart.

scikit-learn's 1,797 digits of 8×8 pixels are solved by every cell. Here each image is a scene of
the same size: one digit, turned, scaled and placed at random, over fragments of other digits, at a
random contrast and with noise. The label is the whole digit's. Scenes for training are made of
1,200 digits, those for validation of the other 597, and those for the test are further scenes of
these 597; all from one fixed seed, so every machine makes the same pictures. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits as load_sklearn_digits
from torch import Tensor
from torch.nn import functional as F

from benchmark.datasets.splits import DataRequest, Splits

_NUM_TRAIN_DIGITS = 1200
_SEED = 0


@dataclass(frozen=True)
class SceneSettings:
    """How hard the scenes are. The defaults are the benchmark's; others are another data set.

    Args:
        size: height and width of a scene in pixels.
        scale: width of the scene over that of the 8×8 picture, on average.
        rotation: largest turn of the digit, radians either way.
        shift: largest displacement, in half scene widths.
        fragments: quarters of other digits laid over the scene.
        contrast: lowest contrast; the highest is 1.
        noise: standard deviation of the pixel noise, where 1 is a full stroke.
    """

    size: int = 8
    scale: float = 1.1
    rotation: float = 0.8
    shift: float = 0.3
    fragments: int = 2
    contrast: float = 0.5
    noise: float = 0.05


def load_digits(
    request: DataRequest,
    settings: SceneSettings = SceneSettings(),
    num_train: int = 60_000,
    num_valid: int = 20_000,
    num_test: int = 10_000,
) -> Splits:
    """Make the scenes. ``request`` is not used: the digits come with scikit-learn."""
    return _make(settings, num_train, num_valid, num_test)


@lru_cache(maxsize=2)
def _make(settings: SceneSettings, num_train: int, num_valid: int, num_test: int) -> Splits:
    # RandomState's streams are frozen by numpy's compatibility policy, Generator's are not.
    random = np.random.RandomState(_SEED)
    bunch = load_sklearn_digits()
    order = random.permutation(len(bunch.images))
    digits = torch.from_numpy(bunch.images[order]).float()[:, None] / 16
    labels = torch.from_numpy(bunch.target[order]).long()
    cut = _NUM_TRAIN_DIGITS
    train_images, train_labels = _scenes(digits[:cut], labels[:cut], num_train, random, settings)
    valid_images, valid_labels = _scenes(digits[cut:], labels[cut:], num_valid, random, settings)
    # Drawn last: the others are what they were before there were any of these.
    test_images, test_labels = _scenes(digits[cut:], labels[cut:], num_test, random, settings)
    pixels = train_images.float() / 255
    content = train_images.numpy().tobytes() + valid_images.numpy().tobytes()
    return Splits(
        name="digits",
        num_classes=10,
        train_images=train_images,
        train_labels=train_labels,
        valid_images=valid_images,
        valid_labels=valid_labels,
        mean=(round(float(pixels.mean()), 4),),
        std=(round(float(pixels.std()), 4),),
        trained_on="digits",
        crop_padding=0,
        flip=False,
        description={
            "source": f"scenes of scikit-learn's digits, seed {_SEED}, {settings}",
            "split": f"{num_train} scenes of {cut} digits to train, {num_valid} of the others",
            "sha256": hashlib.sha256(content).hexdigest(),
            "test": f"{num_test} further scenes of the others, sha256 "
            f"{hashlib.sha256(test_images.numpy().tobytes()).hexdigest()}",
        },
        test_images=test_images,
        test_labels=test_labels,
    )


def _scenes(
    digits: Tensor, labels: Tensor, num: int, random: np.random.RandomState, settings: SceneSettings
) -> tuple[Tensor, Tensor]:
    """uint8 scenes (num, 1, size, size) and their labels (num,)."""
    chosen = torch.from_numpy(random.randint(len(digits), size=num))
    scale = settings.scale * random.uniform(0.85, 1.15, num)
    scene = _place(digits[chosen], random, scale, settings.rotation, settings.shift, settings.size)
    for _ in range(settings.fragments):
        others = digits[torch.from_numpy(random.randint(len(digits), size=num))]
        corner = torch.from_numpy(random.randint(2, size=(num, 2)))
        rows = (torch.arange(8) // 4)[None] == corner[:, :1]
        columns = (torch.arange(8) // 4)[None] == corner[:, 1:]
        quarter = others * (rows[:, :, None] & columns[:, None, :])[:, None]
        fragment = _place(quarter, random, np.full(num, settings.scale), np.pi, 1.0, settings.size)
        scene = torch.maximum(scene, fragment)
    contrast = torch.from_numpy(random.uniform(settings.contrast, 1, (num, 1, 1, 1))).float()
    noise = torch.from_numpy(random.normal(0, settings.noise, scene.shape)).float()
    # Room below and above the strokes for the noise, so that clipping is rare.
    pixels = ((scene * contrast + noise + 0.3) / 1.6).clamp(0, 1)
    return (pixels * 255).round().to(torch.uint8), labels[chosen]


def _place(
    digits: Tensor,
    random: np.random.RandomState,
    scale: npt.NDArray[np.float64],
    rotation: float,
    shift: float,
    size: int,
) -> Tensor:
    """Turn, shrink and move each 8×8 picture into a scene; (num, 1, size, size)."""
    num = len(digits)
    angle = random.uniform(-rotation, rotation, num)
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    move = random.uniform(-shift, shift, (num, 2))
    matrix = np.stack([cosine, -sine, move[:, 0], sine, cosine, move[:, 1]], 1)
    theta = torch.from_numpy(matrix).float().view(num, 2, 3)
    grid = F.affine_grid(theta, [num, 1, size, size], align_corners=False)
    return F.grid_sample(digits, grid, align_corners=False)
