"""CIFAR as PNGs in class folders: the same images and labels, and no claim of more."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.cli.errors import UserError
from benchmark.datasets import DataRequest, Splits, files
from benchmark.datasets.cifar import BatchFile
from benchmark.datasets.cifar10 import CIFAR10, load_cifar10
from benchmark.datasets.cifar10 import SPLIT as SPLIT10
from benchmark.datasets.cifar100 import CIFAR100, load_cifar100
from benchmark.datasets.cifar100 import SPLIT as SPLIT100
from benchmark.datasets.cifar_folders import CLASSES
from benchmark.datasets.splits import check_splits

SMALL10 = replace(CIFAR10, groups=((BatchFile("a", 40),),), test=BatchFile("t", 20))
SMALL100 = replace(CIFAR100, groups=((BatchFile("a", 200),), (BatchFile("t", 200),)))
HALVES, TESTS = replace(SPLIT10, sizes=(20, 20)), replace(SPLIT100, sizes=(100, 100))


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KSHOT_DATA", raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")


def write(folder: Path, names: list[str], each: int, first: int = 0) -> None:
    """``each`` images a class, in the order of ``names``; red is the label, green the image."""
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for at in range(each):
            pixels = np.full((32, 32, 3), (label, first + at, 7), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{at:04}.png")


def small(folder: Path, **changes: object) -> Splits:
    request = replace(DataRequest(folder), **changes)  # type: ignore[arg-type]
    return check_splits(load_cifar10(request, SMALL10, HALVES))


def check(data: Splits, each: int) -> None:
    """Every image is there once, in three colours, with its label."""
    images = torch.cat([data.train_images, data.valid_images])
    labels = torch.cat([data.train_labels, data.valid_labels])
    assert torch.equal(images[:, 0, 0, 0].long(), labels)
    found = sorted((int(i[0, 0, 0]), int(i[1, 5, 9])) for i in images)
    assert found == [(label, at) for label in range(10) for at in range(each)]
    assert (images[:, 2] == 7).all()


NAMES = {
    "named": list(CLASSES["cifar10"]),
    "another case": [name.title() for name in CLASSES["cifar10"]],
    "from 0": [str(label) for label in range(10)],
    "from 1": [str(label + 1) for label in range(10)],
    "padded": [f"{label:02}" for label in range(10)],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES.keys())
def test_class_folders_are_read(names: list[str], tmp_path: Path) -> None:
    write(tmp_path / "train", names, 4)
    write(tmp_path / "test", names, 2, first=100)
    data = small(tmp_path)
    check(data, 4)
    assert data.test_images is not None
    assert data.test_labels is not None
    assert data.test_labels.tolist() == [n // 2 for n in range(20)]
    assert data.test_images[:, 1, 0, 0].tolist() == [100, 101] * 10
    assert (data.num_classes, data.trained_on, len(data.train_labels)) == (10, "cifar10-valid", 20)
    said = data.description
    assert (
        "train + valid (20 + 20 images): drawn with seed 0 (cifar-split.txt counts"
        in (said["split"])
    )
    for key, place, num in (("files", "train/", 40), ("test", "test/", 20)):
        assert said[key].startswith(f"{place}, {num} images of class folders, images in the order")
        assert "MD5" not in said[key]
    assert "sha256 of pixels and labels: " in said["files"]


def test_the_same_images_in_other_places_are_the_same_data(tmp_path: Path) -> None:
    write(tmp_path / "a" / "CIFAR-10" / "Train", NAMES["named"], 4)
    write(tmp_path / "b", NAMES["from 0"], 4)
    one, other = small(tmp_path / "a"), small(tmp_path / "b")
    check(one, 4)
    assert torch.equal(one.train_images, other.train_images)
    assert one.test_images is other.test_images is None
    assert (
        one.description["files"].partition("sha256")[2]
        == (other.description["files"].partition("sha256")[2])
    )
    assert small(tmp_path / "b", seed=1).description["split"].find("seed 1") > 0


def test_a_split_of_ones_own_counts_in_the_order_said(tmp_path: Path) -> None:
    write(tmp_path / "data", NAMES["named"], 4)
    parts = {"train": range(20), "valid": range(20, 40)}
    text = json.dumps({key: ["int", list(map(str, part))] for key, part in parts.items()})
    (tmp_path / "split.txt").write_text(text.replace(", ", ",\r\n"), encoding="utf-8")
    data = small(tmp_path / "data", split_file=tmp_path / "split.txt")
    assert data.train_labels.tolist() == [n // 4 for n in range(20)]
    assert "not the published file" in data.description["split"]
    digest = hashlib.sha256((tmp_path / "split.txt").read_bytes()).hexdigest()
    request = DataRequest(tmp_path / "data", split_file=tmp_path / "split.txt")
    with pytest.raises(UserError, match="is the published file, which counts images in the order"):
        load_cifar10(request, SMALL10, replace(HALVES, sha256=digest))


def test_a_hundred_classes(tmp_path: Path) -> None:
    assert [len(CLASSES[name]) for name in ("cifar10", "cifar100")] == [10, 100]
    assert all(list(names) == sorted({*names}) for names in CLASSES.values())
    names = [name.replace("_", " ") for name in CLASSES["cifar100"]]
    write(tmp_path / "train", names, 2)
    with pytest.raises(UserError, match="training images alone, and architectures are scored on"):
        load_cifar100(DataRequest(tmp_path), SMALL100, TESTS)
    write(tmp_path / "test", names, 2, first=50)
    data = check_splits(load_cifar100(DataRequest(tmp_path), SMALL100, TESTS))
    assert data.train_labels.tolist() == [n // 2 for n in range(200)]
    assert data.valid_images[:, 0, 0, 0].tolist() == data.valid_labels.tolist()
    assert set(data.valid_images[:, 1, 0, 0].tolist()) == {50, 51}


def _rename(folder: Path) -> None:
    (folder / "train" / "cat").rename(folder / "train" / "catt")


def _size(folder: Path) -> None:
    Image.new("RGB", (28, 28)).save(folder / "train" / "dog" / "0001.png")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_rename, r"1 of 10 folders are no classes of cifar10, such as catt; did you mean cat\?"),
        (lambda f: shutil.rmtree(f / "train" / "ship"), "got 9; missing: ship"),
        (lambda f: (f / "train" / "frog" / "0002.png").unlink(), "frog has 3 images, but .* has 4"),
        (_size, r"dog/0001\.png is of 28 x 28 pixels, wanted 32 x 32"),
        (lambda f: (f / "train/dog/0001.png").write_text("x"), r"cannot read .*dog/0001\.png"),
    ],
)
def test_what_is_wrong_is_named(damage: object, message: str, tmp_path: Path) -> None:
    write(tmp_path / "train", NAMES["named"], 4)
    assert callable(damage)
    damage(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        small(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_of_something_else_hears_of_class_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"or class folders of PNGs \(train/<class>/\*\.png"):
        small(tmp_path)
