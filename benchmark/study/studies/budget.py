"""What more computation buys the one-shot supernet that table 9 begins with at scale cpu."""

from __future__ import annotations

import dataclasses

from benchmark.study.definition import Row, Study
from benchmark.study.figures import epochs, high_low, rows, scatter
from benchmark.study.studies.table9 import SIZES
from benchmark.study.tables import differences, ranking

STUDY = Study(
    name="budget",
    title="What more computation buys a one-shot supernet",
    question="Does a one-shot supernet rank better than counting once it is trained for longer, on "
    "more pixels or with more channels?",
    kind="rank",
    rows=(
        Row("base", "K = 1 as in table 9", {"K": 1}),
        Row("epochs", "60 epochs", {"K": 1, "epochs": 60}),
        Row("pixels", "32×32 pixels", {"K": 1, "image_size": 0}),
        Row(
            "width",
            "32×32, C = 16",
            {
                "K": 1, "image_size": 0, "channels": 16, "epochs": 60, "average_epochs": 10,
                "track_every": 20,
            },
        ),
        # What others who rank NAS-Bench-201 train for at least: an hour a run on a core.
        Row(
            "length",
            "32×32, 250 epochs",
            {
                "K": 1, "image_size": 0, "epochs": 250, "average_epochs": 10, "track_every": 25,
                "track_archs": 100,
            },
        ),
    ),
    sizes={"cpu": dataclasses.replace(SIZES["cpu"], rows=None)},
    answer=differences.answer,
    tables=(
        ranking.tau_table(
            "budget", "Tau-b of K = 1 by what is spent on it",
            "40 epochs where nothing else is said, 60 of C = 16.",
        ),
        differences.differences_from("table 9's K = 1"),
    ),
    figures=(
        rows.PICTURE,
        epochs.PICTURE,
        high_low.PICTURE,
        scatter.PICTURE,
    ),
)  # fmt: skip
