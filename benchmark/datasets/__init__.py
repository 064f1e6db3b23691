"""Data sets of images, each a function from :class:`DataRequest` to an :class:`ImageData`.

That is :class:`Splits` for images that fit into memory.

To add one: a file with such a function, and a line in ``DATASETS``. One with settings of its own is
an instance of their frozen dataclass, which is called alike.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchmark.cli.parser import one_of
from benchmark.datasets._settings import DataSettings
from benchmark.datasets.cifar import CifarSettings
from benchmark.datasets.cifar10 import load_cifar10
from benchmark.datasets.cifar100 import load_cifar100
from benchmark.datasets.imagefolder import FolderSettings
from benchmark.datasets.imagenet16_120 import load_imagenet16_120
from benchmark.datasets.splits import (
    Data,
    DataRequest,
    ImageData,
    Splits,
    check_splits,
)
from benchmark.datasets.text.files import load_ptb, load_text
from benchmark.datasets.text.grammar import load_grammar
from kshot_core.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DATASETS", "Data", "DataRequest", "DataSettings", "ImageData", "Splits", "load_splits"]


def _load_digits(request: DataRequest) -> Splits:
    """The embedded digits; scikit-learn is imported only when they are asked for."""
    from benchmark.datasets.digits import load_digits  # noqa: PLC0415

    return load_digits(request)


DATASETS: dict[str, Callable[[DataRequest], Data]] = {
    "digits": _load_digits,
    "cifar10": CifarSettings(load_cifar10),
    "cifar100": CifarSettings(load_cifar100),
    "imagenet16-120": load_imagenet16_120,
    "imagenet": FolderSettings(),
    "grammar": load_grammar,
    "ptb": load_ptb,
    "text": load_text,
}


def load_splits(
    dataset: str, request: DataRequest, settings: Mapping[str, Any] = MappingProxyType({})
) -> Data:
    """The examples of ``dataset``, read, checked and split.

    Args:
        dataset: its name.
        request: where to look.
        settings: of the data set's own, by name.

    Raises:
        UserError: no data set has this name, or its files are missing or not as published.
    """
    one_of("--dataset", dataset, DATASETS)
    data = with_settings(DATASETS[dataset], settings)(request)
    return check_splits(data) if isinstance(data, Splits) else data
