"""Which images a folder of class folders holds, in an order that no file system changes."""

from __future__ import annotations

import os
import stat
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmark.cli.errors import UserError
from benchmark.datasets.jpeg import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
        passed_over: how many files of a class (empty for none) and an ending are no images here.
    """

    folder: Path
    classes: tuple[str, ...]
    names: Sequence[str]
    labels: Tensor
    sizes: Sequence[int]
    passed_over: Mapping[tuple[str, str], int] = field(default_factory=dict)

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

    An image is a file whose name ends as those that Pillow reads do (``SUFFIXES``), in any case;
    other files are passed over and counted, whatever starts with a dot is not even counted.

    Raises:
        UserError: the folder or one in it cannot be read, there are no class folders, or one of
            them has no image.
    """
    with _looking_at(folder):
        classes, beside = _list_folder(folder)
    if not classes:
        num_images = sum(name.lower().endswith(SUFFIXES) for name in beside)
        came = f"{num_images} images that lie side by side" if num_images else "nothing of the kind"
        raise UserError(
            f"{folder} must have a folder of images for each class ({folder}/<class>/*.JPEG), "
            f"but has {came}; sort the images into folders"
        )
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda name: _list_class(folder / name), classes))
    images_of = [images for images, _ in found]
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor(list(map(len, images_of))))
    names = [name for images in images_of for name, _ in images]
    sizes = [size for images in images_of for _, size in images]
    passed = Counter(("", ending(name)) for name in beside)
    for name, (_, others) in zip(classes, found, strict=True):
        passed.update((name, end) for end in others)
    return Listing(folder, tuple(classes), names, labels, sizes, passed)


def ending(name: str) -> str:
    """How a file's name ends, in lower case, or that it has no ending."""
    return Path(name).suffix.lower() or "files without an ending"


def count_endings(endings: Iterable[str]) -> str:
    """``19 .heic, 1 .txt``: the most frequent first."""
    return ", ".join(f"{num} {end}" for end, num in Counter(sorted(endings)).most_common())


def _list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders in it, sorted, and of the files beside them."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        folders = sorted(entry.name for entry in visible if entry.is_dir())
        return folders, [entry.name for entry in visible if not entry.is_dir()]


def _list_class(folder: Path) -> tuple[list[tuple[str, int]], list[str]]:
    """Names and sizes of a class's images, sorted by name; endings of what else is there."""
    with _looking_at(folder), os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        named = [
            (entry.name, entry.stat()) for entry in visible if entry.name.lower().endswith(SUFFIXES)
        ]
        others = [
            "folders" if entry.is_dir() else ending(entry.name)
            for entry in visible
            if not entry.name.lower().endswith(SUFFIXES)
        ]
    # A pipe of that name would never end.
    images = sorted((name, info.st_size) for name, info in named if stat.S_ISREG(info.st_mode))
    if not images:
        came = f", but {count_endings(others)}" if others else ""
        raise UserError(
            f"{folder} has no images ({', '.join(SUFFIXES)} in any case){came}; "
            "put the class's images there, of one of these kinds, or remove the folder"
        )
    return images, others


@contextmanager
def _looking_at(folder: Path) -> Iterator[None]:
    """Say what cannot be read, and where."""
    try:
        yield
    except OSError as error:
        # Of a link that leads nowhere the error names the link.
        name = error.filename or folder
        raise UserError(f"cannot read {name}: {error.strerror}; allow it or remove it") from None
