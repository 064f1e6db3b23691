"""Where K-shot's gain comes from: table 6's question, asked of rankings."""

from __future__ import annotations

from benchmark.study.definition import Picture, Row, Size, Study, StudyData
from benchmark.study.figures import codes, rows
from benchmark.study.ranked import datasets
from benchmark.study.studies._digits import BALANCED
from benchmark.study.tables import differences, ranking


def _answer(data: StudyData) -> str:
    """What each row gains over one-shot, and what the codes do that were learnt."""
    said = [differences.answer(data)]
    found = differences.differences(data, datasets(data)[0], "mean", "simplex")
    if found:
        said.append(
            "The simplex-net's bank scored with the mean code less the same with each "
            f"architecture's own: {found['loss'].text('points')}."
        )
    return " ".join(said)


STUDY = Study(
    name="codes",
    title="Learnt codes against other codes, trained and scored",
    question="Is it the simplex-net's codes that rank, or is it only that there are K copies? "
    "Banks trained with fixed, random, few-shot and learnt codes; and the last scored with one "
    "code for all and with other architectures' codes.",
    kind="rank",
    rows=(
        Row("one-shot", "one-shot", {"K": 1}),
        Row("fixed", "K = 8, fixed 1/K", {"K": 8, "sharing": "fixed"}),
        Row("random", "K = 8, random", {"K": 8, "sharing": "random"}),
        Row(
            "few-shot",
            "K = 5, few-shot",
            # From trained one-shot weights, as Zhao et al. (2021) split them.
            {"K": 5, "sharing": "few-shot", "warmup": "one-shot"},
        ),
        Row("simplex", "K = 8, simplex-net", {"K": 8}),
        Row("mean", "its mean code", {"K": 8, "score_codes": "mean"}),
        Row("shuffled", "its codes shuffled", {"K": 8, "score_codes": "shuffled"}),
    ),
    sizes={
        "tiny": Size(
            "quick",
            "digits",
            {
                **BALANCED, "epochs": 1, "train_images": 10_000, "archs": 60, "score_images": 250,
                "track_every": 0,
            },
        ),
        "cpu": Size(
            "quick",
            "digits",
            {**BALANCED, "track_every": 2},
            seeds=(0, 1, 2, 3, 4),
            # Half the weight steps with one copy, half with five.
            row_settings={"few-shot": {"warmup_epochs": 3}},
        ),
        "paper": Size(
            "paper",
            "cifar10",
            {"simplex_batches": "extra", "simplex_every": 4, "output_scale": 10.0},
            seeds=tuple(range(10)),
            more_datasets=("cifar100", "imagenet16-120"),
            row_settings={"few-shot": {"warmup_epochs": 125}},
        ),
    },
    answer=_answer,
    tables=(
        ranking.tau_table("codes", "Tau-b by how codes come about"),
        differences.differences_from("one-shot"),
        differences.differences_from(
            "the simplex-net's own codes", "simplex", ("mean", "shuffled"), "own_codes"
        ),
    ),
    figures=(
        Picture("rows", "Tau-b of each way to get codes, a dot a run.", rows.figure),
        Picture("codes", "Histograms of the codes by copy.", codes.figure),
    ),
)  # fmt: skip
