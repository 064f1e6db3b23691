"""The highest rank correlation without truth in training, part by part."""

from __future__ import annotations

import dataclasses

from benchmark.study.definition import Row, Study, Table
from benchmark.study.studies.table9 import SIZES
from benchmark.study.tables.combined import LABELS, NOTES, PARAMETERS, Combinations

_COMBINATIONS = Combinations(
    {
        "−loss of K = 1": ("one-shot",),
        "−loss of K = 8": ("k-shot",),
        "−loss of K = 1, 32×32": ("one-shot-32",),
        "parameters": (PARAMETERS,),
        "NASWOT": ("naswot",),
        "parameters, NASWOT": (PARAMETERS, "naswot"),
        "−loss of K = 1, parameters": ("one-shot", PARAMETERS),
        "−loss of K = 8, parameters": ("k-shot", PARAMETERS),
        "−loss of K = 1, 32×32, parameters": ("one-shot-32", PARAMETERS),
        "−loss of K = 1, parameters, NASWOT": ("one-shot", PARAMETERS, "naswot"),
        "−loss of K = 8, parameters, NASWOT": ("k-shot", PARAMETERS, "naswot"),
        "−loss of K = 1, 32×32, parameters, NASWOT": ("one-shot-32", PARAMETERS, "naswot"),
    },
    best=("−loss of K = 1, 32×32, parameters, NASWOT", "−loss of K = 1, parameters, NASWOT"),
    without="parameters, NASWOT",
)

STUDY = Study(
    name="best",
    title="The best ranking without truth in training",
    question="How well can architectures be ranked without any stand-alone accuracy, and what "
    "does a supernet add to scores that train nothing?",
    kind="rank",
    rows=(
        Row("one-shot", "K = 1", {"K": 1}),
        Row("k-shot", "K = 8", {"K": 8}),
        # All the pixels that there are, which at scale paper every row has.
        Row("one-shot-32", "K = 1, 32×32", {"K": 1, "image_size": 0}),
        Row("naswot", "NASWOT", {"scores": "naswot"}),
    ),
    sizes={
        "cpu": dataclasses.replace(SIZES["cpu"], rows=None),
        "paper": dataclasses.replace(SIZES["paper"], rows=("one-shot", "k-shot", "naswot")),
    },
    answer=_COMBINATIONS.answer,
    tables=(
        Table(
            "best", "Mean ranks of scores without truth", _COMBINATIONS.table, LABELS, NOTES,
            decimals=1,
        ),
    ),
)  # fmt: skip
