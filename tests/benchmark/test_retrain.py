"""Retraining as a program: options, files, resuming, records, several processes."""

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
from safetensors import safe_open
from safetensors.torch import load_file

from benchmark import execute_retrain
from benchmark.datasets import digits
from benchmark.datasets.splits import DataRequest, Splits
from benchmark.errors import UserError
from benchmark.execute_retrain import retrain_one
from benchmark.export import ABOUT
from benchmark.load_searches import load_retrained
from benchmark.retrain import main, parse
from benchmark.retrain_config import RETRAIN_HELP, RetrainConfig
from benchmark.setup import Places
from benchmark.space_settings import SpaceSettings
from kshot_core.data import Part
from kshot_core.distributed import Processes
from kshot_core.retraining import top_k
from kshot_core.standalone import build_standalone

ARCH = "k3e3s,k5e3,k3e6|1.0,1.0,0.8,1.0,0.6,1.0"
SPACE = {"stages": "4x2/2,6x1/1", "stem": 4, "first": 4, "head": 8, "stem_stride": 1}
SETTINGS = SpaceSettings("mobilenetv2", **SPACE)  # type: ignore[arg-type]
TINY = RetrainConfig(
    arch=ARCH,
    **SPACE,  # type: ignore[arg-type]
    epochs=3,
    batch_size=50,
    learning_rate=0.02,
    warmup_epochs=0.5,
    ema=0.9,
)
CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
CPU = torch.device("cpu")


def few(dataset: str, request: DataRequest) -> Splits:
    """300 scenes to train, 100 held out, 120 to judge by."""
    splits = digits.load_digits(request, num_train=300, num_valid=100, num_test=120)
    return dataclasses.replace(splits, valid_is_held_out=dataset != "digits", name=dataset)


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute_retrain, "load_splits", few)


def tiny(**changes: Any) -> RetrainConfig:
    return dataclasses.replace(TINY, **changes)


class Killed(Exception):
    """Stands for a process that ends in the middle of things."""


def run_tiny(
    config: RetrainConfig, results: Path, kill_after: int = 99, search: Any = None
) -> tuple[dict[str, Any], Path]:
    def progress(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("retraining", config.epochs)
        if done == kill_after:
            raise Killed

    return retrain_one(config, search, Places(results), CPU, progress)


def write_arch(path: Path, **changes: Any) -> str:
    values = {
        "space": "mobilenetv2",
        "settings": dataclasses.asdict(SETTINGS),
        "arch": ARCH,
        "dataset": "digits",
        "flops": 1.0,
        "params": 1,
        "accuracy": 50.0,
        "search": {"record": "searches/a", "config": {"K": 4, "image_size": 64}},
    }
    path.write_text(json.dumps({**values, **changes}))
    return str(path)


def test_paper_preset_is_the_published_recipe() -> None:
    arch = ",".join(["k3e3"] * 21) + "|" + ",".join(["1.0"] * 24)
    options = ["--dataset", "imagenet", "--preset", "paper", "--arch", arch]
    config = parse(options).config
    assert (config.epochs, config.batch_size, config.learning_rate) == (350, 1024, 0.128)
    assert (config.warmup_epochs, config.decay, config.decay_epochs) == (5, 0.97, 2.4)
    assert (config.momentum, config.rms_decay, config.ema) == (0.9, 0.9, 0.9999)
    assert (config.weight_decay, config.label_smoothing) == (1e-5, 0.1)
    assert config.settings() == SpaceSettings("mobilenetv2", batch_norm="running", affine=True)


def test_options_override_the_preset() -> None:
    options = [word for name, value in SPACE.items() for word in _option(name, value)]
    request = parse(["--arch", ARCH, *options, "--epochs", "1", "--learning-rate", "0.1"])
    config = request.config
    assert (config.preset, config.dataset, config.seed) == ("quick", "digits", 0)
    assert (config.epochs, config.learning_rate, config.warmup_epochs) == (1, 0.1, 0.5)
    assert {name: getattr(config, name) for name in SPACE} == SPACE
    assert request.search is None
    half = parse(["--arch", ARCH, *options, "--epochs", "2"]).config
    assert half.warmup_epochs == 0.5
    cell = parse(["--arch", CELL, "--space", "nasbench201"]).config
    assert (cell.channels, cell.cells, cell.arch) == (8, 1, CELL)


def _option(name: str, value: Any) -> tuple[str, str]:
    return "--" + name.replace("_", "-"), str(value)


def test_a_file_brings_its_space_its_data_and_its_search(tmp_path: Path) -> None:
    path = write_arch(tmp_path / "arch.json")
    request = parse(["--arch", path, "--preset", "paper"])
    config = request.config
    assert (config.dataset, config.arch, config.image_size) == ("digits", ARCH, 64)
    assert config.settings() == dataclasses.replace(SETTINGS, batch_norm="running", affine=True)
    assert request.search == {"record": "searches/a", "config": {"K": 4, "image_size": 64}}
    # Images of another data set have a size of their own.
    config = parse(["--arch", path, "--dataset", "cifar10", "--preset", "paper"]).config
    assert (config.dataset, config.image_size) == ("cifar10", 0)
    assert parse(["--arch", path, "--image-size", "32"]).config.image_size == 32
    path = write_arch(tmp_path / "arch.json", search=None)
    assert parse(["--arch", path]).search is None


def test_every_setting_has_a_help_text() -> None:
    assert set(RETRAIN_HELP) == set(TINY.to_dict())
    for name, said in RETRAIN_HELP.items():
        assert 5 <= len(said) <= 100, name
        assert not said.endswith("."), name
        assert "%" not in said, name


def test_config_round_trips_and_refuses_unknown_keys() -> None:
    values = json.loads(json.dumps(TINY.to_dict()))
    assert RetrainConfig.from_dict(values) == TINY
    with pytest.raises(UserError, match=r"unknown keys \['depth'\]"):
        RetrainConfig.from_dict({**values, "depth": 3})
    assert tiny(epochs=4).run_id() != TINY.run_id()
    with pytest.raises(UserError, match="no architecture of nasbench201"):
        tiny(space="nasbench201")


MOBILE = ["--arch", ARCH, "--stages", "4x2/2,6x1/1"]
WRONG: dict[str, tuple[list[str], str]] = {
    "no architecture": ([], "--arch is missing"),
    "no such file": (["--arch", "nowhere.json"], "cannot read --arch nowhere.json: No such file"),
    "unknown operation": (
        ["--arch", "k9e3|1.0"],
        "no architecture of mobilenetv2 reads 'k9e3|1.0'",
    ),
    "another space's": (["--arch", CELL], "no architecture of mobilenetv2 reads"),
    "too few layers": (["--arch", "k3e3|1.0"], "19 choices, got 2"),
    "no path": (
        ["--space", "nasbench201", "--arch", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"],
        "no path leads from the images",
    ),
    "unknown space": (["--arch", ARCH, "--space", "darts"], "--space is one of mobilenetv2"),
    "unknown data set": ([*MOBILE, "--dataset", "mnist"], "--dataset is one of digits"),
    "unknown preset": ([*MOBILE, "--preset", "huge"], "--preset is one of quick, paper"),
    "stages": (["--arch", ARCH, "--stages", "4-2"], "stages are channels x layers / stride"),
    "no epochs": ([*MOBILE, "--epochs", "0"], "epochs must be at least 1"),
    "rate": ([*MOBILE, "--learning-rate", "0"], "learning_rate must be above 0"),
    "no number": ([*MOBILE, "--ema", "nan"], "ema must be 0 or more and below 1"),
    "seed": ([*MOBILE, "--seed", "-1"], "--seed must be 0 or more, got -1"),
    "test images": ([*MOBILE, "--test-images", "-1"], "--test-images must be 0 or more"),
    "jitter": ([*MOBILE, "--jitter", "-1"], "--jitter must be 0 or more"),
    "precision": ([*MOBILE, "--precision", "int8"], "precision is one of"),
    "device": ([*MOBILE, "--device", "tpu9"], "--device tpu9"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_one_clear_line(options: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(options)
    assert message in str(error.value)


WRONG_FILES: dict[str, tuple[dict[str, Any], str]] = {
    "no space": ({"space": None}, "but space is 'None'"),
    "settings": ({"settings": {"stem": 4}}, "unknown keys [] and miss ['affine'"),
    "arch": ({"arch": "k3e3|1.0"}, "an architecture here has 9 choices, got 2"),
    "two spaces": ({"space": "nasbench201"}, "names the space 'nasbench201' and has settings of"),
    "data set": ({"dataset": "mnist"}, "--dataset is one of digits"),
    "search": ({"search": "mine"}, "search must be an object or null, got 'mine'"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_a_file_of_something_else_is_one_clear_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write_arch(tmp_path / "arch.json", **changes)
    with pytest.raises(UserError) as error:
        parse(["--arch", path])
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_a_damaged_file_is_one_clear_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "arch.json").write_text(text)
    with pytest.raises(UserError, match=r"arch\.json .*like a search's arch\.json"):
        parse(["--arch", str(tmp_path / "arch.json")])


def test_a_file_and_a_space_besides_are_refused(tmp_path: Path) -> None:
    path = write_arch(tmp_path / "arch.json")
    with pytest.raises(UserError, match="says which space it is of; leave out --stem, --head"):
        parse(["--arch", path, "--stem", "4", "--head", "8"])


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
    monkeypatch.setattr(execute_retrain, "load_splits", lambda dataset, request: without)
    with pytest.raises(UserError, match="has no test images here"):
        run_tiny(TINY, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_exporter_is_said_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(UserError, match="pip install onnx"):
        run_tiny(TINY, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_exit_code_2_one_line_no_traceback() -> None:
    command = [sys.executable, "-m", "benchmark.retrain", "--arch", "nowhere.json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: cannot read --arch nowhere.json")


def test_record_says_everything_and_files_hold_the_averaged_network(tmp_path: Path) -> None:
    search = {"record": "searches/a", "config": {"K": 4}}
    record, path = run_tiny(TINY, tmp_path, search=search)
    names = {"config.json", "log.jsonl", "model.onnx", "record.json", "weights.safetensors"}
    assert {one.name for one in path.iterdir()} == names
    assert path.parent == tmp_path / "retrained" / "digits" / "mobilenetv2"
    assert path.name == f"seed0-{TINY.run_id()}"
    assert json.loads((path / "record.json").read_text()) == json.loads(json.dumps(record))
    assert record["config"] == TINY.to_dict()
    assert record["search"] == search
    assert (record["num_steps"], record["num_train_images"]) == (18, 300)
    assert (record["num_test_images"], record["num_processes"]) == (120, 1)
    assert len((path / "log.jsonl").read_text().splitlines()) == 3
    for name in ("environment", "data", "seconds", "peak_memory_bytes"):
        assert record[name]
    assert record["data"]["trained_on"] == "digits"

    data = few("digits", DataRequest())
    space = TINY.settings().build(data)
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
    for epoch in range(TINY.epochs + 1):
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

    monkeypatch.setattr(execute_retrain, "load_splits", fail)
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
    options = [word for name, value in SPACE.items() for word in _option(name, value)]
    options += ["--arch", ARCH.replace("0.8", "1.0"), "--results", str(tmp_path)]
    options += ["--train-images", "0", "--batch-size", "20", "--epochs", "12"]
    options += ["--learning-rate", "0.01", "--decay-epochs", "2", "--ema", "0.99"]
    record = main([*options, "--label-smoothing", "0"])
    # Of ten classes, from 300 scenes.
    assert record["top1"] > 25
    assert record["top5"] > 70
    shown = capsys.readouterr()
    assert f"{record['top1']:.2f} % top-1, {record['top5']:.2f} % top-5 on 120" in shown.out
    assert str(tmp_path) in shown.out
    assert "retraining: 12/12" in shown.err


def test_nasbench201_cells_are_retrained_too(tmp_path: Path) -> None:
    config = tiny(space="nasbench201", arch=CELL, channels=4, cells=1, epochs=1)
    record, path = run_tiny(config, tmp_path)
    assert path.parent.name == "nasbench201"
    space = config.settings().build(few("digits", DataRequest()))
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
    for _ in range(2):
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("top-1") == 1, "the first process alone prints"
    (path,) = results.glob("retrained/*/*/*")
    record = json.loads((path / "record.json").read_text())
    assert (record["num_processes"], record["num_steps"]) == (2, 12)
    assert not (path / "checkpoint.safetensors").exists()
