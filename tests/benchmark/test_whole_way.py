"""Every search space goes the whole way by the commands: train, rank, search, draw, report."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from test_text_commands import write_text

from benchmark.report.command import main as report_command
from benchmark.run.command import main as run_command
from benchmark.run.rankers import main as ranker_command
from benchmark.search.command import main as search_command
from benchmark.search.command import parse as parse_search
from benchmark.train.command import main as train_command
from benchmark.truth.table import TruthTable
from kshot_core.space import Space
from kshot_core.spaces import SPACES
from kshot_core.tasks import task_of

CHAIN = ["--stages", "4x2/2", "--stem", "4", "--first", "4", "--head", "6"]
NARROW = {
    "darts": ["--channels", "2", "--layers", "3"],
    "darts_ptb": ["--units", "6", "--dropout", "0", *(f"--dropout{kind}=0" for kind in "hxie")],
    "mobilenetv2": CHAIN,
    "nasbench101": ["--channels", "4", "--cells", "1"],
    "nasbench201": ["--channels", "2", "--cells", "1"],
    "nasbench_macro": ["--stem", "2", "--head", "6"],
    "proxyless": CHAIN,
}
NUM = 5
TRAINING = ["--K", "2", "--epochs", "1", "--warmup-epochs", "0", "--num-groups", "2",
            "--batch-size", "8"]  # fmt: skip


def write_truth(path: Path, space: Space, dataset: str) -> Path:
    """A table of made-up merit of a few architectures, two seeds of it."""
    random, archs = Random(0), dict[str, None]()
    while len(archs) < NUM:
        archs[space.to_string(space.sample(random))] = None
    mean = 50 + np.arange(NUM, dtype=np.float64)
    frame = pd.DataFrame(
        {f"{dataset}/valid/1ep/{run}": mean + shift for run, shift in
         (("mean", 0.0), ("seed0", 0.1), ("seed1", -0.1))},
        index=pd.Index(list(archs), name="arch"),
    )  # fmt: skip
    TruthTable(None, frame, of=space).save(path)
    return path


@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_trained_ranked_searched_drawn_and_reported(name: str, tmp_path: Path) -> None:
    training = ["--space", name, *NARROW[name], *TRAINING]
    if task_of(SPACES[name]()).higher_is_better:
        training += ["--dataset", (dataset := "digits"), "--train-images", "80"]
        scoring = ["--score-images", "40", "--score-batch-size", "20"]
    else:
        text = write_text(tmp_path / "a.txt")
        training += ["--dataset", (dataset := "text"), "--data", str(text), "--train-images", "0"]
        training += ["--gradient-clip", "0.25"]
        scoring = ["--score-images", "0", "--score-batch-size", "2"]
    results = tmp_path / "results"
    training += ["--results", str(results)]
    space = parse_search([*training, "--preset", "quick"]).config.run.space.without_images()
    truth = write_truth(tmp_path / "truth.csv", space, dataset)

    (supernet,) = train_command([*training, "--seeds", "1", "--jobs", "1", "--track-every", "0"])
    (weights,) = supernet.glob("*.safetensors")
    written = weights.stat().st_mtime_ns

    ranked = [*training, *scoring, "--truth", str(truth), "--archs", "0", "--track-every", "0"]
    ranked += ["--seeds", "1", "--jobs", "1"]
    (record,) = run_command(ranked)
    assert record["num_archs"] == NUM
    # By accuracy all may be tied after so short a training.
    assert -1 <= record["metrics_by_loss"]["kendall_tau_b"] <= 1
    assert record["ceiling"]["kendall_tau_b"] == pytest.approx(1)

    angle = ranker_command([*ranked, "--ranker", "angle"])
    angles = [line.rpartition(",")[2] for line in angle.read_text().splitlines()[1:]]
    assert len(angles) == NUM
    assert all(0 < float(one) < np.pi for one in angles)
    assert len(set(angles)) > 1

    search = ["--preset", "quick", "--population", "3", "--parents", "2", "--generations", "1"]
    search_command([*training, *scoring, *search])
    (folder,) = (results / "searches" / dataset / name).glob("*/seed0-*")
    found = json.loads((folder / "arch.json").read_text(encoding="utf-8"))
    assert space.contains(space.from_string(found["arch"]))
    # Whatever ranked, scored and searched did it with the weights that were trained first.
    assert weights.stat().st_mtime_ns == written
    assert [*results.glob("supernets/**/*.safetensors")] == [weights]

    assert (folder / "arch.png").read_bytes().startswith(b"\x89PNG")
    report_command(["--results", str(results), "--site"])
    pages = {path.parent.name: path for path in (results / "site").glob("*/*.html")}
    assert {"runs", "searches"} <= set(pages)
    assert "<svg" in pages["searches"].read_text(encoding="utf-8")
