"""The program: options, presets, wrong input answered in one line, in-process calls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from runs import write_truth

from benchmark.cli.errors import UserError
from benchmark.config import presets
from benchmark.config.run import RunConfig, run_config
from benchmark.records.load import load_predictions
from benchmark.run.command import main, parse, run
from benchmark.truth import table
from kshot_core.sharing import SHARING, OwnWarmup


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_truth(tmp_path_factory.mktemp("truth") / "truth.csv")


def test_no_option_at_all_is_the_embedded_data_set() -> None:
    configs = parse([]).configs
    assert {(c.dataset.name, c.K, c.sharing.name, c.preset) for c in configs} == {
        ("digits", 1, "one-shot", "quick"),
        ("digits", 8, "simplex", "quick"),
    }


def test_quick_supernets_are_of_the_networks_that_the_shipped_tables_are_of() -> None:
    assert {*presets.TRUTHS_NETWORKS} == {*table._EMBEDDED}
    for (space, dataset), path in table._EMBEDDED.items():
        made = json.loads(path.with_suffix(".json").read_text())["config"]
        # The oldest table's has them beside the others.
        networks = made["space"] if "space" in made else {k: made[k] for k in ("channels", "cells")}
        config = run_config("quick", dataset, {"space": space, "K": 1})
        own = config.space.to_dict()
        assert {**own, "space": config.space.name} == {**own, **networks}


def test_paper_preset_is_the_published_recipe() -> None:
    options = ["--dataset", "cifar10", "--preset", "paper", "--K", "1", "2", "4", "8", "12"]
    configs = parse(options).configs
    assert len(configs) == 50
    config = configs[-1]
    assert (config.K, config.seed, config.sharing.name) == (12, 9, "simplex")
    recipe = config.training
    assert (config.space["channels"], config.space["cells"]) == (16, 5)
    assert (recipe.epochs, recipe.batch_size) == (250, 64)
    assert (recipe.learning_rate, recipe.min_learning_rate) == (0.025, 0.001)
    assert (recipe.momentum, recipe.weight_decay, recipe.nesterov) == (0.9, 5e-4, True)
    assert (recipe.num_groups, recipe.schedule, recipe.unsampled) == (16, "alternate", "decay")
    assert (config.ranking.archs, config.scoring.score_images) == (0, 0)


def test_options_override_the_preset() -> None:
    config = parse(["--preset", "paper", "--epochs", "4", "--no-nesterov"]).configs[0]
    recipe = config.training
    assert (recipe.epochs, recipe.warmup_epochs, recipe.nesterov) == (4, 2, False)


def test_several_sharings_make_one_run_each_and_k1_only_one() -> None:
    request = parse(["--K", "1", "5", "--sharing", "simplex", "few-shot", "--seeds", "2"])
    kinds = [(c.sharing.name, c.K, c.seed) for c in request.configs]
    assert len(kinds) == len(set(kinds)) == 6


def test_config_round_trips_and_refuses_unknown_keys() -> None:
    values = json.loads(json.dumps(RunConfig().to_dict()))
    assert RunConfig.from_dict(values) == RunConfig()
    assert RunConfig.from_dict(RunConfig().flat()) == RunConfig()
    with pytest.raises(UserError, match=r"unknown keys \['depth'\]"):
        RunConfig.from_dict({**values, "depth": 3})
    assert RunConfig.of(epochs=3).run_id() != RunConfig().run_id()


def test_a_config_of_a_preset_and_a_few_settings_is_the_command_lines() -> None:
    options = ["--preset", "proxy", "--K", "4", "--epochs", "6", "--first-seed", "2"]
    (first, *_) = parse(options).configs
    settings = {"K": 4, "epochs": 6, "seed": 2}
    assert run_config("proxy", "digits", settings) == first
    assert (first.space["channels"], first.training.epochs, first.seed) == (8, 6, 2)
    assert first.training.warmup_epochs == 1
    # What the preset says of searches is not of a run.
    assert run_config("small", "digits", {"K": 1}).sharing.name == "one-shot"
    assert run_config("quick", "digits", {"sharing": "one-shot"}).K == 1
    with pytest.raises(UserError, match="no settings depth, num_seeds"):
        run_config("quick", "digits", {"depth": 3, "num_seeds": 2})
    with pytest.raises(UserError, match="one copy"):
        run_config("quick", "digits", {"sharing": "one-shot", "K": 2})


def test_a_strategy_has_a_warm_up_of_its_own() -> None:
    """Few-shot from trained one-shot weights, random codes from the first step."""

    def warm(sharing: str, **settings: Any) -> tuple[str, int]:
        config = run_config("proxy", "digits", {"sharing": sharing, "K": 5, **settings})
        return config.training.warmup, config.training.warmup_epochs

    assert warm("simplex") == warm("fixed") == ("uniform", 1)
    assert warm("random") == ("uniform", 0)
    assert warm("few-shot") == ("one-shot", 15)
    assert warm("few-shot", epochs=8) == ("one-shot", 4)
    # Nothing but the strategy says so.
    own = {name for name, one in SHARING.items() if isinstance(one, OwnWarmup)}
    assert own == {"random", "few-shot"}
    # As they had it before, by name; and old configs mean what they meant.
    for sharing in ("few-shot", "random"):
        assert warm(sharing, warmup="uniform") == ("uniform", 1)
        assert warm(sharing, warmup_epochs=3) == ("uniform", 3)
        assert RunConfig.from_dict({"sharing": sharing, "K": 5}).training.warmup == "uniform"


WRONG = {
    "unknown data set": (["--dataset", "mnist"], "--dataset is one of digits"),
    "K = 0": (["--K", "0"], "--K must be at least 1, got 0"),
    "no seeds": (["--seeds", "0"], "--seeds must be at least 1"),
    "no jobs": (["--jobs", "0"], "--jobs must be at least 1"),
    "unknown preset": (["--preset", "huge"], "--preset is one of quick"),
    "unknown sharing": (["--sharing", "none"], "--sharing is one of one-shot"),
    "unknown sampler": (["--sampler", "best"], "--sampler is one of uniform"),
    "unknown encoding": (["--encoding", "two-hot"], "--encoding is one of raw"),
    "one-shot with K = 4": (["--sharing", "one-shot", "--K", "4"], "one copy"),
    "one architecture": (["--archs", "1"], "at least 2"),
    "batch too small": (["--batch-size", "8"], "fewer than 2 images"),
    "rate below zero": (["--learning-rate", "-1"], "--learning-rate must be above 0"),
    "unknown schedule": (["--schedule", "both"], "--schedule is one of"),
    "another space's": (
        ["--stages", "8x1/1"],
        "--stages is a setting of --space mobilenetv2 and --space proxyless; this run's space",
    ),
    "another strategy's": (
        ["--few-shot-edge", "1"],
        "--few-shot-edge is a setting of --sharing few-shot; this run's sharing is one-shot or",
    ),
    "another data set's": (
        ["--jitter", "1"],
        "--jitter is a setting of --dataset imagenet; this run's dataset is digits",
    ),
    "no copies": (["--K", "1", "--compensate"], "--compensate has no effect without several"),
    "no codes": (["--K", "1", "--num-groups", "4"], "--num-groups has no effect without codes"),
    "fixed codes": (
        ["--sharing", "fixed", "--simplex-every", "4"],
        "--simplex-every has no effect without codes that are trained",
    ),
    "no widths": (["--width-distance", "1"], "--width-distance has no effect without widths"),
    "no tracking": (
        ["--track-every", "0", "--track-archs", "5"],
        "--track-archs has no effect without --track-every",
    ),
    "codes of one copy": (["--K", "1", "--score-codes", "mean"], "more than one copy, got --K 1"),
    "unknown codes": (["--score-codes", "best"], "--score-codes is one of own"),
    "no such device": (["--device", "tpu9"], "--device tpu9"),
    "no GPU": (["--device", "cuda:77"], "--device cuda:77"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_one_clear_line(options: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(options)
    assert message in str(error.value)


WRONG_FILES = {
    "no truth table": (
        ["--truth", "nowhere.csv"],
        "no truth table of nasbench201 for digits at nowhere.csv",
    ),
    "unknown column": (["--truth-column", "digits/valid/9ep/mean"], "digits/valid/1ep/mean"),
    "malformed column": (["--truth-column", "accuracy"], "accuracy"),
    "few-shot, K = 8": (["--sharing", "few-shot", "--K", "8"], "K is 2..5, got 8"),
    "too many archs": (["--archs", "13"], "has 12"),
    "too many images": (["--train-images", "99999"], "--train-images asks for 99999"),
    "batch too large": (["--train-images", "40"], "--batch-size 64 is more than the 40"),
}


@pytest.mark.parametrize(("options", "message"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_wrong_input_is_found_before_training(
    options: list[str], message: str, truth: Path, tmp_path: Path
) -> None:
    common = ["--truth", str(truth), "--results", str(tmp_path / "results"), "--jobs", "1"]
    with pytest.raises(UserError) as error:
        main([*common, *options])
    assert message in str(error.value)
    assert not list(tmp_path.glob("results/records/*/*/*/*/record.json"))


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "imagenet16-120"])
def test_folder_without_the_images(dataset: str, truth: Path, tmp_path: Path) -> None:
    options = ["--dataset", dataset, "--data", str(tmp_path), "--truth", str(truth)]
    options += ["--truth-column", "digits/valid/1ep/mean", "--archs", "5"]
    with pytest.raises(UserError, match=str(tmp_path)):
        main([*options, "--results", str(tmp_path / "results")])


def test_unwritable_results(truth: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write results"):
        main(["--truth", str(truth), "--results", str(tmp_path / "file" / "results")])


def test_exit_code_2_one_line_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmark.run", "--dataset", "mnist"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: --dataset is one of")


@pytest.mark.slow
def test_runs_in_parallel_end_with_their_table(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--epochs", "2", "--train-images", "300", "--batch-size", "50", "--channels", "4"]
    options += ["--score-images", "100", "--truth", str(truth), "--results", str(tmp_path)]
    records = main([*options, "--K", "1", "3", "--seeds", "2", "--jobs", "2"])
    assert [(r["config"]["K"], r["config"]["seed"]) for r in records] == [
        (1, 0),
        (1, 1),
        (3, 0),
        (3, 1),
    ]
    printed = capsys.readouterr().out
    assert "one-shot K=1" in printed
    assert "seed agreement" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"records", "supernets"}
    # One process or several, the same bytes.
    alone = main(
        [*options, "--K", "3", "--seeds", "1", "--jobs", "1", "--results", str(tmp_path / "alone")]
    )
    assert alone[0]["metrics"] == records[2]["metrics"]


def test_runs_in_lockstep_predict_what_they_do_alone(truth: Path, tmp_path: Path) -> None:
    options = ["--epochs", "1", "--train-images", "200", "--batch-size", "50", "--channels", "4"]
    options += ["--score-images", "100", "--truth", str(truth), "--K", "1", "3", "--jobs", "1"]
    options += ["--num-groups", "5", "--warmup-epochs", "0", "--seeds", "2"]
    options += ["--learning-rate", "0.01"]
    losses: dict[str, list[NDArray[np.float32]]] = {}
    for name, flag in {"alone": [], "lockstep": ["--lockstep"]}.items():
        records = run(parse([*options, *flag, "--results", str(tmp_path / name)]))
        assert [r["config"]["lockstep"] for r in records] == [name == "lockstep"] * 4
        paths = sorted((tmp_path / name).glob("records/*/*/*/seed*/predictions.npy"))
        losses[name] = [load_predictions(path.parent)["loss"] for path in paths]
    # Four steps: rounding has not grown yet.
    np.testing.assert_allclose(losses["lockstep"], losses["alone"], rtol=1e-3)
    again = run(parse([*options, "--lockstep", "--results", str(tmp_path / "lockstep")]))
    assert [r["metrics"] for r in again] == [r["metrics"] for r in records]


def test_a_run_that_diverges_in_lockstep_is_named_in_one_line(truth: Path, tmp_path: Path) -> None:
    options = ["--epochs", "3", "--train-images", "200", "--batch-size", "50", "--channels", "4"]
    options += ["--score-images", "100", "--truth", str(truth), "--K", "1", "3", "--lockstep"]
    options += ["--learning-rate", "1e30", "--gradient-clip", "0", "--jobs", "1"]
    with pytest.raises(UserError, match="training diverged"):
        main([*options, "--results", str(tmp_path)])
