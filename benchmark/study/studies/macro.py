"""The question of table 9 on another space with real truth: NAS-Bench-Macro."""

from __future__ import annotations

from benchmark.study.definition import Row, Size, Study
from benchmark.study.figures import high_low, rows, scatter
from benchmark.study.tables import differences, ranking

_COPIES = {
    "simplex_batches": "extra", "simplex_every": 8, "warmup_epochs": 0, "output_scale": 10.0
}  # fmt: skip

STUDY = Study(
    name="macro",
    title="One copy against eight on NAS-Bench-Macro",
    question="Do eight copies rank the 6,561 networks of NAS-Bench-Macro better than one?",
    kind="rank",
    rows=(
        Row("one-shot", "K = 1", {"K": 1}),
        Row("fixed", "K = 8, fixed 1/K", {"K": 8, "sharing": "fixed"}),
        Row("k-shot", "K = 8", {"K": 8}),
        # Weights that no batch-norm rescales learn K times slower in copies, unless:
        Row(
            "wide",
            "K = 8, compensated",
            {"K": 8, "widen_copies": True, "compensate": True, "clip_norm": "merged"},
        ),
    ),
    sizes={
        # Narrow layers and 16 x 16 pixels: minutes a run on a core.
        "cpu": Size(
            "proxy",
            "cifar10",
            {
                **_COPIES, "space": "nasbench_macro", "stem": 8, "head": 64, "image_size": 16,
                "batch_size": 128, "learning_rate": 0.1, "epochs": 20, "archs": 500,
                "score_images": 1000, "track_every": 0,
            },
            seeds=(0, 1, 2, 3, 4),
        ),
        "paper": Size(
            "paper",
            "cifar10",
            {**_COPIES, "space": "nasbench_macro", "learning_rate": 0.1},
            seeds=tuple(range(5)),
        ),
    },
    answer=differences.answer,
    tables=(
        ranking.tau_table("macro", "Tau-b on NAS-Bench-Macro"),
        differences.differences_from("K = 1"),
    ),
    figures=(
        rows.PICTURE,
        high_low.PICTURE,
        scatter.PICTURE,
    ),
)  # fmt: skip
