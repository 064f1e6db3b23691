"""A retraining from config to record: files, resuming, several processes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from pictures import write_folder
from retrainings import ARCH, CELL, SPACE_OPTIONS, TINY, tiny, write_arch
from safetensors import safe_open
from safetensors.torch import load_file

from benchmark.cli.errors import UserError
from benchmark.config import dataset as dataset_settings
from benchmark.config.retrain import RetrainConfig
from benchmark.datasets import digits, load_splits
from benchmark.datasets.splits import DataRequest, Splits
from benchmark.records.load_searches import load_retrained
from benchmark.retrain.command import main
from benchmark.retrain.execute import retrain_one
from benchmark.retrain.export import ABOUT
from benchmark.train.setup import Places
from kshot_core.retraining.standalone import build_standalone
from kshot_core.retraining.trainer import top_k
from kshot_core.tasks.batches import Part
from kshot_core.training.distributed import Processes

CPU = torch.device("cpu")


def few(dataset: str, request: DataRequest, settings: object = None) -> Splits:
    """300 scenes to train, 100 held out, 120 to judge by."""
    splits = digits.load_digits(request, num_train=300, num_valid=100, num_test=120)
    return dataclasses.replace(splits, valid_is_held_out=dataset != "digits", name=dataset)


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_settings, "load_splits", few)


class Killed(Exception):
    """Stands for a process that ends in the middle of things."""


def run_tiny(
    config: RetrainConfig, results: Path, kill_after: int = 99, search: Any = None
) -> tuple[dict[str, Any], Path]:
    def progress(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("retraining", config.recipe.epochs)
        if done == kill_after:
            raise Killed

    return retrain_one(config, search, Places(results), CPU, progress)


WRONG_DATA: dict[str, tuple[dict[str, Any], str]] = {
    "training images": ({"train_images": 301}, "has 300 that are not held out"),
    "test images": ({"test_images": 121}, "--test-images asks for 121 images, digits has 120"),
    "batch": ({"batch_size": 400}, "batch_size 400 is more than 300 images"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG_DATA.values(), ids=WRONG_DATA.keys())
def test_wrong_sizes_are_found_before_training(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        run_tiny(tiny(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_without_test_images_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = dataclasses.replace(few("digits", DataRequest()), test_images=None, test_labels=None)
    monkeypatch.setattr(dataset_settings, "load_splits", lambda dataset, request, settings: without)
    with pytest.raises(UserError, match="has no test images here"):
        run_tiny(TINY, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::benchmark.datasets.decoding.CorruptImageWarning")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--test-images", "13"], "--test-images asks for 13 images, imagenet has 12"),
        (["--test-images", "9"], "of 12 images cannot be read"),
    ],
)
def test_what_a_folder_cannot_judge_is_said_before_training(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_settings, "load_splits", load_splits)
    write_folder(tmp_path / "images", classes=3, train=10, val=4)
    for path in list((tmp_path / "images" / "val").rglob("*.png"))[:4]:
        path.write_bytes(b"no image")
    options = ["--arch", ARCH, *SPACE_OPTIONS, "--batch-size", "6", *options]
    options += ["--dataset", "imagenet", "--data", str(tmp_path / "images")]
    with pytest.raises(UserError, match=message):
        main([*options, "--image-size", "16", "--results", str(tmp_path / "results")])
    assert not list(tmp_path.rglob("config.json"))


def test_a_finished_retraining_says_what_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*SPACE_OPTIONS, "--arch", ARCH, "--results", str(tmp_path), "--epochs", "1"]
    options += ["--train-images", "0"]
    main(options)
    assert "weights, ONNX, record:" in capsys.readouterr().out
    next(tmp_path.rglob("model.onnx")).unlink()
    main(options)
    assert "weights and ONNX are gone: delete the folder" in capsys.readouterr().out


def test_missing_exporter_is_said_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(UserError, match="pip install onnx"):
        run_tiny(TINY, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_record_says_everything_and_files_hold_the_averaged_network(tmp_path: Path) -> None:
    search = {"record": "searches/a", "config": {"K": 4}}
    record, path = run_tiny(TINY, tmp_path, search=search)
    names = {"config.json", "log.jsonl", "model.onnx", "record.json", "weights.safetensors"}
    assert {one.name for one in path.iterdir()} == names
    assert path.parent == tmp_path / "retrained" / "digits" / "mobilenetv2"
    assert path.name == f"seed0-{TINY.run_id()}"
    written = json.loads((path / "record.json").read_text())
    assert written.pop("sha256")
    assert written == json.loads(json.dumps(record))
    assert record["config"] == TINY.to_dict()
    assert record["search"] == search
    assert (record["num_steps"], record["num_train_images"]) == (18, 300)
    assert (record["num_test_images"], record["num_processes"]) == (120, 1)
    assert len((path / "log.jsonl").read_text().splitlines()) == 3
    for name in ("environment", "data", "seconds", "peak_memory_bytes"):
        assert record[name]
    assert record["data"]["trained_on"] == "digits"

    data = few("digits", DataRequest())
    space = TINY.space.build(data)
    arch = space.from_string(ARCH)
    network = build_standalone(space, arch, 1)
    network.load_state_dict(load_file(path / "weights.safetensors"))
    assert record["params"] == sum(one.numel() for one in network.parameters())
    assert record["flops"] == space.flops(arch)
    assert (record["top1"], record["top5"]) == top_k(network, data.test(CPU))
    # The pixels' way into the network, from the record alone.
    session = onnxruntime.InferenceSession(path / "model.onnx", providers=["CPUExecutionProvider"])
    assert data.test_images is not None
    assert data.test_labels is not None
    scale, shift = (torch.tensor(record["pixels"][name]) for name in ("scale", "shift"))
    x = data.test_images * scale[:, None, None] + shift[:, None, None]
    (logits,) = session.run(["logits"], {"images": x.numpy()})
    right = torch.from_numpy(logits).argmax(1) == data.test_labels
    assert record["top1"] == pytest.approx(100 * right.float().mean().item())
    with safe_open(path / "weights.safetensors", framework="pt") as file:
        about = json.loads(file.metadata()[ABOUT])
    assert about["config"] == record["config"]
    assert about["top1"] == record["top1"]


def test_records_are_read_by_the_report(tmp_path: Path) -> None:
    run_tiny(tiny(epochs=1), tmp_path, search={"record": "searches/a", "config": {"K": 4}})
    run_tiny(tiny(epochs=1, seed=1), tmp_path)
    table = load_retrained(tmp_path)
    assert table["config.seed"].tolist() == [0, 1]
    assert table["search.record"].isna().tolist() == [False, True]
    assert table["space"].tolist() == ["mobilenetv2"] * 2


def test_killed_after_any_epoch_and_resumed_gives_the_same_bytes(tmp_path: Path) -> None:
    whole, path = run_tiny(TINY, tmp_path / "whole")
    for epoch in range(TINY.recipe.epochs + 1):
        results = tmp_path / str(epoch)
        with pytest.raises(Killed):
            run_tiny(TINY, results, kill_after=epoch)
        assert not list(results.glob("retrained/*/*/*/record.json"))
        record, again = run_tiny(TINY, results)
        for name in ("weights.safetensors", "model.onnx"):
            assert (again / name).read_bytes() == (path / name).read_bytes()
        for name in ("top1", "top5", "top1_raw", "top5_raw", "num_steps"):
            assert record[name] == whole[name]
        logs = [(one / "log.jsonl").read_text().splitlines() for one in (again, path)]
        assert _without_seconds(logs[0]) == _without_seconds(logs[1])


def _without_seconds(lines: Sequence[str]) -> list[dict[str, Any]]:
    epochs = [json.loads(line) for line in lines]
    return [{name: one[name] for name in one if name != "seconds"} for one in epochs]


def test_finished_retraining_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_tiny(tiny(epochs=1), tmp_path)

    def fail(*arguments: object) -> None:
        raise AssertionError("it ran again")

    monkeypatch.setattr(dataset_settings, "load_splits", fail)
    again = run_tiny(tiny(epochs=1), tmp_path)
    assert again == (json.loads(json.dumps(first[0])), first[1])


@pytest.mark.parametrize("keep", [0, 100, -10])
def test_checkpoint_cut_short_is_one_clear_line(keep: int, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_tiny(TINY, tmp_path, kill_after=1)
    (path,) = tmp_path.glob("retrained/*/*/*/checkpoint.safetensors")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"cut short or damaged.*delete it"):
        run_tiny(TINY, tmp_path)


def test_two_programs_do_not_work_on_one_retraining(tmp_path: Path) -> None:
    def again(stage: str, done: int, total: int) -> None:
        run_tiny(TINY, tmp_path)

    with pytest.raises(UserError, match="another process"):
        retrain_one(TINY, None, Places(tmp_path), CPU, again)


def test_diverged_training_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="training diverged; lower the learning rate"):
        run_tiny(tiny(learning_rate=1e30, warmup_epochs=0.0), tmp_path)


def test_all_images_are_trained_on_unless_some_are_asked_for(tmp_path: Path) -> None:
    everything, _ = run_tiny(tiny(dataset="cifar10", epochs=1), tmp_path)
    assert everything["num_train_images"] == 400
    some, _ = run_tiny(tiny(dataset="cifar10", epochs=1, train_images=200), tmp_path)
    assert some["num_train_images"] == 200


def test_batches_that_do_not_divide_among_processes_are_refused(tmp_path: Path) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        raise AssertionError("it began")

    for batch_size, message in ((50, "does not divide among 3 processes"), (4, "fewer than 2")):
        processes = Processes(Part(0, 3))
        config = tiny(batch_size=batch_size)
        with pytest.raises(UserError, match=message):
            retrain_one(config, None, Places(tmp_path), CPU, progress, processes)


def test_program_learns_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*SPACE_OPTIONS, "--arch", ARCH.replace("0.8", "1.0"), "--results", str(tmp_path)]
    options += ["--train-images", "0", "--batch-size", "20", "--epochs", "20"]
    options += ["--learning-rate", "0.01", "--decay-epochs", "2", "--ema", "0.99"]
    record = main([*options, "--label-smoothing", "0"])
    # Of ten classes, from 300 scenes.
    assert record["top1"] > 25
    assert record["top5"] > 70
    shown = capsys.readouterr()
    assert f"{record['top1']:.2f} % top-1, {record['top5']:.2f} % top-5 on 120" in shown.out
    assert str(tmp_path) in shown.out
    assert "retraining: 20/20" in shown.err


def test_nasbench201_cells_are_retrained_too(tmp_path: Path) -> None:
    config = tiny(space="nasbench201", arch=CELL, channels=4, cells=1, epochs=1)
    record, path = run_tiny(config, tmp_path)
    assert path.parent.name == "nasbench201"
    space = config.space.build(few("digits", DataRequest()))
    assert record["params"] == space.params(space.from_string(CELL))


@pytest.mark.slow
def test_two_processes_under_torchrun_write_one_record(tmp_path: Path) -> None:
    results = tmp_path / "results"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "benchmark.retrain"]
    command += ["--arch", write_arch(tmp_path / "arch.json", search=None), "--device", "cpu"]
    command += ["--train-images", "400", "--test-images", "200", "--epochs", "2"]
    command += ["--results", str(results)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("top-1") == 1, "the first process alone prints"
    (path,) = results.glob("retrained/*/*/*")
    record = json.loads((path / "record.json").read_text())
    assert (record["num_processes"], record["num_steps"]) == (2, 12)
    assert not (path / "checkpoint.safetensors").exists()
