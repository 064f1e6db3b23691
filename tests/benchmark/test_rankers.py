"""Rankers that need no ranking: from their scores to the record, and what they refuse."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from test_ranked_spaces import SPACE, truth_without_costs, write_source

from benchmark.cli.errors import UserError
from benchmark.run.command import main as run_command
from benchmark.run.rankers import RANKERS, main
from kshot_core.spaces import NASBenchMacro

NARROW = ["--space", "nasbench_macro", "--stem", "4", "--head", "8", "--archs", "0"]
TRAINING = ["--K", "2", "--epochs", "1", "--train-images", "100", "--batch-size", "50"]


def scores(path: Path) -> dict[str, float]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["arch"]: float(row["score"]) for row in csv.DictReader(file)}


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    truth = truth_without_costs(write_source(tmp_path / "truth.csv"))
    return ["--truth", str(truth), "--results", str(tmp_path / "results")]


@pytest.mark.parametrize("ranker", RANKERS)
def test_every_ranker_scores_all_architectures_alike_twice(
    ranker: str, places: list[str], tmp_path: Path
) -> None:
    training = TRAINING if ranker == "angle" else []
    given = [*NARROW, *places, *training, "--ranker", ranker, "--ranker-images", "8"]
    path = main(given)
    assert path == tmp_path / "results" / "rankers" / "nasbench_macro" / f"{ranker}.csv"
    found = scores(path)
    assert len(found) == 12
    assert len(set(found.values())) > 1
    assert all(math.isfinite(score) for score in found.values())
    assert scores(main([*given, "--to", str(tmp_path / "again.csv")])) == found


def test_the_scores_are_ranked_like_any_method_s(places: list[str]) -> None:
    path = main(["--space", "nasbench_macro", "--archs", "0", *places, "--ranker", "params"])
    space = NASBenchMacro(image_channels=1)
    assert scores(path) == {text: space.params(SPACE.from_string(text)) for text in scores(path)}
    (record,) = run_command(["--scores", str(path), "--space", "nasbench_macro", *places])
    for metric in ("kendall_tau_b", "spearman"):
        assert record["metrics"][metric] == record["controls"]["params"][metric]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--ranker", "angle"], "is of one supernet, got 2 runs: give one --K"),
        (["--ranker", "params", "--ranker-images", "1"], "--ranker-images must be at least 2"),
        (["--ranker", "best"], "invalid choice: 'best'"),
        (["--ranker", "params", "--depth", "3"], "--depth"),
        ([], "--ranker"),
    ],
)
def test_what_cannot_be_ranked_is_one_line(
    given: list[str], message: str, places: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as error:
        main([*NARROW, *places, *given])
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("results/rankers/**/*.csv"))
