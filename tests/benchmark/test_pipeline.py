"""From data to a retrained network in one command, and the paper's ablations as lists of them."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_search import SEARCH, TINY

from benchmark.cli.errors import UserError
from benchmark.config.retrain import RETRAIN_PRESETS, quick
from benchmark.config.search import SearchConfig
from benchmark.pipeline.command import main, parse, run
from benchmark.pipeline.studies import STUDIES, Base
from benchmark.workers.jobs import run_all


def options(results: Path, **changes: Any) -> list[str]:
    """The command line of a pipeline of seconds."""
    settings = TINY | SEARCH | {"retrain_epochs": 1, "results": results, "jobs": 1} | changes
    return [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]


@pytest.fixture
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retraining by the quick recipe, on few images."""
    few = partial(retrain_quick, num=500)
    monkeypatch.setitem(RETRAIN_PRESETS, "quick", few)


def retrain_quick(dataset: str, space: str, num: int) -> dict[str, Any]:
    return quick(dataset, space) | {"train_images": num, "test_images": num}


def differing(configs: list[SearchConfig]) -> set[str]:
    """Names of the settings that are not the same everywhere."""
    every = [config.to_dict() for config in configs]
    return {name for name in every[0] if len({str(one[name]) for one in every}) > 1}


def searches(name: str, **changes: Any) -> list[SearchConfig]:
    return STUDIES[name](Base("small", "digits", changes, {})).searches


@pytest.mark.usefixtures("_few_images")
def test_one_command_ends_with_a_record_of_a_retrained_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, retrained = main(options(tmp_path))
    assert found["kind"] == "search"
    assert retrained["kind"] == "retrained"
    assert retrained["config"]["arch"] == found["best"]["arch"]
    assert retrained["flops"] == found["best"]["flops"] <= 12e3
    assert 0 <= retrained["top1"] <= retrained["top5"] <= 100
    printed = capsys.readouterr().out
    assert "top-1" in printed
    assert "architectures scored" in printed
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left >= {"arch.json", "arch.png", "front.png", "front.csv", "model.onnx"}
    assert left >= {"weights.safetensors", "supernet.safetensors", "table2.md"}
    # What is finished is not repeated.
    files = [*tmp_path.glob("s*/**/*"), *tmp_path.glob("retrained/**/*")]
    before = {file: file.stat().st_mtime_ns for file in files}
    assert main(options(tmp_path)) == [found, retrained]
    assert {file: file.stat().st_mtime_ns for file in files} == before


@pytest.mark.slow
@pytest.mark.usefixtures("_few_images")
def test_a_study_trains_what_its_rows_share_once(tmp_path: Path) -> None:
    request = parse([*options(tmp_path, max_flops=20e3), "--study", "table6"])
    lines: list[str] = []
    found, retrained = run(request, lines.append)
    assert len(found) == 8
    # Four kinds of sharing under two limits: four supernets.
    assert sum(line.startswith("supernet") for line in lines) == 4
    assert len(list(tmp_path.glob("supernets/*/*/*/*/record.json"))) == 4
    limits = {record["config"]["max_flops"] for record, _ in found}
    assert limits == {20e3, round(20e3 * 330 / 420)}
    archs = {record["best"]["arch"] for record, _ in found}
    assert {record["config"]["arch"] for record, _ in retrained} == archs


def test_a_study_may_have_nothing_to_retrain() -> None:
    assert not STUDIES["figure8"](Base("small", "digits", {}, {})).retrains
    assert list(run_all(str, [], jobs=2)) == []


def test_what_each_study_compares() -> None:
    assert len(searches("single")) == 1
    assert [config.run.K for config in searches("table1")] == [1, 2, 4, 8, 12]
    assert differing(searches("table1")) == {"K", "sharing"}
    rows = [
        (c.run.sharing, "," in c.run.factors, c.run.regularisation > 0) for c in searches("table5")
    ]
    # The paper's rows: one-shot without and with widths, fixed codes, simplex-net, widths, r_c.
    assert rows == [
        ("one-shot", False, True),
        ("one-shot", True, True),
        ("fixed", False, True),
        ("simplex", False, True),
        ("simplex", True, False),
        ("simplex", True, True),
    ]
    assert differing(searches("table6")) == {"K", "sharing", "max_flops"}
    assert [(c.label, c.run.K) for c in searches("table8")] == [
        ("one-shot-K1", 1),
        ("ensemble-max-K2", 2),
        ("ensemble-average-K2", 2),
        ("simplex-K2", 2),
        ("simplex-K4", 4),
        ("simplex-K8", 8),
    ]
    assert {(c.run.K, c.run.epochs) for c in searches("figure7", epochs=6)} == {
        (K, epochs) for K in (1, 2, 4, 8) for epochs in (3, 6, 12)
    }
    assert differing(searches("figure7")) == {"K", "sharing", "epochs"}
    assert [config.run.K for config in searches("figure8")] == [2, 3, 4]
    assert {(c.run.schedule, c.run.num_groups) for c in searches("figure9")} == {
        (schedule, m) for schedule in ("alternate", "joint") for m in (1, 2, 4, 8, 16, 32)
    }


def test_a_search_of_cells_compares_methods() -> None:
    study = STUDIES["table3"](Base("quick", "digits", {}, {}))
    assert not study.retrains
    kinds = [(config.method, config.run.K, config.run.space) for config in study.searches]
    assert kinds == [
        ("nsga2", 1, "nasbench201"),
        ("nsga2", 8, "nasbench201"),
        ("random", 1, "nasbench201"),
        ("random", 8, "nasbench201"),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--study", "table9"], "--study is one of single, table1"),
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--retrain-preset", "nothing"], "--retrain-preset is one of quick, paper"),
        (["--preset", "quick", "--study", "table6"], "give the larger one with --max-flops"),
        (["--retrain-epochs", "-1"], "epochs must be"),
        (["--max-flops", "10"], r"change --max-flops"),
        (["--score-images", "99999"], r"has 20000 to score on; 0 takes all"),
        (["--epochs", "-1"], "epochs must be at least 0, got -1"),
        (["--gradient-clip", "nan"], "--gradient-clip must be 0 or more, got nan"),
        (["--width-temperature", "nan"], "--width-temperature must be above 0, got nan"),
        (["--width-distance", "0"], "--width-distance must be above 0, got 0"),
        (["--momentum", "1"], "momentum must be below 1"),
    ],
)
def test_bad_options_are_one_line(given: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        main([*given, "--results", str(tmp_path)])
    # Said before anything is computed.
    assert not any(tmp_path.iterdir())


def test_seeds_are_searches_of_their_own() -> None:
    request = parse(["--seeds", "2", "--first-seed", "3", "--K", "2"])
    configs = [config for study in request.studies for config in study.searches]
    assert [config.run.seed for config in configs] == [3, 4]
    assert differing(configs) == {"seed"}
    assert dataclasses.replace(configs[0].run, seed=4) == configs[1].run
    assert json.dumps(configs[0].to_dict())
