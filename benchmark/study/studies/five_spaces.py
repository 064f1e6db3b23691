"""How Does Supernet Help in NAS? (Zhang, Yang & Zhang, arXiv 2010.08219): its five spaces."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmark.config.presets import NO_DROPOUT, TRUTHS_NETWORKS
from benchmark.study.definition import Picture, Row, Size, Study, Table
from benchmark.study.figures import biases as bias_figures
from benchmark.study.figures import sharing
from benchmark.study.figures import spaces as figures
from benchmark.study.tables import biases, questions, spaces

_NAMES = {
    "nasbench101": "NAS-Bench-101",
    "nasbench201": "NAS-Bench-201",
    "darts": "DARTS",
    "darts_ptb": "DARTS-PTB",
    "proxyless": "ProxylessNAS",
    "nasbench_macro": "NAS-Bench-Macro",
}
_RANKERS = {
    "short": ("one-shot, short", {"K": 1}),
    "one-shot": ("one-shot", {"K": 1}),
    "k-shot": ("K = 4", {"K": 4}),
}
_LONG = "-one-shot"
"""End of the names of the rows whose rankings are looked into."""
# How copies are trained: codes that differ from the first step, steps of their own for them.
_COPIES = {
    "warmup_epochs": 0, "simplex_batches": "extra", "simplex_every": 16, "num_groups": 4,
    "output_scale": 10.0,
}  # fmt: skip
# Second-hand, from a review: Spearman after 1,000 and 2,000 epochs at full width. The paper's other
# figures could not be read.
_PAPER = {"nasbench101": 0.659, "nasbench201": 0.701}
_PAPER_SHORT = {"nasbench101": 0.618}

_ON_CPU: dict[str, dict[str, Any]] = {
    "nasbench101": {
        "dataset": "digits", "channels": 8, "cells": 1, "epochs": 4, "score_images": 500,
    },
    "nasbench201": {
        "dataset": "cifar10", "image_size": 8, "channels": 8, "cells": 1, "epochs": 16,
        "archs": 300, "score_images": 250,
    },
    "darts": {
        "dataset": "cifar10", "image_size": 16, "channels": 4, "layers": 5, "zero": False,
        "train_images": 8192, "epochs": 4, "score_images": 256, "score_batch_size": 128,
    },
    "darts_ptb": {
        "dataset": "text", "units": 32, **NO_DROPOUT, "batch_size": 32, "learning_rate": 1.0,
        "gradient_clip": 0.25, "train_images": 3200, "epochs": 4, "score_images": 256,
        "score_batch_size": 64, "truth_column": "penn-treebank/valid/3000ep/mean",
    },
    "proxyless": {
        "dataset": "cifar10", "image_size": 16, "stem": 8, "first": 8, "head": 64,
        "stem_stride": 1, "stages": "8x4/1,12x4/2,16x4/2,20x4/1,24x4/2,32x1/1",
        "train_images": 8192, "epochs": 4, "score_images": 512, "score_batch_size": 128,
        "truth_column": "imagenet/test/300ep/mean",
    },
    "nasbench_macro": {
        "dataset": "cifar10", "image_size": 16, "stem": 8, "head": 64, "train_images": 12_800,
        "epochs": 4, "archs": 200, "score_images": 250,
    },
}  # fmt: skip
_FORTY = {"epochs": 4, "archs": 40}
_TINY: dict[str, dict[str, Any]] = {
    space: {"dataset": dataset, **TRUTHS_NETWORKS[space, dataset], **more}
    for space, dataset, more in (
        ("nasbench101", "digits", _FORTY),
        ("nasbench201", "digits", _FORTY),
        ("darts", "digits", {"epochs": 4}),
        (
            "darts_ptb",
            "grammar",
            {
                "batch_size": 32, "learning_rate": 1.0, "gradient_clip": 0.25,
                "train_images": 640, "epochs": 4, "score_images": 128, "score_batch_size": 64,
            },
        ),
        ("proxyless", "digits", {"epochs": 4}),
    )
}  # fmt: skip
"""Against the tables that are shipped with the package (``benchmark.truth.table``)."""


def _row_settings(
    settings: Mapping[str, Mapping[str, Any]], watched: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each row's settings at a scale: short ones have a quarter of the epochs.

    Args:
        settings: of each space.
        watched: what the longer one-shot runs look at besides, four times.
    """
    found: dict[str, dict[str, Any]] = {}
    for space, own in settings.items():
        quarter = own["epochs"] // 4
        found[f"{space}-short"] = {**own, "epochs": quarter}
        found[f"{space}-one-shot"] = {**own, **watched, "track_every": quarter}
        found[f"{space}-k-shot"] = {**own}
    return found


def _paper(space: str, ranker: str) -> dict[str, float]:
    known = {"short": _PAPER_SHORT, "one-shot": _PAPER}.get(ranker, {})
    return {spaces.PAPER: known[space]} if space in known else {}


STUDY = Study(
    name="five_spaces",
    title="Does weight sharing help at all? Five search spaces and a sixth",
    question="On which search spaces does a supernet rank architectures better than counting their "
    "parameters, multiply-adds or layers does, with one copy of the weights or four, and does it "
    "where it is trained four times as long?",
    kind="rank",
    rows=tuple(
        Row(
            f"{space}-{ranker}",
            f"{name}: {label}",
            {"space": space, **settings},
            _paper(space, ranker),
        )
        for space, name in _NAMES.items()
        for ranker, (label, settings) in _RANKERS.items()
    ),
    sizes={
        "tiny": Size(
            "proxy",
            "digits",
            {
                **_COPIES, "batch_size": 64, "learning_rate": 0.05, "track_every": 0,
                "train_images": 1024, "score_images": 256, "score_batch_size": 128,
            },
            rows=tuple(f"{space}-{ranker}" for space in _TINY for ranker in _RANKERS),
            row_settings=_row_settings(_TINY, {"track_archs": 12, "gradient_archs": 4}),
        ),
        # About fifteen minutes of a core a seed: narrow supernets, and few steps.
        "cpu": Size(
            "proxy",
            "cifar10",
            {
                **_COPIES, "batch_size": 64, "learning_rate": 0.05, "track_every": 0,
                "score_batch_size": 250,
            },
            seeds=(0, 1, 2),
            row_settings=_row_settings(_ON_CPU, {"track_archs": 36, "gradient_archs": 8}),
        ),
    },
    answer=spaces.answer,
    tables=(
        spaces.main_table(
            "five_spaces",
            "Rank correlation with stand-alone accuracy on each space",
            "Paper: second-hand figures of How Does Supernet Help in NAS? for supernets at full "
            "width, trained for 1,000 (the shorter row) and 2,000 epochs on CIFAR-10, of "
            "NAS-Bench-101 on a subset (1Shot1's third space). Here supernets are narrow, images "
            "small and trainings short, the short row's a quarter of the other's; at scale tiny "
            "all is on the embedded data.",
            "ProxylessNAS's truth is accuracy on ImageNet, DARTS-PTB's perplexity on Penn "
            "Treebank; at scale cpu their supernets see CIFAR-10 and another text.",
        ),
        Table(
            "retrieval",
            "Finding the best, discarding the worst, and searching what is left (one-shot)",
            partial(questions.finding_table, only=_LONG),
            questions.FINDING_LABELS,
            questions.FINDING_NOTES,
            for_programs=questions.FINDING_FOR_PROGRAMS,
        ),
        Table(
            "training",
            "What training does to the ranking (one-shot)",
            partial(questions.training_table, only=_LONG),
            questions.TRAINING_LABELS,
            questions.TRAINING_NOTES,
            for_programs=questions.TRAINING_FOR_PROGRAMS,
            decimals=1,
            formats={"cosine": ".2f"},
        ),
        Table(
            "space",
            "How much of it is the space (one-shot; counts of the supernets' own paths)",
            partial(questions.space_table, only=_LONG),
            questions.SPACE_LABELS,
            questions.SPACE_NOTES,
            decimals=1,
            for_programs=questions.SPACE_FOR_PROGRAMS,
        ),
        Table(
            "biases",
            "What is preferred (one-shot)",
            partial(biases.table, only=_LONG),
            biases.LABELS,
            biases.NOTES,
            decimals=1,
            for_programs=biases.FOR_PROGRAMS,
        ),
        Table(
            "supernets",
            "What was trained",
            spaces.supernets,
            spaces.SUPERNETS_LABELS,
            spaces.SUPERNETS_NOTES,
        ),
    ),
    figures=(
        Picture("taus", "Tau-b of each ranker on each space, a dot a run.", figures.taus),
        Picture("scatter", "Predicted against stand-alone scores, one-shot.",
                partial(figures.scatters, only=_LONG)),
        Picture(
            "counts",
            "What goes with rank errors, and what is preferred at equal truth, one-shot.",
            partial(bias_figures.of_counts, only=_LONG),
        ),
        Picture(
            "choices",
            "Mean rank error by each choice at each site, one-shot.",
            partial(bias_figures.of_choices, only=_LONG),
        ),
        Picture(
            "training",
            "Tau-b while a one-shot supernet is trained.",
            partial(sharing.while_training, only=_LONG),
        ),
        Picture(
            "order",
            "Pairs in the right order by the number of sites that differ, one-shot.",
            partial(sharing.order, only=_LONG),
        ),
        Picture(
            "gradients",
            "Gradients of pairs in the weights that they share, one-shot.",
            partial(sharing.gradients, only=_LONG),
        ),
    ),
)  # fmt: skip
