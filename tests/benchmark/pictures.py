"""Folders of small made-up images, each of one colour, by which it is known again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmark.datasets.imagefolder import MEAN, STD

Colour = tuple[int, int, int]


def colour_of(number: int) -> Colour:
    """A colour for each of 216 images, 40 levels or more from any other."""
    return 20 + 40 * (number % 6), 20 + 40 * (number // 6 % 6), 20 + 40 * (number // 36 % 6)


def write_folder(folder: Path, classes: int = 3, train: int = 10, val: int = 4) -> dict[str, int]:
    """``train/`` and ``val/`` of PNGs and JPEGs; the number of each image by its path below."""
    numbers: dict[str, int] = {}
    for part, count in (("train", train), ("val", val)):
        for label in range(classes):
            (folder / part / f"n{label:02}").mkdir(parents=True)
            for index in range(count):
                suffix = (".png", ".JPEG")[index % 2]
                name = f"{part}/n{label:02}/{index:02}{suffix}"
                numbers[name] = len(numbers)
                size = 20 + index % 8, 30 - index % 9
                Image.new("RGB", size, colour_of(numbers[name])).save(folder / name, quality=95)
    return numbers


def numbers_in(images: Tensor) -> list[int]:
    """Which images of ``write_folder`` these are, (B, 3, H, W), normalised or bytes."""
    if images.dtype != torch.uint8:
        scale = torch.tensor(STD)[:, None, None], torch.tensor(MEAN)[:, None, None]
        images = (images.cpu() * scale[0] + scale[1]) * 255
    pixels = images.float()
    spread = (pixels - pixels.mean((2, 3), keepdim=True)).abs().max()
    assert spread < 4, "every image has one colour, however it is cropped"
    digits = ((pixels.mean((2, 3)) - 20) / 40).round().long()
    return (digits * torch.tensor([1, 6, 36])).sum(1).tolist()


def photo(width: int, height: int) -> Image.Image:
    """Something smooth that differs everywhere, as photographs do."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    red = 127 + 100 * np.sin(9 * x + 5 * y * y)
    green = 127 + 100 * np.cos(7 * x * y + 4 * y)
    blue = 255 * x / x.max()
    return Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8))


def write_photos(folder: Path) -> Path:
    """2 classes of 40 photos to train on, and one each in ``val/``; ``folder``."""
    for part, num in (("train", 40), ("val", 1)):
        for label in ("a", "b"):
            (folder / part / label).mkdir(parents=True)
            for index in range(num):
                photo(40 + index, 50).save(folder / part / label / f"{index}.JPEG")
    return folder


def truncate(path: Path) -> None:
    """Cut a file in the middle."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
