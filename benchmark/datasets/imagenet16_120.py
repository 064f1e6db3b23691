"""ImageNet16-120 under NAS-Bench-201's protocol.

ImageNet downsampled to 16 x 16 pixels (Chrabaszcz et al., arXiv:1707.08819), its first 120
classes: 151,700 training images, 6,000 validation images (Dong & Yang, ICLR 2020, section 2.2).
Supernets are trained on all training images and score architectures on the published half of the
validation images, ``xvalid``; the other half, ``xtest``, judges retrained networks. ImageNet asks
for registration, so nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.cli.errors import UserError
from benchmark.datasets.batches import read_pickled
from benchmark.datasets.files import (
    DataFile,
    Layout,
    describe_absence,
    locate,
    read_files,
    search_folders,
)
from benchmark.datasets.splits import SplitPlan, Splits, choose_split

if TYPE_CHECKING:
    from torch import Tensor

    from benchmark.datasets.batches import Batch
    from benchmark.datasets.splits import DataRequest

ADDRESS = "https://image-net.org/download-images"
_IMAGE_SHAPE = (3, 16, 16)
_IMAGE_BYTES = 3 * 16 * 16


@dataclass(frozen=True)
class DownsampledImageNet:
    """The published files, and what is kept of them.

    Args:
        layout: the batch files, the last one for validation, and their MD5.
        num_labels: labels in the files are 1 .. num_labels.
        num_classes: images with labels 1 .. num_classes are kept.
        num_train: training images kept.
        num_valid: validation images kept.
    """

    layout: Layout
    num_labels: int
    num_classes: int
    num_train: int
    num_valid: int


# Sums as NAS-Bench-201's own reader checks them.
IMAGENET16_120 = DownsampledImageNet(
    layout=Layout(
        folder="ImageNet16",
        files={
            "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
            "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
            "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
            "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
            "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
            "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
            "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
            "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
            "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
            "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
            "val_data": "3410e3017fdaefba8d5073aaa65e4bd6",
        },
    ),
    num_labels=1000,
    num_classes=120,
    num_train=151_700,
    num_valid=6_000,
)
SPLIT = SplitPlan(
    file="imagenet-16-120-test-split.txt",
    sha256="c0edac1d3676a9f21acea8feeb31336202d75b1a73df62aec31c6b45bb289a18",
    keys=("xvalid", "xtest"),
    sizes=(3_000, 3_000),
)


def load_imagenet16_120(
    request: DataRequest,
    imagenet: DownsampledImageNet = IMAGENET16_120,
    split: SplitPlan = SPLIT,
) -> Splits:
    """ImageNet16-120: all training images, 3,000 each for validation and test, (B, 3, 16, 16).

    Args:
        request: where to look and how to split.
        imagenet: the published files; tests give smaller ones.
        split: the published split of the validation images; likewise.

    Raises:
        UserError: the files are missing or not as published; the split file is not either.
    """
    folders = search_folders(request)
    located = locate([imagenet.layout], folders)
    if located is None:
        names = ", ".join(imagenet.layout.files)
        raise UserError(
            f"imagenet16-120: {describe_absence([imagenet.layout], folders)}; it must hold "
            f"{names}, which need a free registration and are not downloaded: get the 16x16 "
            f"images of {ADDRESS}, unpack them into one folder, and give it by --data"
        )
    remedy = f"delete it and get it again from {ADDRESS}"
    kept = []
    sums = []
    for file in read_files(located, remedy):
        kept.append(_read_batch(imagenet, file))
        sums.append(f"{file.name} {file.md5}")
    where = str(located.path)
    train_images, train_labels = _join(kept[:-1], imagenet.num_train, where, remedy)
    images, labels = _join(kept[-1:], imagenet.num_valid, where, remedy)
    beside = [*folders.values(), located.path.parent]
    valid, test, text = choose_split(split, request, beside)
    return Splits(
        name="imagenet16-120",
        num_classes=imagenet.num_classes,
        train_images=train_images,
        train_labels=train_labels,
        valid_images=images[valid],
        valid_labels=labels[valid],
        mean=(122.68 / 255, 116.66 / 255, 104.01 / 255),
        std=(63.22 / 255, 61.26 / 255, 65.09 / 255),
        trained_on="imagenet16-120",
        crop_padding=2,
        flip=True,
        description={
            "split": text,
            "files": f"{imagenet.layout.folder}, MD5: {', '.join(sums)}",
        },
        test_images=images[test],
        test_labels=labels[test],
    )


def _read_batch(imagenet: DownsampledImageNet, file: DataFile) -> Batch:
    """Pixels (B, 768) and labels (B,) from 0 of one file's images of the kept classes."""
    in_file = range(1, imagenet.num_labels + 1)
    pixels, labels = read_pickled(file, "labels", _IMAGE_BYTES, in_file)
    kept = labels <= imagenet.num_classes
    return pixels[kept], labels[kept] - 1


def _join(parts: list[Batch], num_images: int, where: str, remedy: str) -> tuple[Tensor, Tensor]:
    """Images (B, 3, 16, 16) and labels (B,) of several files, their number checked."""
    images = torch.from_numpy(np.concatenate([part[0] for part in parts]))
    labels = torch.from_numpy(np.concatenate([part[1] for part in parts]))
    if len(images) != num_images:
        raise UserError(
            f"{where}: wanted {num_images} images of the classes kept, got {len(images)}; {remedy}"
        )
    return images.reshape(-1, *_IMAGE_SHAPE), labels
