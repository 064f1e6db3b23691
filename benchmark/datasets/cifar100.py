"""CIFAR-100 under NAS-Bench-201's protocol: trained on all 50,000 training images.

Architectures are scored on the published half of the test images, ``xvalid`` (Dong & Yang,
ICLR 2020, section 2.2). The other half, ``xtest``, judges networks that were found in a search
and retrained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.datasets.cifar import CROP_PADDING, BatchFile, Cifar, read_cifar
from benchmark.datasets.splits import SplitPlan, Splits, choose_split

if TYPE_CHECKING:
    from benchmark.datasets.splits import DataRequest

# No sums of the binary layout's members are published: there sizes, label ranges and the number
# of images of each class are checked, and the record names the sums found.
CIFAR100 = Cifar(
    name="cifar100",
    num_classes=100,
    label_key="fine_labels",
    num_label_bytes=2,
    groups=(
        (BatchFile("train", 50_000, "16019d7e3df5f24257cddd939b257f8d"),),
        (BatchFile("test", 10_000, "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
    ),
    python=("cifar-100-python", "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
    binary=("cifar-100-binary", "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
)
SPLIT = SplitPlan(
    file="cifar100-test-split.txt",
    sha256="14a5e3708e790ad57f987cdbcf202f724519475d6e8b0db34d0182e73b581bba",
    keys=("xvalid", "xtest"),
    sizes=(5_000, 5_000),
)


def load_cifar100(
    request: DataRequest, cifar: Cifar = CIFAR100, split: SplitPlan = SPLIT
) -> Splits:
    """CIFAR-100: all training images, and 5,000 test images each for validation and test.

    Args:
        request: where to look and how to split.
        cifar: the published files; tests give smaller ones.
        split: the published split of the test images; likewise.

    Raises:
        UserError: the files are missing and cannot be downloaded, or are not as published; the
            split file is not as published.
    """
    (train, test), _, folders, record = read_cifar(cifar, request)
    valid, rest, text = choose_split(split, request, folders)
    return Splits(
        name="cifar100",
        num_classes=cifar.num_classes,
        train_images=train[0],
        train_labels=train[1],
        valid_images=test[0][valid],
        valid_labels=test[1][valid],
        mean=(129.3 / 255, 124.1 / 255, 112.4 / 255),
        std=(68.2 / 255, 65.4 / 255, 70.4 / 255),
        trained_on="cifar100",
        crop_padding=CROP_PADDING,
        flip=True,
        description={"split": text, **record},
        test_images=test[0][rest],
        test_labels=test[1][rest],
    )
