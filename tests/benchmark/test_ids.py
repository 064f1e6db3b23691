"""Ids that last: a new setting changes no id and loses no record."""

from __future__ import annotations

import dataclasses
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

ARCH = "|".join([",".join(["k3e3"] * 21), ",".join(["1.0"] * 24)])


@dataclass(frozen=True)
class NewerRun(RunConfig):
    """The settings of a later version, which has one more."""

    depth: int = 3


@dataclass(frozen=True)
class NewerSearch(SearchConfig):
    """The same of searches."""

    depth: int = 3


@dataclass(frozen=True)
class NewerRetrain(RetrainConfig):
    """The same of retraining."""

    depth: int = 3


PAIRS: list[tuple[Any, Any]] = [
    (RunConfig.of(K=4, seed=1), NewerRun(K=4, seed=1)),
    (SearchConfig(RunConfig(), population=30), NewerSearch(RunConfig(), population=30)),
    (SearchConfig(RunConfig.of(K=4), max_flops=1e6), SearchConfig(NewerRun(K=4), max_flops=1e6)),
    (RetrainConfig(ARCH, epochs=3), NewerRetrain(ARCH, epochs=3)),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: type(pair[1]).__name__)
def test_a_new_setting_changes_no_id(pair: tuple[Any, Any]) -> None:
    old, new = pair
    assert new.to_dict().keys() - old.to_dict().keys() == {"depth"}
    assert new.run_id() == old.run_id()


def test_an_id_differs_wherever_a_setting_does() -> None:
    configs = [RunConfig(), RunConfig.of(K=4), RunConfig.of(epochs=3), NewerRun(depth=4)]
    assert len({config.run_id() for config in configs}) == len(configs)
    # A default that is spelt out is no difference, nor is another way of writing a number.
    assert RunConfig.of(K=RunConfig.K).run_id() == RunConfig().run_id()
    assert settings_id({"a": 1e6}, {}) == settings_id({"a": 1_000_000}, {})


def _write(path: Path, config: RunConfig) -> None:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config.to_dict()))
    (path / "record.json").write_text(json.dumps({"config": config.to_dict(), "seconds": {}}))


@pytest.mark.parametrize("name", ["seed1-0123abcd", None])
def test_an_old_record_is_found(name: str | None, tmp_path: Path) -> None:
    """Whether its folder is called as an older version called it, or as this one does."""
    old, new = RunConfig.of(K=4, seed=1), NewerRun(K=4, seed=1)
    folder = tmp_path / (name or f"seed1-{old.run_id()}")
    _write(folder, old)
    _write(tmp_path / "seed1-ffffffff", RunConfig.of(K=4, seed=1, epochs=3))
    found = ConfigFolder(tmp_path / f"seed1-{new.run_id()}", new)
    assert found.path == folder
    assert found.record() is not None
    # Another value than the default is other work.
    other = dataclasses.replace(new, depth=4)
    fresh = ConfigFolder(tmp_path / f"seed1-{other.run_id()}", other)
    assert fresh.path == tmp_path / f"seed1-{other.run_id()}"
    assert fresh.record() is None


def test_damaged_neighbours_are_passed_over(tmp_path: Path) -> None:
    config = RunConfig.of(seed=1)
    for name, text in (("seed1-00000000", "{"), ("seed1-11111111", "[]")):
        _write(tmp_path / name, config)
        (tmp_path / name / "config.json").write_text(text)
    assert finished_folder(tmp_path / f"seed1-{config.run_id()}", config) is None


def test_old_settings_are_read_with_todays_defaults() -> None:
    values = RunConfig.of(K=4).to_dict()
    del values["precision"]
    assert RunConfig.from_dict(values) == RunConfig.of(K=4)
    with pytest.raises(UserError, match=r"unknown keys \['depth'\]"):
        RunConfig.from_dict({**values, "depth": 3})
    with pytest.raises(UserError, match=r"missing \['arch'\]"):
        RetrainConfig.from_dict({"epochs": 3})
