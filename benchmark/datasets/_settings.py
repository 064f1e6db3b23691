"""Settings that every data set has."""

from __future__ import annotations

from dataclasses import dataclass

from kshot_core.checks import check_at_least
from kshot_core.settings import setting


@dataclass(frozen=True)
class DataSettings:
    """Settings that every data set has; one of a data set's own stands in its file."""

    train_images: int = setting(
        0, "how many training images to use, the first ones; 0 for all", often=True
    )
    split_seed: int = setting(0, "seed of the split where no published split file is found")

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_at_least(self, {"train_images": 0, "split_seed": 0})
