"""Settings of a retraining: presets, options, files of architectures, wrong input in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from retrainings import ARCH, CELL, SETTINGS, SPACE, SPACE_OPTIONS, TINY, tiny, write_arch

from benchmark.cli.errors import UserError
from benchmark.config.retrain import RetrainConfig
from benchmark.config.space import SpaceSettings, StandaloneSpace
from benchmark.retrain.command import parse


def test_paper_preset_is_the_published_recipe() -> None:
    arch = ",".join(["k3e3"] * 21) + "|" + ",".join(["1.0"] * 24)
    options = ["--dataset", "imagenet", "--preset", "paper", "--arch", arch]
    config = parse(options).config
    recipe, space = config.recipe, config.space.without_images()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (350, 1024, 0.128)
    assert (recipe.warmup_epochs, recipe.decay, recipe.decay_epochs) == (5, 0.97, 2.4)
    assert (recipe.momentum, recipe.rms_decay, recipe.ema) == (0.9, 0.9, 0.9999)
    assert (recipe.weight_decay, recipe.label_smoothing) == (1e-5, 0.1)
    assert config.space == StandaloneSpace("mobilenetv2")
    assert space == SpaceSettings("mobilenetv2", batch_norm="running").without_images()


def test_options_override_the_preset() -> None:
    request = parse(["--arch", ARCH, *SPACE_OPTIONS, "--epochs", "1", "--learning-rate", "0.1"])
    config = request.config
    assert (config.preset, config.dataset.name, config.seed) == ("quick", "digits", 0)
    recipe = config.recipe
    assert (recipe.epochs, recipe.learning_rate, recipe.warmup_epochs) == (1, 0.1, 0.5)
    assert config.space.plain() == SPACE
    assert request.search is None
    half = parse(["--arch", ARCH, *SPACE_OPTIONS, "--epochs", "2"]).config
    assert half.recipe.warmup_epochs == 0.5
    cell = parse(["--arch", CELL, "--space", "nasbench201"]).config
    assert (cell.space.plain(), cell.arch) == ({"channels": 8, "cells": 1}, CELL)


def test_a_file_brings_its_space_its_data_and_its_search(tmp_path: Path) -> None:
    path = write_arch(tmp_path / "arch.json")
    request = parse(["--arch", path, "--preset", "paper"])
    config = request.config
    assert (config.dataset.name, config.arch) == ("digits", ARCH)
    assert config.space == StandaloneSpace.like(SETTINGS)
    assert config.space.made().batch_norm == "running"
    assert request.search == {"record": "searches/a", "config": {"K": 4, "image_size": 64}}
    path = write_arch(tmp_path / "arch.json", search=None)
    assert parse(["--arch", path]).search is None


@pytest.mark.parametrize("nested", [False, True])
def test_a_file_brings_the_size_of_its_images(nested: bool, tmp_path: Path) -> None:
    config = {"dataset": {"name": "cifar10", "image_size": 16}} if nested else {"image_size": 16}
    search = {"record": "searches/a", "config": config}
    path = write_arch(tmp_path / "arch.json", dataset="cifar10", search=search)
    assert parse(["--arch", path]).config.dataset["image_size"] == 16
    assert parse(["--arch", path, "--image-size", "8"]).config.dataset["image_size"] == 8
    # Images of another data set have a size of their own.
    config = parse(["--arch", path, "--dataset", "cifar100", "--preset", "paper"]).config
    assert (config.dataset.name, config.dataset["image_size"]) == ("cifar100", 0)


def test_every_setting_has_a_help_text() -> None:
    known = RetrainConfig.known()
    assert TINY.flat().keys() <= known.keys()
    assert all(about.help for ones in known.values() for _, about in ones)


def test_config_round_trips_and_refuses_unknown_keys() -> None:
    values = json.loads(json.dumps(TINY.to_dict()))
    assert RetrainConfig.from_dict(values) == TINY
    assert RetrainConfig.from_dict(TINY.flat()) == TINY
    with pytest.raises(UserError, match=r"unknown keys \['depth'\]"):
        RetrainConfig.from_dict({**values, "depth": 3})
    assert tiny(epochs=4).run_id() != TINY.run_id()
    with pytest.raises(UserError, match="no architecture of nasbench201"):
        tiny(space="nasbench201")


MOBILE = ["--arch", ARCH, *SPACE_OPTIONS]
WRONG: dict[str, tuple[list[str], str]] = {
    "no architecture": ([], "--arch is missing"),
    "no such file": (["--arch", "nowhere.json"], "cannot read --arch nowhere.json: No such file"),
    "unknown operation": (
        ["--arch", "k9e3|1.0"],
        "no architecture of mobilenetv2 reads 'k9e3|1.0'",
    ),
    "another space's": (["--arch", CELL], "no architecture of mobilenetv2 reads"),
    "too few layers": (["--arch", "k3e3|1.0"], "15 choices, got 2"),
    "no path": (
        ["--space", "nasbench201", "--arch", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"],
        "no path leads from the images",
    ),
    "unknown space": (["--arch", ARCH, "--space", "enas"], "--space is one of darts"),
    "unknown data set": ([*MOBILE, "--dataset", "mnist"], "--dataset is one of digits"),
    "unknown preset": ([*MOBILE, "--preset", "huge"], "--preset is one of quick, paper"),
    "stages": (["--arch", ARCH, "--stages", "4-2"], "stages are channels x layers / stride"),
    "no epochs": ([*MOBILE, "--epochs", "0"], "epochs must be at least 1"),
    "rate": ([*MOBILE, "--learning-rate", "0"], "--learning-rate must be above 0"),
    "no number": ([*MOBILE, "--ema", "nan"], "ema must be 0 or more and below 1"),
    "seed": ([*MOBILE, "--seed", "-1"], "--seed must be 0 or more, got -1"),
    "test images": ([*MOBILE, "--test-images", "-1"], "--test-images must be 0 or more"),
    "jitter": (
        [*MOBILE, "--dataset", "imagenet", "--jitter", "-1"],
        "--jitter must be 0 or more",
    ),
    "another data set's": (
        [*MOBILE, "--jitter", "1"],
        "--jitter is a setting of --dataset imagenet; this retraining's dataset is digits",
    ),
    "held out": ([*MOBILE, "--held-out", "5"], "no option --held-out"),
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
    "settings": ({"settings": {"stem": 4}}, "the settings of a space name it under space"),
    "a setting of none": (
        {"settings": {"space": "mobilenetv2", "depth": 4}},
        "unknown keys ['depth']",
    ),
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


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", '{"search": NaN}', "[" * 10**5])
def test_a_damaged_file_is_one_clear_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "arch.json").write_text(text)
    with pytest.raises(UserError, match=r"arch\.json .*like a search's arch\.json"):
        parse(["--arch", str(tmp_path / "arch.json")])


def test_a_file_of_any_name_and_a_folder_are_no_architecture(tmp_path: Path) -> None:
    path = write_arch(tmp_path / "found")
    assert parse(["--arch", path]).config.arch == ARCH
    with pytest.raises(UserError, match=r"cannot read --arch .*: Is a directory"):
        parse(["--arch", str(tmp_path)])


def test_a_file_and_a_space_besides_are_refused(tmp_path: Path) -> None:
    path = write_arch(tmp_path / "arch.json")
    with pytest.raises(UserError, match="says which space it is of; leave out --stem, --head"):
        parse(["--arch", path, "--stem", "4", "--head", "8"])


def test_exit_code_2_one_line_no_traceback() -> None:
    command = [sys.executable, "-m", "benchmark.retrain", "--arch", "nowhere.json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: cannot read --arch nowhere.json")
