"""The settings of a ranking by scores from elsewhere: which file, and what it is compared with."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.config.ids import settings_id


@dataclass(frozen=True)
class NamedScores:
    """Scores of a method by its name, whatever file they came from: what a study's row asks for.

    Args:
        dataset: whose truth they are compared with.
        name: of the method, the file's name without its suffixes.
        space: of the architectures.
    """

    dataset: str
    name: str
    space: str = "nasbench201"

    def __post_init__(self) -> None:
        """Refuse a name that is no folder's."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise UserError(
                f"scores are named by their file, in letters, digits, - and _, got {self.name!r}; "
                "rename it"
            )

    def place(self) -> Path:
        """The folder of their records, relative to the results folder."""
        return Path("records", self.dataset, self.space, f"scores-{self.name}")


@dataclass(frozen=True)
class ScoresConfig:
    """Everything that decides the record of scores from elsewhere.

    Args:
        scores: their name, data set and space.
        sha256: of the file.
        truth_column: what they are compared with.
    """

    scores: NamedScores
    sha256: str
    truth_column: str = "default"

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values; ``sharing``, ``K`` and ``seed`` as any run has them."""
        own = dataclasses.asdict(self)
        return {
            **own.pop("scores"), **own, "sharing": f"scores-{self.scores.name}", "K": 1, "seed": 0
        }  # fmt: skip

    def flat(self) -> dict[str, Any]:
        """The same, which have no parts."""
        return self.to_dict()

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that JSON values stand for."""
        return {**self._defaults(), **values}

    def _defaults(self) -> dict[str, Any]:
        return {"truth_column": type(self).truth_column, "space": NamedScores.space}

    def run_id(self) -> str:
        """Eight hexadecimal digits that differ whenever a setting does."""
        return settings_id(self.to_dict(), {"truth_column": type(self).truth_column})
