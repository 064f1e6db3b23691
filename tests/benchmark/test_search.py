"""A search from config to record: within its limits, complete, resumable at every moment."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from retrainings import SPACE
from runs import write_truth

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.config.arch_file import read_arch
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig, search_config
from benchmark.config.space import SpaceSettings
from benchmark.search.command import main, parse
from benchmark.search.execute import search_one
from benchmark.train.setup import Places
from benchmark.truth.table import TruthTable

TINY: dict[str, Any] = {
    **SPACE,
    "K": 3,
    "epochs": 2,
    "batch_size": 40,
    "train_images": 200,
    "num_groups": 4,
    "score_images": 100,
    "score_batch_size": 50,
}
SEARCH: dict[str, Any] = {"population": 6, "generations": 3, "parents": 3, "max_flops": 12e3}
CELLS = {"space": "nasbench201", "channels": 4, "cells": 1}


def tiny(run: dict[str, Any] | None = None, **search: Any) -> SearchConfig:
    return search_config("small", "digits", TINY | SEARCH | (run or {}) | search)


def ignore(stage: str, done: int, total: int) -> None:
    pass


def run_tiny(
    config: SearchConfig, results: Path, truth: Path | None = None, progress: Any = ignore
) -> tuple[dict[str, Any], Path]:
    places = Places(results=results, truth=truth)
    return search_one(config, places, torch.device("cpu"), progress, 0)


def rows_of(path: Path, name: str) -> list[dict[str, str]]:
    with (path / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, Path]:
    results = tmp_path_factory.mktemp("results")
    return *run_tiny(tiny(), results), results


def test_what_a_search_leaves(finished: tuple[dict[str, Any], Path, Path]) -> None:
    record, path, results = finished
    assert path.parent == results / "searches" / "digits" / "mobilenetv2" / "simplex-K3"
    rows = rows_of(path, "evaluated.csv")
    assert len(rows) == record["num_scored"] == 18
    assert [int(row["number"]) for row in rows] == list(range(18))
    assert [int(row["generation"]) for row in rows] == [1] * 6 + [2] * 6 + [3] * 6
    assert len({row["arch"] for row in rows}) == 18
    assert all(float(row["flops"]) <= 12e3 for row in rows)
    best = max(rows, key=lambda row: (float(row["accuracy"]), -float(row["loss"])))
    assert record["best"]["arch"] == best["arch"]
    assert record["best"]["true"] is None
    assert np.load(path / "codes.npy").shape == (18, 3)
    front = rows_of(path, "front.csv")
    costs = [float(row["flops"]) for row in front]
    gains = [float(row["accuracy"]) for row in front]
    assert costs == sorted(costs)
    assert gains == sorted(gains)
    # Of equally accurate ones the front has the cheapest, the search takes that of least loss.
    assert best["accuracy"] == front[-1]["accuracy"]
    for name in ("front.png", "arch.png"):
        assert (path / name).read_bytes().startswith(b"\x89PNG")
    assert not list(path.glob(".*"))
    json.loads((path / "record.json").read_text(encoding="utf-8"))


def test_what_was_found_can_be_retrained(finished: tuple[dict[str, Any], Path, Path]) -> None:
    record, path, _ = finished
    found = read_arch(path / "arch.json")
    assert found.arch == record["best"]["arch"]
    assert found.dataset == "digits"
    assert found.settings == SpaceSettings("mobilenetv2", **SPACE)
    assert found.search is not None
    assert found.search["config"] == tiny().to_dict()


def test_a_finished_search_is_not_repeated(finished: tuple[dict[str, Any], Path, Path]) -> None:
    record, path, results = finished
    before = {file: file.stat().st_mtime_ns for file in results.rglob("*") if file.is_file()}
    assert run_tiny(tiny(), results, progress=None) == (record, path)
    assert {f: f.stat().st_mtime_ns for f in results.rglob("*") if f.is_file()} == before


def test_another_search_takes_the_same_supernet(
    finished: tuple[dict[str, Any], Path, Path], tmp_path: Path
) -> None:
    record, _, results = finished
    stages = []

    def note(stage: str, done: int, total: int) -> None:
        stages.append(stage)

    other, _ = run_tiny(tiny(search_seed=1), results, progress=note)
    assert set(stages) == {"searching"}
    assert other["supernets"] == record["supernets"]
    # The same supernet trained anew gives the same scores.
    again, _ = run_tiny(tiny(search_seed=1), tmp_path)
    assert again["best"] == other["best"]


@pytest.mark.parametrize(
    "config",
    [tiny(), tiny(method="random"), tiny({"K": 2}, ensemble="average")],
    ids=["nsga2", "random", "ensemble"],
)
def test_killed_at_any_event_and_resumed_gives_the_same_bytes(
    config: SearchConfig, tmp_path: Path
) -> None:
    _, whole = run_tiny(config, tmp_path / "whole")
    path, attempts = None, 0
    while path is None:
        attempts += 1
        # Every attempt is let to do more than the one before.
        countdown = iter(range(4 * attempts))

        def kill(stage: str, done: int, total: int, countdown: Iterator[int] = countdown) -> None:
            if next(countdown, None) is None:
                raise InterruptedError

        try:
            _, path = run_tiny(config, tmp_path / "killed", progress=kill)
        except InterruptedError:
            assert not list((tmp_path / "killed").glob("searches/*/*/*/*/record.json"))
    assert attempts > 3
    names = ["evaluated.csv", "front.csv", "arch.json", "front.png"]
    for name in names if config.ensemble else [*names, "codes.npy"]:
        assert (path / name).read_bytes() == (whole / name).read_bytes(), name


WILD = {"learning_rate": 1e30, "gradient_clip": 0.0}


def test_a_search_whose_supernet_diverged_has_a_record_of_its_own(tmp_path: Path) -> None:
    config = tiny(WILD)
    for _ in range(2):  # the second time nothing is trained
        with pytest.raises(DivergedJobError, match="diverged"):
            run_tiny(config, tmp_path)
        record = json.loads((tmp_path / config.place() / "record.json").read_text())
        assert record["status"] == "diverged"
        assert "diverged" in record["why"]
        assert record["config"] == config.to_dict()


def test_an_ensemble_scores_by_supernets_trained_apart(tmp_path: Path) -> None:
    configs = [tiny({"K": 2}, ensemble=how) for how in ("max", "average")]
    (first, path), (second, _) = (run_tiny(config, tmp_path) for config in configs)
    assert path.parent.name == "ensemble-max-K2"
    assert first["supernets"] == second["supernets"]
    assert [Path(one).parent.name for one in first["supernets"]] == ["one-shot-K1"] * 2
    assert [Path(one).name[:5] for one in first["supernets"]] == ["seed0", "seed1"]
    assert first["seconds"]["supernets"] > 0
    assert not (path / "codes.npy").exists()


def test_nasbench201_is_compared_with_its_truth(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth.csv", 40)
    config = search_config(
        "quick",
        "digits",
        {**CELLS, "learning_rate": 0.05, "population": 6, "generations": 3, "parents": 3},
        TINY,
    )
    record, path = run_tiny(config, tmp_path, truth)
    rows = rows_of(path, "evaluated.csv")
    # Only architectures that the table knows are found.
    assert all(float(row["true"]) > 0 for row in rows)
    best = next(row for row in rows if row["arch"] == record["best"]["arch"])
    assert record["best"]["true"] == float(best["true"])
    assert record["optimum"]["true"] >= max(float(row["true"]) for row in rows)
    assert record["truth"]["column"] == "digits/valid/1ep/mean"
    table = TruthTable.load(truth)
    values, space = (
        table.column("digits/valid/1ep/mean").dropna(),
        config.run.space.without_images(),
    )
    largest = max(table.archs(), key=lambda arch: space.params(space.canonical(arch)))
    assert record["judged"] == {
        "digits/valid/1ep/mean": {
            "found": record["best"]["true"],
            "best": values.max(),
            "mean": pytest.approx(values.mean()),
            "largest": values[space.to_string(largest)],
        }
    }
    with pytest.raises(UserError, match="rows are no mobilenetv2 arch"):
        run_tiny(tiny(search_seed=5), tmp_path, truth)


def test_impossible_limits_name_the_range_before_anything_is_trained(tmp_path: Path) -> None:
    for limits, message in {
        ("max_flops", 10.0): r"at most 1e-05 M multiply-adds: they have .* to .*--max-flops",
        ("max_params", 3): r"at most 3e-06 M parameters: they have",
    }.items():
        with pytest.raises(UserError, match=message):
            run_tiny(tiny(**{limits[0]: limits[1]}), tmp_path)
    assert not list(tmp_path.rglob("*"))


def test_damaged_files_are_named(tmp_path: Path) -> None:
    def kill(stage: str, done: int, total: int) -> None:
        if stage == "searching" and done > 6:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_tiny(tiny(), tmp_path, progress=kill)
    (path,) = tmp_path.glob("searches/*/*/*/*/evaluated.partial")
    whole = path.read_text(encoding="utf-8").partition("\n")[2]
    for text, message in {
        "number,arch\n0,id\n": r"evaluated\.partial is damaged",
        whole.replace("k3", "k9"): r"evaluated\.partial is damaged",
        "\n".join(whole.splitlines()[:3]).replace(",1,", ",2,"): "of another search",
    }.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        path.write_text(f"{digest}\n{text}", encoding="utf-8")
        with pytest.raises(UserError, match=message):
            run_tiny(tiny(), tmp_path)
    path.write_text(f"{'0' * 64}\n{whole}", encoding="utf-8")
    with pytest.raises(UserError, match="its checksum is another"):
        run_tiny(tiny(), tmp_path)
    path.unlink()
    (weights,) = tmp_path.glob("supernets/*/*/*/*/supernet.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"supernet\.safetensors is damaged"):
        run_tiny(tiny(), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "nothing"], "--preset is one of"),
        (["--dataset", "nothing"], "--dataset is one of"),
        (["--space", "nothing"], "--space is one of"),
        (["--method", "nothing"], "--method is one of nsga2, random"),
        (["--ensemble", "sum"], "--ensemble is one of max, average"),
        (["--ensemble", "max", "--K", "1"], "--ensemble needs --K supernets, at least 2"),
        (["--sharing", "one-shot", "--K", "4"], "--sharing one-shot has one copy"),
        (["--population", "0"], "population must be at least 1"),
        (["--parents", "99"], "parents must be 1 to"),
        (["--max-flops", "-1"], "--max-flops must be 0"),
        (["--max-flops", "nan"], "--max-flops must be 0"),
        (["--factors", "0.5,0.7"], "factors rise in equal steps"),
        (["--stages", "4x2"], "stages are channels x layers"),
        (["--width-temperature", "0"], "--width-temperature must be above 0"),
        (["--regularisation", "-1"], "--regularisation must be 0 or more"),
        (["--device", "nothing"], "--device nothing"),
    ],
)
def test_bad_options_are_one_line(options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(options)


def test_a_preset_gives_way_to_options() -> None:
    config = parse(["--epochs", "1", "--population", "30", "--K", "2"]).config
    assert (config.search.population, config.search.generations) == (30, 8)
    recipe = config.run.training
    assert (recipe.epochs, recipe.warmup_epochs, config.run.K) == (1, 0, 2)
    assert parse(["--K", "1"]).config.run.sharing.name == "one-shot"
    whole = parse(["--preset", "imagenet", "--dataset", "imagenet"]).config
    assert whole.run.training.batch_size == 1024


def test_every_setting_decides_the_search() -> None:
    config = tiny()
    other: dict[str, Any] = {"method": "random", "ensemble": "max"}
    other |= {"mutation": 0.3, "crossover_share": 0.3}
    for name in SearchConfig.known().keys() - RunConfig.known().keys():
        value = other[name] if name in other else config.flat()[name] + 1
        assert config.changed(**{name: value}).run_id() != config.run_id(), name


def test_settings_that_decide_no_weight_share_a_supernet() -> None:
    config = tiny().run
    same = config.changed(score_images=7, score_batch_size=9, preset="paper", archs=5)
    assert same.training_only() == config.training_only()
    assert config.changed(epochs=9).training_only() != config.training_only()
    assert isinstance(config.training_only(), RunConfig)


def test_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in (TINY | SEARCH).items()]
    record = main([*options, "--results", str(tmp_path)])
    printed = capsys.readouterr().out
    assert record["best"]["arch"] in printed.replace("\n", "")
    assert "18 architectures scored" in printed
    drawn = {path.name for path in tmp_path.glob("searches/*/*/*/*/*.png")}
    assert drawn >= {"arch.png", "front.png"}


@pytest.mark.slow
def test_processes_share_training_and_scoring(tmp_path: Path) -> None:
    """Under torchrun: one record, everything scored once."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in (TINY | SEARCH).items()]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "benchmark.search", *options]
    command += ["--results", str(tmp_path), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = tmp_path.glob("searches/*/*/*/*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["num_processes"] == 2
    assert record["num_scored"] == 18
    rows = rows_of(path.parent, "evaluated.csv")
    assert all(0 < float(row["loss"]) < 10 for row in rows)
    # Scores are those of the saved weights, whoever computed them.
    alone, _ = run_tiny(tiny(search_seed=0), tmp_path)
    assert alone["best"] == record["best"]
    assert done.stdout.count("architectures scored") == 1
