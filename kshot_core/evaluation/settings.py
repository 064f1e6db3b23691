"""The settings of scoring."""

from __future__ import annotations

from dataclasses import dataclass

from kshot_core.checks import check_at_least
from kshot_core.settings import setting


@dataclass(frozen=True)
class ScoringSettings:
    """How architectures are scored with shared weights; see ``kshot_core.evaluation.scores``."""

    score_images: int = setting(0, "how many validation images to score on; 0 for all")
    score_batch_size: int = setting(
        256, "images of a scoring pass; under batch statistics part of the result"
    )
    score_paths: int = setting(
        1, "architectures scored in one pass; more than 1 may pay on a GPU, and rounds"
    )

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_at_least(self, {"score_images": 0, "score_batch_size": 2, "score_paths": 1})
