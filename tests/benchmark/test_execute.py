"""A run from config to record: complete, resumable at every moment, repeated only if unfinished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from runs import TINY, run_tiny, tiny, write_truth

from benchmark.cli.errors import UserError
from benchmark.run import command as program
from benchmark.run import scoring


class Killed(Exception):
    """Stands for a process that ends in the middle of things."""


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_truth(tmp_path_factory.mktemp("truth") / "truth.csv")


def files_of(results: Path, name: str) -> bytes:
    (path,) = results.glob(f"records/*/*/*/*/{name}")
    return path.read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"sharing": "simplex"},
        {"sharing": "simplex", "encoding": "canonical", "simplex_batches": "extra"},
        {"sharing": "simplex", "schedule": "joint", "num_groups": 5},
        {"sharing": "one-shot", "K": 1, "batch_norm": "running", "unsampled": "decay"},
        {"sharing": "few-shot", "K": 5, "sampler": "fair", "batch_paths": False},
        {"sharing": "simplex", "score_paths": 5},
    ],
    ids=["paper", "extra", "joint", "running", "few-shot", "several-at-once"],
)
def test_killed_at_any_event_and_resumed_gives_the_same_bytes(
    changes: dict[str, object], truth: Path, tmp_path: Path
) -> None:
    config = tiny(**changes)
    whole = run_tiny(config, tmp_path / "whole", truth)
    record, attempts = None, 0
    while record is None:
        # Every attempt is let to do a little more than the one before.
        attempts += 1
        countdown = iter(range(attempts))

        def kill(stage: str, done: int, total: int, countdown: Iterator[int] = countdown) -> None:
            if next(countdown, None) is None:
                raise Killed

        try:
            record = run_tiny(config, tmp_path / "killed", truth, kill)
        except Killed:
            assert not list((tmp_path / "killed").glob("records/*/*/*/*/record.json"))
    assert attempts > 3
    for name in ("predictions.npy", "codes.npy"):
        assert files_of(tmp_path / "killed", name) == files_of(tmp_path / "whole", name)
    assert record["metrics"] == whole["metrics"]
    assert record["num_weight_steps"] == whole["num_weight_steps"]


@pytest.mark.slow
def test_process_killed_by_the_system_goes_on_and_gives_the_same_bytes(
    truth: Path, tmp_path: Path
) -> None:
    options = ["--K", "2", "--seeds", "1", "--epochs", "16", "--channels", "4"]
    options += ["--train-images", "400", "--batch-size", "50", "--score-images", "100"]
    options += [
        "--track-every",
        "8",
        "--jobs",
        "1",
        "--checkpoint-seconds",
        "0",
        "--truth",
        str(truth),
    ]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    program.run(program.parse([*options, "--results", str(whole)]))
    options += ["--results", str(killed)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark.run", *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    checkpoints: set[float] = set()
    deadline = time.monotonic() + 120
    # Killed while it works: after it has written two checkpoints of its own.
    while process.poll() is None and len(checkpoints) < 3 and time.monotonic() < deadline:
        for path in killed.glob("supernets/*/*/*/*/checkpoint.safetensors"):
            try:
                checkpoints.add(path.stat().st_mtime)
            except FileNotFoundError:
                continue
        time.sleep(0.01)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    program.run(program.parse(options))
    assert files_of(killed, "predictions.npy") == files_of(whole, "predictions.npy")


def test_record_says_everything(truth: Path, tmp_path: Path) -> None:
    record = run_tiny(TINY, tmp_path, truth)
    assert {"kendall_tau_b", "spearman", "pearson", "high_low_tau"} <= record["metrics"].keys()
    assert record["truth"]["column"] == "digits/valid/1ep/mean"
    assert record["config"] == TINY.to_dict()
    # 6 batches an epoch: 6 weight steps to warm up, then 3 and 3.
    assert (record["num_weight_steps"], record["num_simplex_steps"]) == (12, 6)
    assert set(record["controls"]) == {"params", "flops", "live_convolutions"}
    assert record["ceiling"]["columns"] == "digits/valid/1ep/seed0 against digits/valid/1ep/seed1"
    assert record["ceiling"]["kendall_tau_b"] == pytest.approx(1)
    low, high = record["intervals"]["kendall_tau_b"]
    assert low <= record["metrics"]["kendall_tau_b"] <= high
    (folder,) = tmp_path.glob("records/digits/nasbench201/simplex-K3/*")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json", "log.jsonl", "predictions.npy", "codes.npy", "record.json", "tracked.npy",
    }  # fmt: skip
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in log] == [1, 2, 3]
    assert "kendall_tau_b" in log[1]
    predictions = np.load(folder / "predictions.npy", allow_pickle=False)
    assert len(predictions) == 12
    assert (np.diff(predictions["index"].astype(int)) > 0).all()
    assert np.load(folder / "codes.npy").sum(1) == pytest.approx(np.ones(12), abs=1e-5)


def test_finished_run_is_not_run_again(truth: Path, tmp_path: Path) -> None:
    first = run_tiny(TINY, tmp_path, truth)

    def fail(stage: str, done: int, total: int) -> None:
        raise AssertionError("it ran again")

    assert run_tiny(TINY, tmp_path, truth, fail) == first


def test_seeds_differ_and_the_same_seed_is_bit_identical(truth: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run_tiny(tiny(seed=seed), tmp_path / name, truth)
    predictions = [files_of(tmp_path / name, "predictions.npy") for name in "abc"]
    assert predictions[0] == predictions[1]
    assert predictions[0] != predictions[2]


def interrupted(results: Path, truth: Path) -> Path:
    """A run stopped after its first checkpoint; returns its folder."""

    def kill(stage: str, done: int, total: int) -> None:
        if done == 1:
            raise Killed

    with pytest.raises(Killed):
        run_tiny(TINY, results, truth, kill)
    (path,) = results.glob("supernets/*/*/*/*/checkpoint.safetensors")
    return path.parent


@pytest.mark.parametrize("keep", [0, 7, 100, -10])
def test_checkpoint_cut_short_is_one_clear_line(keep: int, truth: Path, tmp_path: Path) -> None:
    path = interrupted(tmp_path, truth) / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"cut short or damaged.*delete it"):
        run_tiny(TINY, tmp_path, truth)


def test_checkpoint_of_another_run_is_refused(truth: Path, tmp_path: Path) -> None:
    first = interrupted(tmp_path / "a", truth)
    run_tiny(tiny(seed=1), tmp_path / "b", truth)
    (ranked,) = (tmp_path / "b").glob("records/*/*/*/*")
    (other,) = (tmp_path / "b").glob("supernets/*/*/*/*")
    for folder in (ranked, other):
        (folder / "record.json").unlink()
    (first / "checkpoint.safetensors").rename(other / "checkpoint.safetensors")
    with pytest.raises(UserError, match="not"):
        run_tiny(tiny(seed=1), tmp_path / "b", truth)


def test_record_of_another_config_in_the_same_place(truth: Path, tmp_path: Path) -> None:
    run_tiny(TINY, tmp_path, truth)
    (path,) = tmp_path.glob("records/*/*/*/*/config.json")
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "learning_rate": 1.0}))
    with pytest.raises(UserError, match=r"another config \(differs in learning_rate\)"):
        run_tiny(TINY, tmp_path, truth)


def test_damaged_record_and_config(truth: Path, tmp_path: Path) -> None:
    run_tiny(TINY, tmp_path, truth)
    (path,) = tmp_path.glob("records/*/*/*/*/record.json")
    path.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        run_tiny(TINY, tmp_path, truth)
    (path.parent / "config.json").write_text("")
    with pytest.raises(UserError, match="cannot be read"):
        run_tiny(TINY, tmp_path, truth)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scoring_in_several_processes_gives_the_same_bytes(
    precision: str, truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_SHARD", 5)
    config = tiny(epochs=1, precision=precision)
    seen: list[int] = []

    def watch(stage: str, done: int, total: int) -> None:
        if stage == "scoring":
            seen.append(done)

    run_tiny(config, tmp_path / "one", truth)
    run_tiny(config, tmp_path / "several", truth, watch, workers=2)
    assert len(seen) == 3, "three shards"
    assert seen[-1] == 12
    for name in ("predictions.npy", "codes.npy"):
        assert files_of(tmp_path / "several", name) == files_of(tmp_path / "one", name)


def test_two_processes_do_not_work_on_one_run(truth: Path, tmp_path: Path) -> None:
    def again(stage: str, done: int, total: int) -> None:
        run_tiny(TINY, tmp_path, truth)

    with pytest.raises(UserError, match="another process"):
        run_tiny(TINY, tmp_path, truth, again)


def test_diverged_training_is_one_clear_line(truth: Path, tmp_path: Path) -> None:
    wild = tiny(learning_rate=1e30, gradient_clip=0.0, K=1, sharing="one-shot")
    with pytest.raises(UserError, match="diverged"):
        run_tiny(wild, tmp_path, truth)


def test_every_sharing_and_sampler_runs(truth: Path, tmp_path: Path) -> None:
    for sharing, K in {"fixed": 2, "random": 2, "few-shot": 2}.items():
        record = run_tiny(tiny(sharing=sharing, K=K, epochs=1), tmp_path, truth)
        assert record["num_simplex_steps"] == 0
    for sampler in ("valid", "balanced"):
        run_tiny(tiny(sampler=sampler, epochs=1), tmp_path, truth)


def test_no_unexpected_files_after_an_error(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--archs asks for 500"):
        run_tiny(tiny(archs=500), tmp_path, truth)
    assert list(tmp_path.iterdir()) == []
