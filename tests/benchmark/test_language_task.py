"""A task whose lower scores are better goes through the programs: a recurrent network of a text."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recurrent import ARCHS, RecurrentSpace, TextData

from benchmark.cli.errors import UserError
from benchmark.datasets import DATASETS
from benchmark.records.load import load_predictions, load_records
from benchmark.run.command import main as run_command
from benchmark.study.definition import Row, Size
from benchmark.study.file import write_study
from benchmark.study.studies import STUDIES
from benchmark.study.write import write_all
from benchmark.truth.table import TruthTable
from kshot_core.metrics.correlation import summary
from kshot_core.spaces import SPACES

SPACE = RecurrentSpace()
# Perplexities, of which the highest is above any accuracy: those that see the state are better.
TRUE = {arch: 3.0 + 150 * (1 - arch[2]) + 10 * arch[0] + arch[1] for arch in ARCHS}
SETTINGS = {
    "epochs": 3, "batch_size": 8, "warmup_epochs": 1, "num_groups": 2, "learning_rate": 0.5,
    "archs": 0, "score_images": 0, "score_batch_size": 8, "track_every": 0, "train_images": 0,
}  # fmt: skip
OPTIONS = [
    part for name, value in SETTINGS.items() for part in ("--" + name.replace("_", "-"), str(value))
]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPACES, "recurrent", RecurrentSpace)
    monkeypatch.setitem(DATASETS, "letters", lambda request: TextData())


def write_table(path: Path, factor: float = 1.0) -> Path:
    """The truth, and two seeds that differ in it."""
    names = [f"letters/valid/9ep/{run}" for run in ("mean", "seed0", "seed1")]
    lines = [",".join(["arch", *names])]
    for arch, value in TRUE.items():
        values = (value * factor, value * factor, (value + arch[1]) * factor)
        lines.append(",".join([SPACE.to_string(arch), *map(str, values)]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.usefixtures("registered")
def test_it_is_trained_ranked_by_perplexity_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, results = write_table(tmp_path / "truth.csv"), tmp_path / "results"
    where = ["--results", str(results), "--truth", str(truth), "--jobs", "1"]
    command = ["--dataset", "letters", "--space", "recurrent", "--K", "2", *OPTIONS, *where]
    (record,) = run_command(command)
    assert record["task"] == {"score": "perplexity", "higher_is_better": False}
    assert record["num_simplex_steps"] > 0
    (folder,) = results.glob("records/letters/recurrent/simplex-K2/*")
    predictions = load_predictions(folder)
    # What is stored is a perplexity, exp of the loss; the best one has the lowest.
    np.testing.assert_allclose(predictions["accuracy"], np.exp(predictions["loss"]), rtol=1e-5)
    assert predictions["accuracy"].max() < 6.5, "no worse than guessing among six letters"
    assert predictions["true"].max() > 100
    expected = summary(-predictions["accuracy"], -predictions["true"])
    assert record["metrics"] == json.loads(json.dumps(expected))
    assert record["metrics"]["kendall_tau_b"] > 0
    assert record["metrics_by_loss"]["kendall_tau_b"] == record["metrics"]["kendall_tau_b"]
    best = predictions[predictions["accuracy"].argmin()]["true"]
    assert record["metrics"]["regret"] == pytest.approx(best - predictions["true"].min())
    assert record["ceiling"]["kendall_tau_b"] > 0.9
    # A space that counts no costs has no controls of them.
    assert set(record["controls"]) == {"live_convolutions"}
    printed = capsys.readouterr().out
    assert "letters: 12 archs by perplexity, lower is better, against" in printed
    # The figure of its own runs lies where its records are.
    assert (results / "records" / "letters" / "recurrent" / "runs.png").is_file()
    # Nothing is trained or scored again.
    assert run_command(command) == [record]
    (row,) = load_records(results).to_dict("records")
    assert row["task.score"] == "perplexity"
    # A study of it is written from the record.
    size = Size("quick", "letters", {**SETTINGS, "space": "recurrent"}, seeds=(0,))
    study = dataclasses.replace(
        STUDIES["table4"], rows=(Row("two", "K = 2", {"K": 2}),), sizes={"tiny": size}
    )
    monkeypatch.setitem(STUDIES, "table4", study)
    path = write_study(results, study, "tiny")
    data = write_all(path)
    assert data.runs["task.higher_is_better"].tolist() == [False]
    table = pd.read_csv(path.parent / "measures.csv").set_index(["name", "score"])
    tau = table.loc[("K = 2", "acc."), "kendall_tau_b"]
    assert tau == pytest.approx(100 * record["metrics"]["kendall_tau_b"])
    assert (path.parent / "scatter.png").is_file()


@pytest.mark.usefixtures("registered")
def test_truth_of_another_range_is_refused(tmp_path: Path) -> None:
    assert TruthTable.load(write_table(tmp_path / "right.csv"), SPACE).frame.max().max() > 100
    with pytest.raises(UserError, match="are not perplexity of 1 to inf"):
        TruthTable.load(write_table(tmp_path / "wrong.csv", 0.1), SPACE)
