"""Settings of a search space: the space they describe, and the one line for those of none."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch

from benchmark.cli.errors import UserError
from benchmark.config.space import SpaceSettings, StandaloneSpace
from benchmark.datasets.splits import DataRequest, Splits
from benchmark.datasets.text.grammar import GrammarSettings, load_grammar
from benchmark.run.command import parse
from kshot_core.settings import setting
from kshot_core.spaces import SPACES, MobileNetV2, NASBench201
from kshot_core.tasks import task_of

_LABELS = torch.arange(3)
_IMAGES = torch.zeros(3, 2, 9, 9, dtype=torch.uint8)
DATA = Splits(
    "made-up",
    3,
    _IMAGES,
    _LABELS,
    _IMAGES,
    _LABELS,
    (0.5, 0.5),
    (0.2, 0.2),
    "made-up",
    0,
    False,
    {},
)
TEXT = load_grammar(DataRequest(), GrammarSettings(num_train=900, num_valid=300))


def test_a_space_and_a_data_set_of_another_task_are_refused_together() -> None:
    with pytest.raises(UserError, match=r"darts_ptb .* perplexity, and made-up .* accuracy"):
        SpaceSettings("darts_ptb").build(DATA)
    with pytest.raises(UserError, match=r"nasbench201 .* accuracy .*, and grammar .* perplexity"):
        SpaceSettings().build(TEXT)


def test_defaults_are_the_spaces_own() -> None:
    sizes = {"num_classes": 3, "image_size": 9, "image_channels": 2}
    assert SpaceSettings().build(DATA) == NASBench201(**sizes)
    assert SpaceSettings("mobilenetv2").build(DATA) == MobileNetV2(**sizes)


def test_every_setting_reaches_the_space() -> None:
    small = SpaceSettings(
        "mobilenetv2",
        stages="8x2/2, 16x3/1",
        stem=4,
        first=5,
        head=6,
        stem_stride=1,
        factors="0.5,1",
        batch_norm="running",
    )
    assert small.build(DATA) == MobileNetV2(
        ((8, 2, 2), (16, 3, 1)), 4, 5, 6, 3, 9, 2, 1, (0.5, 1.0), "running"
    )
    cell = SpaceSettings("nasbench201", channels=7, cells=2, batch_norm="running", affine=True)
    assert cell.build(DATA) == NASBench201(7, 2, 3, 9, 2, "running", True)


def test_a_space_is_called_what_it_is_registered_as() -> None:
    for name in SPACES:
        settings = SpaceSettings(name)
        text = task_of(settings.without_images()).carries
        assert settings.build(TEXT if text else DATA).name == name


def test_settings_survive_json() -> None:
    settings = SpaceSettings("mobilenetv2", stem=24, factors="0.5,1")
    assert SpaceSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    # Older versions wrote those of all spaces, and lack settings that came since.
    old = {"space": "mobilenetv2", "stem": 24, "factors": "0.5,1.0", "channels": 16}
    assert SpaceSettings.from_dict(old) == settings


@dataclasses.dataclass(frozen=True)
class Narrow(NASBench201):
    """A space with a setting of its own, as a file of its own would have it."""

    half: bool = setting(False, "half as wide")


def test_a_new_space_is_one_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPACES, "narrow", Narrow)  # type: ignore[arg-type]
    assert SpaceSettings("narrow", half=True).build(DATA) == Narrow(16, 5, 3, 9, 2, half=True)
    (config, _) = parse(["--space", "narrow", "--half", "--channels", "8"]).configs
    # What the preset says of its own space is of that one alone.
    assert config.space == SpaceSettings("narrow", half=True, channels=8, cells=5)
    assert config.to_dict()["space"]["half"] is True
    with pytest.raises(UserError, match="--half is a setting of --space narrow; this run's space"):
        parse(["--half"])


def test_networks_trained_by_themselves_have_fewer_settings() -> None:
    alone = StandaloneSpace.like(SpaceSettings("nasbench201", cells=2))
    assert alone.plain() == {"channels": 16, "cells": 2}
    assert alone.build(DATA) == NASBench201(16, 2, 3, 9, 2, "running", True)
    with pytest.raises(UserError, match="there is no --affine; the space is nasbench201"):
        StandaloneSpace("nasbench201", affine=False)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "space": (
        {"space": "enas"},
        "nasbench101, nasbench201, nasbench_macro, proxyless, got 'enas'",
    ),
    "no stride": ({"stages": "32x4"}, "like 32x4/2,40x4/2, got '32x4'"),
    "words": ({"stages": "many"}, "stages are channels x layers / stride"),
    "empty stages": ({"stages": ""}, "stages are channels x layers / stride"),
    "negative": ({"stages": "-8x2/1"}, "stages are channels x layers / stride"),
    "no layers": ({"stages": "8x0/1"}, "a stage is (channels, layers, stride 1 or 2)"),
    "stride": ({"stages": "8x2/3"}, "a stage is (channels, layers, stride 1 or 2)"),
    "factors": ({"factors": "half,1"}, "factors are numbers like 0.5,1.0, got 'half,1'"),
    "uneven factors": ({"factors": "0.5,0.7,1"}, "factors rise in equal steps"),
    "no number": ({"factors": "nan,1"}, "factors rise in equal steps"),
    "stem": ({"stem": 0}, "stem must be at least 1"),
    "stem stride": ({"stem_stride": 0}, "stem_stride is 1 or 2, got 0"),
    "batch-norm": ({"batch_norm": "none"}, 'batch_norm is "batch" or "running"'),
    "channels": ({"space": "nasbench201", "channels": 0}, "channels must be at least 1"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_describes_no_space_is_one_line(changes: dict[str, Any], message: str) -> None:
    name = changes.pop("space", "mobilenetv2")
    with pytest.raises(UserError) as error:
        SpaceSettings(name, **changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_settings_of_another_space_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"--stages is a setting of --space mobilenetv2 and .*; the space"
    ):
        SpaceSettings("nasbench201", stages="8x1/1")


def test_images_too_small_are_one_line() -> None:
    tiny = dataclasses.replace(DATA, train_images=_IMAGES[:, :, :3, :3])
    with pytest.raises(UserError, match="at least 4 pixels, got 3"):
        SpaceSettings().build(tiny)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 3}, r"unknown keys \['depth'\]"),
        ({"stem": "32"}, "stem must be of type int, got '32'"),
        ({"stem": True}, "stem must be of type int, got True"),
        ({"space": "nasbench201", "affine": 1}, "affine must be of type bool, got 1"),
        ({"space": 3}, "name it under space, got 3"),
        ({"factors": [0.5, 1.0]}, "factors must be of type str"),
    ],
)
def test_json_of_other_settings_is_refused(change: dict[str, Any], message: str) -> None:
    values = SpaceSettings("mobilenetv2").to_dict()
    with pytest.raises(UserError, match=message):
        SpaceSettings.from_dict({**values, **change})
