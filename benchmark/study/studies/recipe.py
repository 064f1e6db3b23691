"""What each change to the paper's way of training does by itself."""

from __future__ import annotations

from typing import Any

from benchmark.study.definition import Picture, Row, Size, Study
from benchmark.study.figures import rows
from benchmark.study.studies._digits import BALANCED
from benchmark.study.tables import differences, ranking

# Algorithm 2 to the letter, but for the length of the warm-up, which the paper states for ImageNet.
_PAPER: dict[str, Any] = {
    "K": 8, "warmup_epochs": 1, "simplex_batches": "shared", "simplex_every": 2,
    "num_groups": 16, "output_scale": 1.0,
}  # fmt: skip
_EXTRA = {"simplex_batches": "extra", "simplex_every": 4, "num_groups": 8}

STUDY = Study(
    name="recipe",
    title="The paper's way of training K copies, and each mend of it",
    question="Which of these changes make eight copies rank better than the paper's way does: "
    "equally many weight steps, codes that differ from the start, wider copies with a compensated "
    "gradient, a larger batch for the simplex-net?",
    kind="rank",
    rows=(
        Row("paper", "as the paper alternates", _PAPER),
        Row("steps", "+ weight steps of K = 1", {**_PAPER, **_EXTRA}),
        Row(
            "scale",
            "+ codes that differ early",
            {**_PAPER, **_EXTRA, "output_scale": 10.0, "warmup_epochs": 0},
        ),
        Row(
            "batch",
            "+ 64 images a path",
            {
                **_PAPER, **_EXTRA, "output_scale": 10.0, "warmup_epochs": 0,
                "simplex_batch_size": 512,
            },
        ),
        Row(
            "widened",
            "+ wide and compensated",
            {
                **_PAPER, **_EXTRA, "output_scale": 10.0, "warmup_epochs": 0,
                "widen_copies": True, "compensate": True, "clip_norm": "merged",
            },
        ),
        Row("one-shot", "one-shot", {"K": 1}),
    ),
    sizes={
        "tiny": Size(
            "quick",
            "digits",
            {
                **BALANCED, "epochs": 2, "train_images": 5_000, "archs": 60, "score_images": 250,
                "track_every": 0,
            },
        ),
        "cpu": Size("quick", "digits", {**BALANCED, "track_every": 2}, seeds=(0, 1, 2, 3, 4)),
        "paper": Size(
            "paper", "cifar10", {}, seeds=tuple(range(5)),
            row_settings={"batch": {"simplex_batch_size": 1024}},
        ),
    },
    answer=differences.answer,
    tables=(
        ranking.tau_table("recipe", "Tau-b by how K = 8 is trained"),
        differences.differences_from("the paper's way"),
    ),
    figures=(Picture("rows", "Tau-b of each way to train, a dot a run.", rows.figure),),
)  # fmt: skip
