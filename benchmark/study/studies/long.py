"""The question of table 9 after a training that is long enough for one-shot to beat counting."""

from __future__ import annotations

import dataclasses

from benchmark.study.definition import Picture, Row, Study
from benchmark.study.figures import epochs, high_low, rows, scatter
from benchmark.study.studies.table9 import SIZES
from benchmark.study.tables import differences, ranking

# 250 epochs of batch 64 on 25,000 images: what others who rank NAS-Bench-201 train for at least.
_LONG = {
    "image_size": 0, "epochs": 250, "average_epochs": 10, "track_every": 25, "track_archs": 100
}  # fmt: skip

STUDY = Study(
    name="long",
    title="One copy against eight after 250 epochs",
    question="Does a narrow one-shot supernet rank better than counting once it is trained for "
    "250 epochs on all pixels, and do eight copies rank better than one then?",
    kind="rank",
    rows=(
        Row("one-shot", "K = 1", {"K": 1, **_LONG}),
        Row("k-shot", "K = 8", {"K": 8, **_LONG}),
        Row("short", "K = 1, 40 epochs", {"K": 1, "image_size": 0}),
        Row("short-16", "K = 1, 40 epochs, 16×16", {"K": 1}),
    ),
    # An hour a run of K = 1 on a core, and half as much again of K = 8.
    sizes={"cpu": dataclasses.replace(SIZES["cpu"], rows=None)},
    answer=differences.answer,
    tables=(
        ranking.tau_table("long", "Tau-b by length of training"),
        differences.differences_from("K = 1"),
    ),
    figures=(
        Picture("rows", "Tau-b of each row, a dot a run.", rows.figure),
        Picture("epochs", "Kendall's tau while training.", epochs.figure),
        Picture(
            "high_low", "How well the best architectures are told from the rest.", high_low.figure
        ),
        Picture("scatter", "Predicted against stand-alone accuracy.", scatter.figure),
    ),
)
