"""The data set of a job and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.config.choice import Choice
from benchmark.datasets import DATASETS, Data, DataRequest, DataSettings, load_splits


class DatasetSettings(Choice):
    """A data set; settings that one alone has stand in its own file."""

    part: ClassVar[str] = "dataset"
    registry: ClassVar[Mapping[str, Any]] = DATASETS
    help: ClassVar[str] = "images to train on: {names}"
    common: ClassVar[type[Any] | None] = DataSettings

    def load(self, request: DataRequest) -> Data:
        """Its examples, all of them.

        Raises:
            UserError: files missing or damaged.
        """
        return load_splits(self.name, request, self.own())


class RetrainingData(DatasetSettings):
    """A data set to retrain on: none of its training images need be held out."""

    alone: ClassVar[bool] = True
