"""Ids that last: a new setting changes no id and loses no record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.errors import UserError
from benchmark.config.ids import settings_id
from benchmark.config.retrain import RetrainConfig
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig
from benchmark.records.folders import ConfigFolder, finished_folder
from kshot_core.settings import setting

ARCH = "|".join([",".join(["k3e3"] * 21), ",".join(["1.0"] * 24)])


@dataclass(frozen=True)
class NewerRun(RunConfig):
    """The settings of a later version, which has one more."""

    depth: int = setting(3, "how deep it is")


@dataclass(frozen=True)
class NewerSearch(SearchConfig):
    """The same of searches."""

    depth: int = setting(3, "how deep it is")


@dataclass(frozen=True)
class NewerRetrain(RetrainConfig):
    """The same of retraining."""

    depth: int = setting(3, "how deep it is")


PAIRS: list[tuple[Any, Any]] = [
    (RunConfig.of(K=4, seed=1), NewerRun.of(K=4, seed=1)),
    (SearchConfig.of(population=30), NewerSearch.of(population=30)),
    (
        SearchConfig(RunConfig.of(K=4), max_flops=1e6),
        SearchConfig(NewerRun.of(K=4), max_flops=1e6),
    ),
    (RetrainConfig.of(arch=ARCH, epochs=3), NewerRetrain.of(arch=ARCH, epochs=3)),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: type(pair[1]).__name__)
def test_a_new_setting_changes_no_id(pair: tuple[Any, Any]) -> None:
    old, new = pair
    assert new.flat().keys() - old.flat().keys() == {"depth"}
    assert new.run_id() == old.run_id()


def test_an_id_differs_wherever_a_setting_does() -> None:
    configs = [RunConfig(), RunConfig.of(K=4), RunConfig.of(epochs=3), NewerRun.of(depth=4)]
    assert len({config.run_id() for config in configs}) == len(configs)
    # A default that is spelt out is no difference, nor is another way of writing a number.
    assert RunConfig.of(K=RunConfig.K).run_id() == RunConfig().run_id()
    assert settings_id({"a": 1e6}, {}) == settings_id({"a": 1_000_000}, {})


def _write(path: Path, values: dict[str, Any]) -> None:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(values))
    (path / "record.json").write_text(json.dumps({"schema": 1, "config": values, "seconds": {}}))


def _flat(config: RunConfig) -> dict[str, Any]:
    """Its settings as versions wrote them that had one list for all parts: others' ones too."""
    return {"stages": "8x1/1", "few_shot_edge": 2, "jitter": 0.4, **config.flat()}


@pytest.mark.parametrize("written", [RunConfig.to_dict, _flat], ids=["nested", "flat"])
@pytest.mark.parametrize("name", ["seed1-0123abcd", None])
def test_an_old_record_is_found(name: str | None, written: Any, tmp_path: Path) -> None:
    """Whether its folder is called as an older version called it, or as this one does."""
    old, new = RunConfig.of(K=4, seed=1), NewerRun.of(K=4, seed=1)
    folder = tmp_path / (name or f"seed1-{old.run_id()}")
    _write(folder, written(old))
    _write(tmp_path / "seed1-ffffffff", written(RunConfig.of(K=4, seed=1, epochs=3)))
    found = ConfigFolder(tmp_path / f"seed1-{new.run_id()}", new)
    assert found.path == folder
    assert found.record() is not None
    # Another value than the default is other work.
    other = new.changed(depth=4)
    fresh = ConfigFolder(tmp_path / f"seed1-{other.run_id()}", other)
    assert fresh.path == tmp_path / f"seed1-{other.run_id()}"
    assert fresh.record() is None


def test_damaged_neighbours_are_passed_over(tmp_path: Path) -> None:
    config = RunConfig.of(seed=1)
    for name, text in (("seed1-00000000", "{"), ("seed1-11111111", "[]")):
        _write(tmp_path / name, config.to_dict())
        (tmp_path / name / "config.json").write_text(text)
    assert finished_folder(tmp_path / f"seed1-{config.run_id()}", config) is None


def test_old_settings_are_read_with_todays_defaults() -> None:
    values = RunConfig.of(K=4).to_dict()
    del values["training"]["precision"]
    assert RunConfig.from_dict(values) == RunConfig.of(K=4)
    with pytest.raises(UserError, match=r"unknown keys \['depth'\]"):
        RunConfig.from_dict({**values, "depth": 3})
    with pytest.raises(UserError, match="K must be of type int, got 'four'"):
        RunConfig.from_dict({**values, "K": "four"})
    with pytest.raises(UserError, match="no architecture of mobilenetv2 reads ''"):
        RetrainConfig.from_dict({"epochs": 3})


def test_the_records_at_hand_are_read_and_found() -> None:
    results = Path(__file__).resolve().parents[2] / "results"
    kinds: dict[str, Any] = {"records": RunConfig, "searches": SearchConfig}
    kinds |= {"supernets": RunConfig, "retrained": RetrainConfig}
    for kind, job in kinds.items():
        paths = sorted((results / kind).rglob("config.json"))
        assert paths
        for path in paths:
            values = json.loads(path.read_text(encoding="utf-8"))
            if "sha256" in values:
                continue  # scores from elsewhere, which are no run's
            config = job.from_dict(values)
            place = config.supernet_place() if kind == "supernets" else config.place()
            config = config.training_only() if kind == "supernets" else config
            assert finished_folder(results / place, config) == path.parent


def test_ids_are_those_of_versions_before_parts() -> None:
    """What the version of one list for all parts gave, for settings that have an effect."""
    assert RunConfig().run_id() == "63d47936"
    few: dict[str, Any] = {"K": 4, "channels": 8, "cells": 1, "epochs": 4, "warmup_epochs": 1}
    few |= {"learning_rate": 0.05, "num_groups": 8, "score_images": 1000, "track_every": 1}
    assert RunConfig.of(**few, score_batch_size=250, track_archs=50).run_id() == "64997732"
    assert SearchConfig.of(K=4, max_flops=1e6).run_id() == "b1394b44"
