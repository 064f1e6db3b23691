"""From data to a retrained network in one command."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_search import SEARCH, TINY, WILD

from benchmark.cli.errors import UserError
from benchmark.config.retrain import RETRAIN_PRESETS, quick
from benchmark.config.search import SearchConfig
from benchmark.pipeline.command import main, parse


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
    every = [config.flat() for config in configs]
    return {name for name in every[0] if len({str(one[name]) for one in every}) > 1}


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
    assert left >= {"weights.safetensors", "supernet.safetensors"}
    # What is finished is not repeated.
    files = [*tmp_path.glob("s*/**/*"), *tmp_path.glob("retrained/**/*")]
    before = {file: file.stat().st_mtime_ns for file in files}
    assert main(options(tmp_path)) == [found, retrained]
    assert {file: file.stat().st_mtime_ns for file in files} == before


@pytest.mark.usefixtures("_few_images")
def test_a_supernet_that_diverged_leaves_a_record_of_its_search(tmp_path: Path) -> None:
    given = options(tmp_path, **WILD)
    with pytest.raises(UserError, match="diverged"):
        main(given)
    (config,) = parse(given).searches
    record = json.loads((tmp_path / config.place() / "record.json").read_text())
    assert record["status"] == "diverged"
    assert not (tmp_path / "retrained").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--retrain-preset", "nothing"], "--retrain-preset is one of quick, paper"),
        (["--retrain-epochs", "-1"], "epochs must be"),
        (["--max-flops", "10"], r"change --max-flops"),
        (["--score-images", "99999"], r"has 20000 to score on; 0 takes all"),
        (["--epochs", "-1"], "epochs must be at least 0, got -1"),
        (["--gradient-clip", "nan"], "--gradient-clip must be 0 or more, got nan"),
        (["--width-temperature", "nan"], "--width-temperature must be above 0, got nan"),
        (["--width-distance", "0"], "--width-distance must be above 0, got 0"),
        (["--momentum", "1"], "momentum must be 0 or more and below 1"),
    ],
)
def test_bad_options_are_one_line(given: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        main([*given, "--results", str(tmp_path)])
    # Said before anything is computed.
    assert not any(tmp_path.iterdir())


def test_seeds_are_searches_of_their_own() -> None:
    request = parse(["--seeds", "2", "--first-seed", "3", "--K", "2"])
    configs = request.searches
    assert [config.run.seed for config in configs] == [3, 4]
    assert differing(configs) == {"seed"}
    assert configs[0].run.changed(seed=4) == configs[1].run
    assert json.dumps(configs[0].to_dict())
