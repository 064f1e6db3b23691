"""Recurrent cells on a text through the programs: alone, ranked, searched; and what is refused."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from benchmark.cli.errors import UserError
from benchmark.run.command import main as run_command
from benchmark.search.command import main as search_command
from benchmark.standalone.command import main as standalone_command
from benchmark.truth.table import TruthTable

SMALL = ["--units", "6", "--dropout", "0.1", *(f"--dropout{kind}=0" for kind in "hxie")]
TRAINING = ["--epochs", "1", "--batch-size", "8", "--learning-rate", "2", "--gradient-clip", "0.25"]


def write_text(path: Path) -> Path:
    random = Random(0)
    words = ("the cat", "a dog", "sat on", "ran to", "the mat", "a tree")
    path.write_text(" ".join(random.choice(words) for _ in range(500)))
    return path


def test_cells_are_trained_alone_ranked_and_searched_by_perplexity(tmp_path: Path) -> None:
    data = ["--dataset", "text", "--data", str(write_text(tmp_path / "a.txt"))]
    space, truth = ["--space", "darts_ptb", *SMALL], tmp_path / "truth.csv"
    made = ["--archs", "4", "--seeds", "2", "--jobs", "1", "--to", str(truth)]
    table = standalone_command([*space, *data, *TRAINING, *made])
    assert [str(column) for column in table.columns()] == [
        f"text/valid/1ep/{run}" for run in ("mean", "seed0", "seed1")
    ]
    assert TruthTable.load(truth).space.name == "darts_ptb"
    assert 1 < table.frame.min().min() <= table.frame.max().max() < 25
    shared = [*space, *data, *TRAINING, "--train-images", "0"]
    shared += ["--score-images", "0", "--score-batch-size", "2", "--truth", str(truth)]
    shared += ["--results", str(tmp_path / "results")]
    ranked = [
        "--K",
        "2",
        "--num-groups",
        "2",
        "--warmup-epochs",
        "0",
        "--seeds",
        "1",
        "--archs",
        "0",
        "--jobs",
        "1",
    ]
    (record,) = run_command([*shared, *ranked, "--track-every", "0"])
    assert record["task"]["score"] == "perplexity"
    assert record["num_archs"] == 4
    assert record["num_simplex_steps"] > 0
    assert -1 <= record["metrics"]["kendall_tau_b"] <= 1
    found = ["--K", "1", "--population", "3", "--parents", "2", "--generations", "1"]
    search_command([*shared, *found])
    (folder,) = (tmp_path / "results" / "searches" / "text" / "darts_ptb").glob("*/seed0-*")
    assert {"record.json"} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--space", "darts_ptb", "--dataset", "digits"], "scored by perplexity, and digits is"),
        (["--space", "nasbench101", "--dataset", "grammar"], "accuracy .*, and grammar is"),
        (["--space", "darts_ptb", "--dataset", "text"], "text needs a file"),
        (["--space", "darts_ptb", "--dataset", "ptb"], "ptb needs a folder"),
        (["--space", "darts_ptb", "--dataset", "grammar", "--channels", "8"], "--channels"),
        (["--space", "darts_ptb", "--dataset", "grammar", "--dropoutx", "1.5"], "dropoutx"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    tmp_path: Path, options: list[str], said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        standalone_command([*options, "--to", str(tmp_path / "a.csv")])
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
