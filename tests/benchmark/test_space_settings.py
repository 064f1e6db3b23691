"""Settings of a search space: the space they describe, and the one line for those of none."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch

from benchmark.cli.errors import UserError
from benchmark.config.space import SPACE_HELP, SpaceSettings
from benchmark.datasets.splits import DataRequest, Splits
from benchmark.datasets.text.grammar import GrammarSettings, load_grammar
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
    cell = SpaceSettings(channels=7, cells=2, batch_norm="running", affine=True)
    assert cell.build(DATA) == NASBench201(7, 2, 3, 9, 2, "running", True)


def test_there_are_settings_for_every_space_and_words_for_every_setting() -> None:
    for name in SPACES:
        settings = SpaceSettings(name)
        text = task_of(settings.without_images()).carries
        assert settings.build(TEXT if text else DATA).name == name
    assert list(SPACE_HELP) == [field.name for field in dataclasses.fields(SpaceSettings)]


def test_settings_survive_json() -> None:
    settings = SpaceSettings("mobilenetv2", stem=24, affine=True)
    text = json.dumps(dataclasses.asdict(settings))
    assert SpaceSettings.from_dict(json.loads(text)) == settings


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
    with pytest.raises(UserError) as error:
        SpaceSettings(**{"space": "mobilenetv2", **changes})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_settings_of_another_space_are_not_looked_at() -> None:
    assert SpaceSettings("nasbench201", stages="none").build(DATA).name == "nasbench201"


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
        ({"affine": 1}, "affine must be of type bool, got 1"),
        ({"factors": [0.5, 1.0]}, "factors must be of type str"),
    ],
)
def test_json_of_other_settings_is_refused(change: dict[str, Any], message: str) -> None:
    values = dataclasses.asdict(SpaceSettings("mobilenetv2"))
    with pytest.raises(UserError, match=message):
        SpaceSettings.from_dict({**values, **change})
    del values["head"]
    with pytest.raises(UserError, match=r"miss \['head'\]"):
        SpaceSettings.from_dict(values)
