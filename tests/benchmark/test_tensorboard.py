"""``--tensorboard``: the log's figures are read back from event files, and nothing else changes."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import retrainings
import torch
from runs import TINY, write_truth

from benchmark.cli.errors import UserError
from benchmark.config import dataset as dataset_settings
from benchmark.datasets import digits
from benchmark.datasets.splits import DataRequest, Splits
from benchmark.retrain.execute import retrain_one
from benchmark.run.execute import run_folder, run_one
from benchmark.train import scalars
from benchmark.train.command import main as train
from benchmark.train.setup import Places
from benchmark.train.supernet import supernet_folder

accumulators = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator",
    reason='tensorboard is not installed: pip install "kshot-nas[tensorboard]"',
)
CPU = torch.device("cpu")


class Killed(Exception):
    """Stands for a process that ends in the middle of things."""


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_truth(tmp_path / "truth.csv")


def ignore(stage: str, done: int, total: int) -> None:
    pass


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of each scalar, as TensorBoard shows them."""
    events = accumulators.EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(one.step, one.value) for one in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def logged(path: Path) -> dict[str, list[tuple[int, float]]]:
    """The same of a log."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in path.read_text().splitlines():
        epoch = json.loads(line)
        for name, value in epoch.items():
            if name != "epoch" and value is not None:
                found.setdefault(name, []).append((epoch["epoch"], value))
    return found


def check_same(shown: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert shown.keys() == wanted.keys()
    for name, values in wanted.items():
        assert shown[name] == [(step, pytest.approx(value)) for step, value in values], name


def test_a_run_is_shown_and_nothing_else_changes(truth: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    plain = run_one(TINY, Places(tmp_path / "plain", truth=truth), CPU, ignore, 0)
    places = Places(tmp_path / "results", truth=truth, tensorboard=board)
    record = run_one(TINY, places, CPU, ignore, 0)
    assert record["config"] == plain["config"]
    assert record["metrics"] == plain["metrics"]
    folder, other = (run_folder(tmp_path / name, TINY).path for name in ("results", "plain"))
    for name in ("predictions.npy", "codes.npy", "config.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    assert {path.name for path in folder.iterdir()} == {path.name for path in other.iterdir()}
    # While it trains, under the supernet's name; when it is ranked, under the run's.
    shown = read(board / TINY.supernet_place())
    supernet = supernet_folder(tmp_path / "results", TINY).path
    check_same(shown, logged(supernet / "log.jsonl"))
    assert [step for step, _ in shown["weight_loss"]] == [1, 2, 3]
    assert {"learning_rate", "code_sd", "code_entropy", "simplex_loss"} <= shown.keys()
    shown = read(board / TINY.place())
    ranking = {name: shown.pop(name) for name in list(shown) if name.startswith("ranking/")}
    check_same(shown, logged(folder / "log.jsonl"))
    assert [step for step, _ in shown["kendall_tau_b"]] == [2]
    assert ranking["ranking/kendall_tau_b"] == [
        (3, pytest.approx(record["metrics"]["kendall_tau_b"]))
    ]


def test_what_was_finished_before_is_shown_too(truth: Path, tmp_path: Path) -> None:
    run_one(TINY, Places(tmp_path, truth=truth), CPU, ignore, 0)
    places = Places(tmp_path, truth=truth, tensorboard=tmp_path / "board")
    run_one(TINY, places, CPU, ignore, 0)
    assert len(read(places.tensorboard / TINY.place())["weight_loss"]) == 3
    options = ["--results", str(tmp_path), "--tensorboard", str(tmp_path / "board"), "--jobs", "1"]
    options += ["--channels", "4", "--cells", "1", "--epochs", "2", "--train-images", "200"]
    for _ in range(2):
        (folder,) = train([*options, "--batch-size", "50", "--K", "3"])
        shown = read(tmp_path / "board" / folder.relative_to(tmp_path))
        check_same(shown, logged(folder / "log.jsonl"))


def test_epochs_that_are_trained_again_are_shown_once(truth: Path, tmp_path: Path) -> None:
    def killed(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise Killed

    places = Places(tmp_path, truth=truth, tensorboard=tmp_path / "board")
    with pytest.raises(Killed):
        # No checkpoint is due before the end, so all starts over.
        run_one(TINY, places, CPU, killed, 999)
    assert len(read(tmp_path / "board" / TINY.supernet_place())["weight_loss"]) == 2
    run_one(TINY, places, CPU, ignore, 999)
    check_same(
        read(tmp_path / "board" / TINY.supernet_place()),
        logged(supernet_folder(tmp_path, TINY).path / "log.jsonl"),
    )


def test_a_retraining_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def few(dataset: str, request: DataRequest, settings: object = None) -> Splits:
        splits = digits.load_digits(request, num_train=300, num_valid=100, num_test=120)
        return dataclasses.replace(splits, valid_is_held_out=dataset != "digits", name=dataset)

    monkeypatch.setattr(dataset_settings, "load_splits", few)
    config = retrainings.TINY
    for board in (tmp_path / "first", tmp_path / "second"):
        places = Places(tmp_path / "results", tensorboard=board)
        record, folder = retrain_one(config, None, places, CPU, ignore)
        shown = read(board / config.place())
        for name in ("top1", "top5", "top1_raw", "top5_raw"):
            assert shown.pop(name) == [(3, pytest.approx(record[name]))]
        check_same(shown, logged(folder / "log.jsonl"))
        assert [step for step, _ in shown["loss"]] == [1, 2, 3]


@pytest.mark.parametrize("program", ["run", "search", "pipeline", "retrain"])
def test_programs_that_train_hand_it_on(program: str, tmp_path: Path) -> None:
    parse = importlib.import_module(f"benchmark.{program}.command").parse
    words = ["--tensorboard", str(tmp_path / "board")]
    if program == "retrain":
        words += ["--arch", retrainings.ARCH, *retrainings.SPACE_OPTIONS]
    assert parse(words).places.tensorboard == tmp_path / "board"


def test_a_study_hands_it_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Exception):
        pass

    def stop(study: Any, scale: str, crew: Any, keep: Any) -> None:
        raise Stopped(crew.machine.places.tensorboard)

    command = importlib.import_module("benchmark.study.command")
    monkeypatch.setattr(command, "run_study", stop)
    words = ["table9", "--results", str(tmp_path), "--tensorboard", str(tmp_path / "board")]
    with pytest.raises(Stopped, match="board"):
        command.main(words)


def test_without_the_package_or_a_place_nothing_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    results = ["--results", str(tmp_path / "results")]
    with pytest.raises(UserError, match=r"cannot write scalars to .*another with --tensorboard"):
        train([*results, "--tensorboard", str(tmp_path / "file")])
    monkeypatch.setattr(scalars, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs tensorboard: pip install .*\[tensorboard\]"):
        train([*results, "--tensorboard", str(tmp_path / "board")])
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


def test_scores_from_elsewhere_have_none(tmp_path: Path) -> None:
    parse = importlib.import_module("benchmark.run.command").parse
    with pytest.raises(UserError, match="so --tensorboard has no part in it"):
        parse(["--scores", "x.csv", "--tensorboard", str(tmp_path)])
