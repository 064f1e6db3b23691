"""What one-shot's ranking depends on, and how much of its spread is noise of the protocol."""

from __future__ import annotations

from benchmark.study.definition import Picture, Row, Size, Study
from benchmark.study.figures import rows
from benchmark.study.studies._digits import BALANCED
from benchmark.study.tables import differences, ranking

STUDY = Study(
    name="protocol",
    title="What a ranking by one-shot weights depends on",
    question="Which choices of the protocol move Kendall's tau of a one-shot supernet, and which "
    "lower its spread over seeds: sampler, length, learning rate, width, batch-norm's statistics, "
    "averaged weights?",
    kind="rank",
    rows=(
        Row("base", "balanced paths", {"K": 1}),
        Row("uniform", "uniform paths", {"K": 1, "sampler": "uniform"}),
        Row("fair", "fair paths", {"K": 1, "sampler": "fair"}),
        Row("short", "half as long", {"K": 1, "epochs": 3}),
        Row("long", "twice as long", {"K": 1, "epochs": 12}),
        Row("rate", "twice the learning rate", {"K": 1, "learning_rate": 0.1}),
        Row("narrow", "half as wide", {"K": 1, "channels": 4}),
        Row("running", "running statistics", {"K": 1, "batch_norm": "running"}),
        # What the preset of the embedded data does.
        Row(
            "fair-short",
            "fair, short, faster",
            {"K": 1, "sampler": "fair", "learning_rate": 0.1, "epochs": 3},
        ),
        Row("average", "averaged weights", {"K": 1, "average_epochs": 3}),
    ),
    sizes={
        "tiny": Size(
            "quick",
            "digits",
            {
                **BALANCED, "epochs": 1, "train_images": 5_000, "archs": 60, "score_images": 250,
                "track_every": 0,
            },
            rows=("base", "uniform", "narrow"),
        ),
        "cpu": Size("quick", "digits", {**BALANCED, "track_every": 2}, seeds=(0, 1, 2)),
        "paper": Size(
            "paper",
            "cifar10",
            {"sampler": "balanced"},
            seeds=(0, 1, 2),
            row_settings={
                "short": {"epochs": 125},
                "long": {"epochs": 500},
                "rate": {"learning_rate": 0.05},
                "narrow": {"channels": 8},
                "fair-short": {"epochs": 125, "learning_rate": 0.05},
                "average": {"average_epochs": 5},
            },
        ),
    },
    answer=differences.answer,
    tables=(
        ranking.tau_table("protocol", "Tau-b by protocol"),
        differences.differences_from("the first protocol"),
    ),
    figures=(Picture("rows", "Tau-b of each protocol, a dot a run.", rows.figure),),
)  # fmt: skip
