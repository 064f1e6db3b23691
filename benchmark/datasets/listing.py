"""Which images a folder of class folders holds, in an order that no file system changes."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from benchmark.cli.errors import UserError
from benchmark.datasets.jpeg import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

# Threads wait for a disk or a network together; a million sizes are asked for.
_THREADS = 16


@dataclass(frozen=True)
class Listing:
    """The images of ``folder/<class>/``, sorted by class and then by name.

    Args:
        folder: holds a folder for each class.
        classes: names of the classes in sorted order; the label is the place here.
        names: file names of the N images.
        labels: int64 (N,).
        sizes: bytes of each file.
    """

    folder: Path
    classes: tuple[str, ...]
    names: Sequence[str]
    labels: Tensor
    sizes: Sequence[int]

    def __len__(self) -> int:
        """Number of images N."""
        return len(self.names)

    def path(self, index: int) -> str:
        """Full name of an image."""
        return f"{self.folder}/{self.classes[int(self.labels[index])]}/{self.names[index]}"

    def lines(self) -> Iterator[bytes]:
        """A line for each image: folder, class, name and size; the same wherever the folder is."""
        for label, name, size in zip(self.labels.tolist(), self.names, self.sizes, strict=True):
            yield os.fsencode(f"{self.folder.name}/{self.classes[label]}/{name} {size}\n")


def list_images(folder: Path) -> Listing:
    """Read the names and sizes of all images below a folder of class folders.

    An image is a file whose name ends in .JPEG, .jpg, .jpeg or .png; other files, and whatever
    starts with a dot, are passed over.

    Raises:
        UserError: the folder or one in it cannot be read, there are no class folders, or one of
            them has no image.
    """
    with _looking_at(folder):
        classes, num_images = _list_folder(folder)
    if not classes:
        came = f"{num_images} images that lie side by side" if num_images else "nothing of the kind"
        raise UserError(
            f"{folder} must have a folder of images for each class ({folder}/<class>/*.JPEG), "
            f"but has {came}; sort the images into folders"
        )
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda name: _list_class(folder / name), classes))
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor(list(map(len, found))))
    names = [name for images in found for name, _ in images]
    sizes = [size for images in found for _, size in images]
    return Listing(folder, tuple(classes), names, labels, sizes)


def _list_folder(folder: Path) -> tuple[list[str], int]:
    """Names of the folders in it, sorted, and the number of images beside them."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        folders = sorted(entry.name for entry in visible if entry.is_dir())
        return folders, sum(entry.name.lower().endswith(SUFFIXES) for entry in visible)


def _list_class(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes of a class's images, sorted by name."""
    with _looking_at(folder), os.scandir(folder) as entries:
        named = [
            (entry.name, entry.stat())
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".")
        ]
    # A pipe of that name would never end.
    images = sorted((name, info.st_size) for name, info in named if stat.S_ISREG(info.st_mode))
    if not images:
        raise UserError(
            f"{folder} has no images ({', '.join(SUFFIXES)} in any case); "
            "put the class's images there or remove the folder"
        )
    return images


@contextmanager
def _looking_at(folder: Path) -> Iterator[None]:
    """Say what cannot be read, and where."""
    try:
        yield
    except OSError as error:
        # Of a link that leads nowhere the error names the link.
        name = error.filename or folder
        raise UserError(f"cannot read {name}: {error.strerror}; allow it or remove it") from None
