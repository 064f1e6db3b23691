"""The settings of scoring."""

from __future__ import annotations

from dataclasses import dataclass

from kshot_core.checks import check_at_least
from kshot_core.evaluation.other_codes import SCORE_CODES
from kshot_core.names import check_one_of
from kshot_core.settings import SEVERAL_COPIES, setting


@dataclass(frozen=True)
class ScoringSettings:
    """How architectures are scored with shared weights; see ``kshot_core.evaluation.scores``."""

    score_images: int = setting(0, "how many validation images to score on; 0 for all", often=True)
    score_batch_size: int = setting(
        256, "images of a scoring pass; under batch statistics part of the result"
    )
    score_paths: int = setting(
        1, "architectures scored in one pass; more than 1 may pay on a GPU, and rounds"
    )
    score_codes: str = setting(
        "own",
        "own: each architecture's; mean: one for all; shuffled: another architecture's",
        needs=SEVERAL_COPIES,
    )

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_at_least(self, {"score_images": 0, "score_batch_size": 2, "score_paths": 1})
        check_one_of("score_codes", self.score_codes, SCORE_CODES)
