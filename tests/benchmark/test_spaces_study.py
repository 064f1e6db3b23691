"""The study of several spaces: what it counts, what it says, and its runs at scale tiny."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.study.command import main as study_command
from benchmark.study.definition import Row
from benchmark.study.scored import Scored
from benchmark.study.spaces import OfSpace, gain
from benchmark.study.studies import STUDIES
from benchmark.study.tables.spaces import sentence
from benchmark.truth.networks import network_of
from benchmark.truth.table import TruthTable, find_truth
from kshot_core.metrics.correlation import kendall_tau_b
from kshot_core.spaces import DARTS, SPACES, NASBench201, Proxyless

STUDY = STUDIES["five_spaces"]
SPACE = NASBench201()


def made(num: int = 60, noise: tuple[float, ...] = (0.1, 0.2, 0.3)) -> OfSpace:
    """Runs whose scores are a made-up truth with noise; the truth is no count."""
    random = np.random.default_rng(0)
    archs = tuple(SPACE.from_index(int(i)) for i in random.choice(15_625, num, replace=False))
    true = random.normal(size=num)
    predicted = np.stack([true + each * random.normal(size=num) for each in noise])
    row = Row("nasbench201-one-shot", "NAS-Bench-201: one-shot", {"space": "nasbench201"})
    scored = Scored(row, "cifar10", (), SPACE, archs, predicted, true)
    runs = pd.DataFrame({"row": [row.name], "truth.column": ["cifar10/test/200ep/mean"]})
    return OfSpace("nasbench201", (row,), runs, (scored,))


def test_counts_are_of_the_truths_networks_and_not_of_the_supernets_paths() -> None:
    narrow = DARTS(channels=4, layers=5, zero=False)
    wide = network_of(narrow, "cifar10")
    assert isinstance(wide, DARTS)
    assert (wide.channels, wide.layers) == (36, 20)
    table = network_of(Proxyless(stem=8), "imagenet")
    assert isinstance(table, Proxyless)
    assert (table.width, table.image_size) == (1.35, 224)
    own = NASBench201(channels=3)
    assert network_of(own, "elsewhere") is own


@pytest.mark.parametrize(
    ("space", "dataset"),
    [
        ("nasbench101", "digits"),
        ("nasbench201", "digits"),
        ("darts", "digits"),
        ("proxyless", "digits"),
        ("darts_ptb", "grammar"),
    ],
)
def test_shipped_tables_are_of_their_networks_and_have_two_seeds(space: str, dataset: str) -> None:
    path = find_truth(dataset, None, space)
    network = network_of(SPACES[space](), dataset)
    table = TruthTable.load(path, network)
    assert len(table.frame) >= 24
    mean = next(column for column in table.columns() if column.run == "mean")
    assert mean.trained_on == dataset
    assert table.ceiling_seeds_of(mean) == [
        f"{dataset}/valid/{mean.epochs}ep/seed{n}" for n in "01"
    ]
    assert path.with_suffix(".json").is_file()


def test_two_hundred_cells_of_nasbench101_are_worth_ranking_against() -> None:
    table = TruthTable.load(find_truth("digits", None, "nasbench101"))
    first, second = table.both("digits/valid/1ep/seed0", "digits/valid/1ep/seed1")
    assert len(first) == 200
    assert kendall_tau_b(first, second) == pytest.approx(0.8036, abs=5e-5)


def test_the_gain_over_a_count_is_of_the_same_architectures() -> None:
    (scored,) = made().ranked
    none = gain(scored, scored.predicted[0])
    single = Scored(scored.row, "", (), SPACE, scored.archs, scored.predicted[:1], scored.true)
    assert gain(single, scored.predicted[0]).value == 0
    assert gain(single, scored.predicted[0]).high == 0
    worse = gain(scored, -scored.true)
    assert worse.low > 1 > none.value


def test_one_seed_is_no_finding_and_several_say_whether_it_helped() -> None:
    several = sentence(made())
    assert "(n = 3): one-shot " in several
    assert several.rstrip(".").endswith("better")
    assert "one seed: no finding" in sentence(made(noise=(0.1,)))
    assert "worse" not in sentence(made(noise=(3.0, 3.0)))


@pytest.mark.slow
def test_all_spaces_with_a_shipped_table_are_run_at_scale_tiny(tmp_path: Path) -> None:
    folder = study_command(["five_spaces", "--results", str(tmp_path), "--jobs", "1"])
    assert folder is not None
    table = pd.read_csv(folder / "five_spaces.csv")
    spaces = ["NAS-Bench-101", "NAS-Bench-201", "DARTS", "DARTS-PTB", "ProxylessNAS"]
    assert list(dict.fromkeys(table["space"])) == [*spaces]
    for space in spaces:
        own = table[table["space"] == space].set_index("name")
        assert {"one-shot", "one-shot, short", "K = 4", "seed agreement"} <= {*own.index}
        taus = dict(zip(own.index, own["tau"].astype(float), strict=True))
        assert taus["seed agreement"] > 20
        assert all(-100 <= taus[name] <= 100 for name in ("one-shot", "K = 4"))
    for name in ("taus", "scatter", "counts", "order", "gradients", "training"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert page.count("no finding") >= len(spaces)
    assert "Not drawn" not in page
