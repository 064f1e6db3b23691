"""Splits are drawn from a seed or read from a published file, and keep their promises."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.cli.errors import UserError
from benchmark.config.dataset import DatasetSettings
from benchmark.datasets.cifar10 import SPLIT as CIFAR10_SPLIT
from benchmark.datasets.cifar100 import SPLIT as CIFAR100_SPLIT
from benchmark.datasets.imagenet16_120 import SPLIT as IMAGENET_SPLIT
from benchmark.datasets.splits import DataRequest, SplitPlan, Splits, check_splits, choose_split

HALVES = replace(CIFAR10_SPLIT, sizes=(20, 20))


def indices(plan: SplitPlan, first: list[int], second: list[int]) -> str:
    """A split file of these two lists, in the published format."""
    return json.dumps(
        {
            plan.keys[0]: ["int", list(map(str, first))],
            plan.keys[1]: ["int", list(map(str, second))],
        }
    )


def toy(images: torch.Tensor, crop_padding: int = 0) -> Splits:
    """Two images, to train on, to score on and to test with."""
    labels = torch.tensor([0, 1])
    return Splits(
        name="toy",
        num_classes=2,
        train_images=images,
        train_labels=labels,
        valid_images=images,
        valid_labels=labels,
        mean=(0.5,),
        std=(0.5,),
        trained_on="toy",
        crop_padding=crop_padding,
        flip=False,
        description={},
        test_images=images,
        test_labels=labels,
    )


def test_images_shrink_to_the_means_of_squares() -> None:
    images = torch.arange(2 * 8 * 8, dtype=torch.uint8).view(2, 1, 8, 8)
    small = toy(images, crop_padding=4).shrunk(4)
    by_hand = [[(a + a + 1 + a + 8 + a + 9) / 4 for a in range(r, r + 8, 2)] for r in (0, 16)]
    assert small.image_size == 4
    assert small.crop_padding == 2
    for part in (small.train_images, small.valid_images, small.test_images):
        assert part is not None
        assert part.dtype == torch.uint8
        assert torch.equal(part[0, 0, :2], torch.tensor(by_hand).round().to(torch.uint8))
    assert small.description == {"pixels": "4x4, means of squares"}


@pytest.mark.parametrize("size", [3, 5, 8, 16])
def test_a_size_that_images_cannot_shrink_to(size: int) -> None:
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(UserError, match=f"--image-size of toy is one of 4, or 0 .*got {size}"):
        toy(images).shrunk(size)


def test_a_data_set_of_one_size_says_so() -> None:
    with pytest.raises(UserError, match=r"--dataset cifar10 .*; the dataset is digits"):
        DatasetSettings("digits", image_size=14)


def test_a_drawn_split_follows_its_seed_and_says_so() -> None:
    nowhere = [Path("there-is-no-such-folder")]
    first, second, text = choose_split(HALVES, DataRequest(seed=1), nowhere)
    assert torch.equal(torch.cat([first, second]).sort().values, torch.arange(40))
    assert (len(first), len(second)) == (20, 20)
    assert text == ("train + valid (20 + 20 images): drawn with seed 1 (cifar-split.txt not found)")
    assert torch.equal(first, choose_split(HALVES, DataRequest(seed=1), [])[0])
    assert not torch.equal(first, choose_split(HALVES, DataRequest(seed=2), [])[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "malformed"),
        ("[]", "malformed"),
        ("\xff\xfe", "malformed"),
        ('{"train": ["int", ["0"]]}', "malformed"),
        ('{"train": ["int", ["zero"]], "valid": ["int", ["1"]]}', "malformed"),
        ('{"train": ["int", [Infinity]], "valid": ["int", ["1"]]}', "malformed"),
        ('{"train": ["int", [1.5]], "valid": ["int", ["1"]]}', "malformed"),
        ('{"train": ["int", [true]], "valid": ["int", ["1"]]}', "malformed"),
        ('{"train": ["str", ["0"]], "valid": ["int", ["1"]]}', "lists 'str' and 'int'"),
        ('{"train": ["int", ["0"]], "valid": ["int", ["1"]]}', r"lists \(1, 1\), not \(20, 20\)"),
        (indices(HALVES, [*range(20)], [*range(1, 21)]), "each of the 40 images once"),
        (indices(HALVES, [*range(20)], [*range(21, 41)]), "each of the 40 images once"),
    ],
)
def test_a_bad_split_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "split.txt"
    path.write_text(text, encoding="latin1")
    with pytest.raises(UserError, match=rf"split file {path}.*{message}.*wanted cifar-split\.txt"):
        choose_split(HALVES, DataRequest(split_file=path), [])


def test_a_missing_split_file_is_no_reason_to_draw_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read split file .*missing\.txt: No such file"):
        choose_split(HALVES, DataRequest(split_file=tmp_path / "missing.txt"), [])


@pytest.mark.parametrize("plan", [CIFAR10_SPLIT, CIFAR100_SPLIT, IMAGENET_SPLIT])
def test_the_published_splits_are_known(shared_data: Path, plan: SplitPlan) -> None:
    first, second, text = choose_split(plan, DataRequest(), [shared_data / "nb201"])
    assert (len(first), len(second)) == plan.sizes
    assert f"{plan.file} (published file, sha256 {plan.sha256})" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": torch.zeros(2, 1, 4, 4)}, "train_images must be uint8"),
        ({"valid_images": torch.zeros(2, 1, 4, 5, dtype=torch.uint8)}, "differ in shape"),
        ({"valid_images": torch.zeros(0, 1, 4, 4, dtype=torch.uint8)}, "valid_images must be"),
        ({"train_labels": torch.tensor([0, 1], dtype=torch.int32)}, "train_labels must be int64"),
        ({"valid_labels": torch.tensor([0])}, r"valid_labels must be int64 \(2,\)"),
        ({"valid_labels": torch.tensor([0, 2])}, r"valid_labels must be 0\.\.1, got 0\.\.2"),
        ({"mean": (0.1, 0.2)}, "one value per channel"),
        ({"std": (0.0,)}, "std > 0"),
        ({"crop_padding": -1}, "crop_padding must be >= 0"),
    ],
)
def test_splits_that_break_their_promises_are_a_mistake_in_code(
    change: dict[str, Any], message: str
) -> None:
    good = toy(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
    assert check_splits(good) is good
    with pytest.raises(ValueError, match=message):
        check_splits(replace(good, **change))
