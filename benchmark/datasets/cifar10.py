"""CIFAR-10 under NAS-Bench-201's protocol: the 50,000 training images cut into two halves.

Supernets are trained on one half and score architectures on the other, so their truth is the
table's ``cifar10-valid`` (Dong & Yang, ICLR 2020, section 2.2). The test images, where they lie
beside the others, judge networks that were found in a search and retrained on both halves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.datasets.cifar import CROP_PADDING, BatchFile, Cifar, read_cifar
from benchmark.datasets.splits import SplitPlan, Splits, choose_split

if TYPE_CHECKING:
    from benchmark.datasets.splits import DataRequest

# The archives' sums are on the official page. The batches' sums are those of the published
# archives' members; the binary ones also follow from the python ones (a test converts them).
CIFAR10 = Cifar(
    name="cifar10",
    num_classes=10,
    label_key="labels",
    num_label_bytes=1,
    groups=(
        (
            BatchFile(
                "data_batch_1",
                10_000,
                "c99cafc152244af753f735de768cd75f",
                "5dd7e06a14cb22eb9f671a540d1b7c25",
            ),
            BatchFile(
                "data_batch_2",
                10_000,
                "d4bba439e000b95fd0a9bffe97cbabec",
                "5ea93a67294ea407fff1d09f752e9692",
            ),
            BatchFile(
                "data_batch_3",
                10_000,
                "54ebc095f3ab1f0389bbae665268c751",
                "942cd6a4bcdd0dd3c604fbe906cb4421",
            ),
            BatchFile(
                "data_batch_4",
                10_000,
                "634d18415352ddfa80567beed471001a",
                "ae636b3ba5c66a11e91e8cb52e771fcb",
            ),
            BatchFile(
                "data_batch_5",
                10_000,
                "482c414d41f54cd18b22e5b47cb7c3cb",
                "53f37980c15c3d472c316c40844f3f0d",
            ),
        ),
    ),
    python=("cifar-10-batches-py", "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
    binary=("cifar-10-batches-bin", "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    test=BatchFile(
        "test_batch",
        10_000,
        "40351d587109b95175f43aff81a1287e",
        "803d5f7f4d78ea53de84dbe85f74fb6d",
    ),
)
SPLIT = SplitPlan(
    file="cifar-split.txt",
    sha256="986da6174822048d4c5a25ee8ebdb7e754cd5372b51c633ffd4898ace8db9e32",
    keys=("train", "valid"),
    sizes=(25_000, 25_000),
)


def load_cifar10(request: DataRequest, cifar: Cifar = CIFAR10, split: SplitPlan = SPLIT) -> Splits:
    """CIFAR-10's training images in two halves, (25000, 3, 32, 32) each, and its test images.

    Args:
        request: where to look and how to split.
        cifar: the published files; tests give smaller ones.
        split: the published split; likewise.

    Raises:
        UserError: the files are missing and cannot be downloaded, or are not as published; the
            split file is not as published.
    """
    ((images, labels),), test, folders, record = read_cifar(cifar, request)
    train, valid, text = choose_split(split, request, folders)
    return Splits(
        name="cifar10",
        num_classes=cifar.num_classes,
        train_images=images[train],
        train_labels=labels[train],
        valid_images=images[valid],
        valid_labels=labels[valid],
        # Published with the benchmark, to which recipes refer.
        mean=(125.3 / 255, 123.0 / 255, 113.9 / 255),
        std=(63.0 / 255, 62.1 / 255, 66.7 / 255),
        trained_on="cifar10-valid",
        crop_padding=CROP_PADDING,
        flip=True,
        description={"split": text, **record},
        test_images=test[0] if test is not None else None,
        test_labels=test[1] if test is not None else None,
        valid_is_held_out=True,
    )
