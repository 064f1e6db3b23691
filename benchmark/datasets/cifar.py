"""What CIFAR-10 and CIFAR-100 share: their files, and how they become images and labels.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009. Both are published in
two layouts that hold the same images in the same order:

* python: a pickled dict per batch, ``data`` (B, 3072) uint8 and a list of labels;
* binary: per image one label byte (CIFAR-10) or a coarse and a fine one (CIFAR-100), then 3072
  bytes of pixels, red, green and blue planes of 32 x 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from benchmark.cli.errors import UserError
from benchmark.datasets.batches import check_batch, read_pickled
from benchmark.datasets.cifar_folders import ClassFolders, find_class_folders, read_class_folder
from benchmark.datasets.files import (
    DataFile,
    Layout,
    Located,
    describe_absence,
    download,
    locate,
    read_files,
    search_folders,
)
from kshot_core.checks import check_at_least
from kshot_core.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmark.datasets.batches import Batch
    from benchmark.datasets.splits import DataRequest, Splits

OFFICIAL_ADDRESS = "https://www.cs.toronto.edu/~kriz"
IMAGE_SHAPE = (3, 32, 32)
_IMAGE_BYTES = 3 * 32 * 32
CROP_PADDING = 4

Images: TypeAlias = tuple[Tensor, Tensor]
"""Images (B, 3, 32, 32) uint8 and labels (B,) int64."""


@dataclass(frozen=True)
class CifarSettings:
    """The settings of a CIFAR, a data set by its name.

    Args:
        load: the images as they are published.
        image_size: pixels a side that they are shrunk to; 0 for their own.
    """

    load: Callable[[DataRequest], Splits]
    image_size: int = setting(0, "pixels a side that the 32 shrink to, like 16; 0 for none")

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_at_least(self, {"image_size": 0})

    def __call__(self, request: DataRequest) -> Splits:
        """The images. Raises ``UserError`` for files as ``load`` does, and for a size."""
        splits = self.load(request)
        return splits.shrunk(self.image_size) if self.image_size else splits


@dataclass(frozen=True)
class BatchFile:
    """One batch file: its name in the python layout, its size, its published checksums.

    In the binary layout the name ends in ``.bin``.
    """

    name: str
    num_images: int
    python_md5: str | None = None
    binary_md5: str | None = None


@dataclass(frozen=True)
class Cifar:
    """One of the two data sets, as published.

    Args:
        name: key in ``benchmark.datasets.DATASETS``.
        num_classes: number of labels.
        label_key: the labels' key in the python layout.
        num_label_bytes: label bytes per image in the binary layout; the last one counts.
        groups: batches that make up one list of images with all classes equally frequent.
        test: a batch of test images, with classes as frequent, that is read if it is there.
        python: folder, archive and the archive's MD5 of the python layout.
        binary: the same of the binary layout.
        address: of the folder on the web that holds the archives.
    """

    name: str
    num_classes: int
    label_key: str
    num_label_bytes: int
    groups: tuple[tuple[BatchFile, ...], ...]
    python: tuple[str, str, str | None]
    binary: tuple[str, str, str | None]
    address: str = OFFICIAL_ADDRESS
    test: BatchFile | None = None

    @property
    def layouts(self) -> tuple[Layout, Layout]:
        """The python and the binary layout."""
        batches = [batch for group in self.groups for batch in group]
        tests = [self.test] if self.test is not None else []
        return (
            Layout(
                self.python[0],
                {batch.name: batch.python_md5 for batch in batches},
                *self.python[1:],
                extra={batch.name: batch.python_md5 for batch in tests},
            ),
            Layout(
                self.binary[0],
                {f"{batch.name}.bin": batch.binary_md5 for batch in batches},
                *self.binary[1:],
                extra={f"{batch.name}.bin": batch.binary_md5 for batch in tests},
            ),
        )


def read_cifar(
    cifar: Cifar, request: DataRequest
) -> tuple[list[Images], Images | None, list[Path], dict[str, str]]:
    """Images (B, 3, 32, 32) uint8 and labels (B,) int64 of each group of batches.

    Returns:
        the groups; the test batch, if there is one; the folders in which a split file may lie,
        none where images have no published order;
        and what a record says: ``files`` and, if there is one, ``test``, with their MD5.

    Raises:
        UserError: the files are not there and cannot be downloaded, or are not as published.
    """
    folders = search_folders(request)
    located = locate(cifar.layouts, folders)
    if located is None:
        in_folders = find_class_folders(cifar.name, folders)
        if in_folders is not None:
            return _read_class_folders(cifar, in_folders)
        located = _fetch(cifar, request, folders)
    archive = located.layout.archive
    remedy = f"delete it and download {cifar.address}/{archive} again"
    files = read_files(located, remedy)
    python = located.layout == cifar.layouts[0]
    groups: list[Images] = []
    sums: list[str] = []
    for group in cifar.groups:
        of_group = list(islice(files, len(group)))
        groups.append(_read_group(cifar, group, of_group, python))
        sums += [f"{file.name} {file.md5}" for file in of_group]
    record = {"files": f"{located.layout.folder}, MD5: {', '.join(sums)}"}
    test = None
    # What is left is there or not.
    for file in files:
        assert cifar.test is not None
        test = _read_group(cifar, [cifar.test], [file], python)
        record["test"] = f"{file.name}, MD5 {file.md5}"
    # A split file may lie beside the batches or beside the folder of batches.
    beside = [*folders.values(), located.path.parent]
    return groups, test, beside, record


def _read_class_folders(
    cifar: Cifar, folders: ClassFolders
) -> tuple[list[Images], Images | None, list[Path], dict[str, str]]:
    """What ``read_cifar`` returns, of images in class folders; a second group is of ``test/``."""
    places = [folders.train, folders.test]
    sizes = [sum(batch.num_images for batch in group) for group in cifar.groups]
    if cifar.test is not None:
        sizes.append(cifar.test.num_images)
    read: list[Images] = []
    record: dict[str, str] = {}
    for place, size, key in zip(places, sizes, ("files", "test"), strict=True):
        if place is None and len(cifar.groups) == 1:
            continue
        if place is None:
            raise UserError(
                f"{cifar.name}: {folders.train} has training images alone, and architectures are "
                "scored on test images; put test/<class>/*.png beside train/<class>/*.png"
            )
        images, labels, said = read_class_folder(cifar.name, place, size)
        read.append((images, labels))
        record[key] = said["files"]
    groups = read[: len(cifar.groups)]
    test = read[-1] if len(read) > len(cifar.groups) else None
    return groups, test, [], record


def _read_group(
    cifar: Cifar, batches: Sequence[BatchFile], files: Sequence[DataFile], python: bool
) -> Images:
    """Images and labels of batches that together hold all classes equally often."""
    read = _read_python if python else _read_binary
    parts = [read(cifar, batch, file) for batch, file in zip(batches, files, strict=True)]
    images = torch.from_numpy(np.concatenate([part[0] for part in parts]))
    labels = torch.from_numpy(np.concatenate([part[1] for part in parts]))
    _check_balance(cifar, labels, str(Path(files[0].where).parent), files[0].remedy)
    return images.reshape(-1, *IMAGE_SHAPE), labels


def _fetch(cifar: Cifar, request: DataRequest, folders: Mapping[str, Path]) -> Located:
    """The archive of the python layout, downloaded, unless the user named a folder."""
    layout = cifar.layouts[0]
    folder, archive, md5 = cifar.python
    url = f"{cifar.address}/{archive}"
    absence = f"{cifar.name}: {describe_absence(cifar.layouts, folders)}"
    if request.folder is not None:
        raise UserError(
            f"{absence}; put one of them there, or class folders of PNGs (train/<class>/*.png and "
            f"test/<class>/*.png), or leave --data out to download {url}"
        )
    if not request.download or md5 is None:
        raise UserError(f"{absence}; put one of them there: {url} has {folder}/")
    return Located(download(url, md5), layout, packed=True)


def _read_python(cifar: Cifar, batch: BatchFile, file: DataFile) -> Batch:
    """Pixels (B, 3072) and labels (B,) of a pickled batch."""
    pixels, labels = read_pickled(file, cifar.label_key, _IMAGE_BYTES, range(cifar.num_classes))
    if len(pixels) != batch.num_images:
        raise file.error(f"wanted {batch.num_images} images, got {len(pixels)}")
    return pixels, labels


def _read_binary(cifar: Cifar, batch: BatchFile, file: DataFile) -> Batch:
    """Pixels (B, 3072) and labels (B,) of a binary batch."""
    num_labels = cifar.num_label_bytes
    wanted = batch.num_images * (num_labels + _IMAGE_BYTES)
    if len(file.content) != wanted:
        raise file.error(
            f"wanted {wanted} bytes ({batch.num_images} images), got {len(file.content)}"
        )
    rows = np.frombuffer(file.content, np.uint8).reshape(batch.num_images, -1)
    pixels, labels = rows[:, num_labels:], rows[:, num_labels - 1]
    return check_batch(file, pixels, labels, _IMAGE_BYTES, range(cifar.num_classes))


def _check_balance(cifar: Cifar, labels: Tensor, where: str, remedy: str) -> None:
    """All classes are equally frequent in the published files; damaged labels are not."""
    counts = torch.bincount(labels, minlength=cifar.num_classes)
    if int(counts.min()) != int(counts.max()):
        raise UserError(
            f"{where}: wanted {len(labels) // cifar.num_classes} images of each class, "
            f"got {int(counts.min())} to {int(counts.max())}; {remedy}"
        )
