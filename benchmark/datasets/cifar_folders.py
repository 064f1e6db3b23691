"""CIFAR-10 and CIFAR-100 as folders of PNGs, one folder a class, as they are often passed on.

    train/<class>/*.png     the training images, or the class folders themselves
    test/<class>/*.png      the test images, if they are there

Folders are named after the classes, or numbered from 0 or from 1. The images are those of the
published batches only as far as whoever made the folder kept to them: a record says where they
come from and the SHA-256 of their pixels, and claims no published checksum. Their order is by class
and then by name, which is not the order that published split files count in.
"""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from benchmark.cli.errors import UserError
from benchmark.datasets.listing import list_images
from benchmark.datasets.passed_over import describe_passed_over, warn_of_passed_over
from kshot_core.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from benchmark.datasets.listing import Listing

SIDE = 32
ORDER = "images in the order of class, then name"
_TRAIN = ("train", "training")
_TEST = ("test", "val", "valid", "validation")
_THREADS = 4


@dataclass(frozen=True)
class ClassFolders:
    """Where the class folders are; ``test`` is None where there are training images alone."""

    train: Path
    test: Path | None


def find_class_folders(name: str, folders: Mapping[str, Path]) -> ClassFolders | None:
    """The first of ``folders``, or of the folders called ``name`` in them, with class folders.

    ``cifar10/``, ``CIFAR-10`` and the like are alike. A folder counts if it has ``train/``, or
    ten or more folders that are all named or numbered as classes are.
    """
    for folder in folders.values():
        for candidate in (folder, *_subfolders(folder, {name})):
            train = next(iter(_subfolders(candidate, {*_TRAIN})), None)
            if train is not None and _subfolders(train):
                return ClassFolders(train, next(iter(_subfolders(candidate, {*_TEST})), None))
            classes = CLASSES[name]
            below = [_plain(path.name) for path in _subfolders(candidate)]
            if len(below) >= len(classes) and all(n in classes or _number(n) >= 0 for n in below):
                return ClassFolders(candidate, None)
    return None


def read_class_folder(
    name: str, folder: Path, num_images: int
) -> tuple[Tensor, Tensor, dict[str, str]]:
    """Images (B, 3, 32, 32) uint8, labels (B,) int64 as published, and what a record says.

    Args:
        name: ``cifar10`` or ``cifar100``.
        folder: of class folders.
        num_images: how many images there should be, equally many of each class.

    Raises:
        UserError: folders that are no classes, too many or too few images, or an image that is
            not 32 by 32 pixels.
    """
    listing = list_images(folder)
    warn_of_passed_over(listing)
    labels = _labels(name, listing)[listing.labels]
    _check_counts(name, listing, num_images // len(CLASSES[name]))
    with ThreadPoolExecutor(_THREADS) as pool:
        read = list(pool.map(_read, map(listing.path, range(len(listing)))))
    pixels = np.stack(read)
    order = torch.argsort(labels, stable=True)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)[order].contiguous()
    labels = labels[order]
    digest = hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()
    passed = describe_passed_over(listing)
    text = f"{folder.name}/, {len(labels)} images of class folders, {ORDER}; sha256 of pixels "
    text += f"and labels: {digest}" + (f"; passed over: {passed}" if passed else "")
    return images, labels, {"files": text}


def _labels(name: str, listing: Listing) -> Tensor:
    """The published label of each class folder (C,)."""
    classes, found = CLASSES[name], [_plain(one) for one in listing.classes]
    numbers = [_number(one) for one in found]
    first = min(numbers)
    if sorted(numbers) == list(range(first, first + len(classes))) and first in (0, 1):
        return torch.tensor(numbers) - first
    wrong = [at for at, one in enumerate(found) if one not in classes]
    if wrong:
        said = listing.classes[wrong[0]]
        raise UserError(
            f"{listing.folder}: {len(wrong)} of {len(found)} folders are no classes of {name}, "
            f"such as {said}{did_you_mean(said, classes)}; folders are named "
            f"{', '.join(classes[:4])} and so on, or numbered 0 to {len(classes) - 1}, all of "
            "them; other images are read by --dataset imagenet"
        )
    if sorted(found) != sorted(classes):
        lacking = sorted({*classes} - {*found})
        raise UserError(
            f"{listing.folder}: wanted a folder for each of the {len(classes)} classes of {name}, "
            f"got {len(found)}; missing: {', '.join(lacking[:5])}"
        )
    return torch.tensor([classes.index(one) for one in found])


def _check_counts(name: str, listing: Listing, wanted: int) -> None:
    counts = torch.bincount(listing.labels).tolist()
    for one, num in zip(listing.classes, counts, strict=True):
        if num != wanted:
            raise UserError(
                f"{listing.folder}/{one} has {num} images, but {name} has {wanted} of each class "
                f"there; complete the folder, or read other images by --dataset imagenet"
            )


def _read(path: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        with Image.open(path) as image:
            # Before its pixels are asked for, of which there may be too many.
            if image.size != (SIDE, SIDE):
                width, height = image.size
                raise UserError(f"{path} is of {width} x {height} pixels, wanted {SIDE} x {SIDE}")
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read {path} ({error}); fetch it again") from None


def _subfolders(folder: Path, names: set[str] | None = None) -> list[Path]:
    """Visible folders, sorted; with ``names`` those called so, whatever the case and hyphens."""
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []
    visible = [path for path in below if not path.name.startswith(".")]
    if names is None:
        return visible
    return [path for path in visible if re.sub(r"[^a-z0-9]", "", path.name.lower()) in names]


def _plain(name: str) -> str:
    return re.sub(r"[ -]", "_", name.strip().lower())


def _number(name: str) -> int:
    return int(name) if re.fullmatch(r"\d{1,3}", name, re.ASCII) else -1


_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
CLASSES: Mapping[str, Sequence[str]] = {
    "cifar10": tuple(_CIFAR10.split()),
    "cifar100": tuple(_CIFAR100.split()),
}
"""Names of the classes in the order of their published labels."""
