"""Paper table 9 and figures 4 to 6: how Kendall's tau depends on the number of copies K."""

from __future__ import annotations

from benchmark.study.definition import Picture, Row, Size, Study, StudyData, Table
from benchmark.study.figures import codes, copies, epochs, high_low, scatter
from benchmark.study.ranked import datasets
from benchmark.study.studies._digits import BALANCED
from benchmark.study.tables import differences, ranking, transfer

# Table 9 of the paper: mean and sd in percent over 10 runs, all 15,625 architectures.
_PAPER = {
    1: ((55.02, 0.27), (56.07, 0.18), (53.97, 0.20)),
    2: ((58.23, 0.21), (58.56, 0.17), (54.36, 0.17)),
    4: ((60.96, 0.19), (60.03, 0.11), (55.91, 0.14)),
    8: ((62.64, 0.17), (60.40, 0.13), (56.33, 0.12)),
    12: ((62.13, 0.13), (60.19, 0.09), (55.89, 0.13)),
}
DATASETS = ("cifar10", "cifar100", "imagenet16-120")


def _row(K: int) -> Row:
    paper: dict[str, float] = {}
    for dataset, (mean, sd) in zip(DATASETS, _PAPER[K], strict=True):
        paper |= {dataset: mean, f"{dataset}_sd": sd}
    return Row(f"K{K}", f"K = {K}", {"K": K}, paper)


_COPIES = tuple(f"K{K}" for K in _PAPER)
# The controls of every claim about K: copies without codes, and other budgets than equally many
# weight steps.
_CONTROLS = (
    Row("K8-fixed", "K = 8, fixed 1/K", {"K": 8, "sharing": "fixed"}),
    Row(
        "K8-images",
        "K = 8, same data",
        {"K": 8, "simplex_batches": "shared", "simplex_every": 2},
    ),
    Row("K1-time", "K = 1, same time", {"K": 1, "epochs": 60}),
)

SIZES = {
    "tiny": Size(
        "quick",
        "digits",
        {
            **BALANCED, "epochs": 1, "train_images": 30_000, "archs": 100,
            "score_images": 500, "track_every": 0,
        },
        rows=_COPIES,
    ),
    # Minutes a run on a core: half the pixels a side, one narrow cell a stage, equally many weight
    # steps at every K, codes that differ from the first step.
    "cpu": Size(
        "proxy",
        "cifar10",
        {
            "sampler": "balanced", "image_size": 16, "epochs": 40, "average_epochs": 5,
            "warmup_epochs": 0, "simplex_batches": "extra", "simplex_every": 4, "num_groups": 8,
            "output_scale": 10.0, "track_every": 10, "archs": 1000, "score_images": 1000,
        },
        seeds=(0, 1, 2, 3, 4),
    ),
    "paper": Size(
        "paper", "cifar10", rows=_COPIES, seeds=tuple(range(10)), more_datasets=DATASETS[1:]
    ),
}  # fmt: skip
"""The sizes of the ranking studies, which share their runs."""


def _answer(data: StudyData) -> str:
    """What each K gains over one copy at equal weight steps, and K = 8 at equal time."""
    said = [differences.answer(data)]
    found = differences.differences(data, datasets(data)[0], "K8", "K1-time")
    if found:
        said.append(
            f"K = 8 less K = 1 for as long: {found['loss'].text('points')}, by accuracy "
            f"{found['accuracy'].brief}."
        )
    return " ".join(said)


STUDY = Study(
    name="table9",
    title="Kendall's tau against the number of copies K (paper table 9, figures 4 to 6)",
    question="Do K copies of the weights, merged by a code, rank architectures better than one?",
    kind="rank",
    rows=(*(_row(K) for K in _PAPER), *_CONTROLS),
    sizes=SIZES,
    answer=_answer,
    tables=(
        ranking.tau_table(
            "table9", "Kendall's tau-b against K (paper table 9)", ranking.PAPER_NOTE
        ),
        differences.differences_from("K = 1"),
        Table(
            "transfer",
            "Against the truth of other data sets",
            transfer.table,
            transfer.LABELS,
            transfer.NOTES,
            decimals=1,
        ),
    ),
    figures=(
        Picture("figure4", "Kendall's tau against K (paper figure 4).", copies.figure),
        Picture(
            "figure5",
            "How well the best architectures are told from the rest, against the number of "
            "architectures that count as best (paper figure 5).",
            high_low.figure,
        ),
        Picture("figure6", "Histograms of the codes by copy (paper figure 6).", codes.figure),
        scatter.PICTURE,
        epochs.PICTURE,
    ),
)
