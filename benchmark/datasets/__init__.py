"""Data sets of images, each a function from :class:`DataRequest` to an :class:`ImageData`.

That is :class:`Splits` for images that fit into memory.

To add one: a file with such a function, and a line in ``DATASETS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.datasets.cifar10 import load_cifar10
from benchmark.datasets.cifar100 import load_cifar100
from benchmark.datasets.imagefolder import load_imagenet
from benchmark.datasets.imagenet16_120 import load_imagenet16_120
from benchmark.datasets.splits import Data, DataRequest, ImageData, Splits, check_splits
from benchmark.datasets.text.files import load_ptb, load_text
from benchmark.datasets.text.grammar import load_grammar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DATASETS", "Data", "DataRequest", "ImageData", "Splits", "load_splits"]


def _load_digits(request: DataRequest) -> Splits:
    """The embedded digits; scikit-learn is imported only when they are asked for."""
    from benchmark.datasets.digits import load_digits  # noqa: PLC0415

    return load_digits(request)


DATASETS: dict[str, Callable[[DataRequest], Data]] = {
    "digits": _load_digits,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "imagenet16-120": load_imagenet16_120,
    "imagenet": load_imagenet,
    "grammar": load_grammar,
    "ptb": load_ptb,
    "text": load_text,
}


_SIZED = ("cifar10", "cifar100", "imagenet")
"""Data sets whose images can be had at several sizes."""


def load_splits(dataset: str, request: DataRequest) -> Data:
    """The examples of ``dataset``, read, checked and split.

    Raises:
        UserError: no data set has this name, its files are missing or not as published, or it
            has no images of the size asked for.
    """
    one_of("--dataset", dataset, DATASETS)
    size = request.image_size
    if size and dataset not in _SIZED:
        raise UserError(
            f"--image-size is of {', '.join(_SIZED)}; {dataset} has its own, so leave it at 0, "
            f"got {size}"
        )
    data = DATASETS[dataset](request)
    if not isinstance(data, Splits):
        return data
    return check_splits(data.shrunk(size) if size else data)
