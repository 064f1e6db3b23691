"""ImageNet16-120 is read from files in the published layout, small and made up here."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.cli.errors import UserError
from benchmark.datasets import DataRequest, files, load_splits
from benchmark.datasets.imagenet16_120 import (
    IMAGENET16_120,
    SPLIT,
    DownsampledImageNet,
    load_imagenet16_120,
)
from benchmark.datasets.splits import check_splits

SMALL_IMAGENET = DownsampledImageNet(
    layout=replace(
        IMAGENET16_120.layout,
        files=dict.fromkeys(("train_data_batch_1", "train_data_batch_2", "val_data")),
    ),
    num_labels=10,
    num_classes=4,
    num_train=16,
    num_valid=8,
)
VALIDS = replace(SPLIT, sizes=(4, 4))


@pytest.fixture(autouse=True)
def _no_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache folder, and no ``$KSHOT_DATA``."""
    monkeypatch.delenv("KSHOT_DATA", raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """A folder with 3 files of 20 images, two of each label 1..10."""
    folder = tmp_path / "images" / "ImageNet16"
    folder.mkdir(parents=True)
    for k, name in enumerate(SMALL_IMAGENET.layout.files):
        labels = [(7 * i) % 10 + 1 for i in range(20)]
        data = np.repeat(np.arange(20, dtype=np.uint8)[:, None] + 20 * k, 768, 1)
        content = {"data": data, "labels": labels, "mean": np.zeros(768)}
        (folder / name).write_bytes(pickle.dumps(content, 2))
    return folder


def test_imagenet_keeps_the_first_classes_in_order(imagenet: Path) -> None:
    splits = load_imagenet16_120(DataRequest(imagenet.parent), SMALL_IMAGENET, VALIDS)
    assert splits.train_images.shape == (16, 3, 16, 16)
    assert splits.valid_images.shape == (4, 3, 16, 16)
    # The other half of val_data; none of it is in both.
    assert splits.test_images is not None
    assert splits.test_labels is not None
    shown = [int(image[0, 0, 0]) for image in (*splits.valid_images, *splits.test_images)]
    assert sorted(shown) == [40 + i for i in range(20) if (7 * i) % 10 < 4]
    assert splits.test_labels.tolist() == [7 * (pixel - 40) % 10 for pixel in shown[4:]]
    assert not splits.valid_is_held_out
    number = splits.train_images[:, 0, 0, 0].long()
    assert number.tolist() == sorted(number.tolist())
    # The label of image i of each file is (7 i) % 10 + 1; classes 1..4 are kept as 0..3.
    assert torch.equal(splits.train_labels, (7 * (number % 20)) % 10)
    assert (splits.trained_on, splits.crop_padding, splits.flip) == ("imagenet16-120", 2, True)
    check_splits(splits)
    itself = load_imagenet16_120(DataRequest(imagenet), SMALL_IMAGENET, VALIDS)
    assert torch.equal(itself.valid_images, splits.valid_images)
    assert "val_data" in itself.description["files"]


def test_imagenet_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_splits("imagenet16-120", DataRequest(tmp_path))
    for part in ("train_data_batch_10, val_data", "registration", "image-net.org", str(tmp_path)):
        assert part in str(caught.value)


def test_bad_imagenet_files(imagenet: Path) -> None:
    few = replace(SMALL_IMAGENET, num_train=17)
    with pytest.raises(UserError, match="wanted 17 images of the classes kept, got 16"):
        load_imagenet16_120(DataRequest(imagenet), few, VALIDS)
    labels = replace(SMALL_IMAGENET, num_labels=9)
    with pytest.raises(UserError, match=r"wanted labels 1\.\.9, got 1\.\.10"):
        load_imagenet16_120(DataRequest(imagenet), labels, VALIDS)
    layout = replace(SMALL_IMAGENET.layout, files={**SMALL_IMAGENET.layout.files, "val_data": "0"})
    with pytest.raises(UserError, match="val_data: wrong checksum, wanted the published MD5 0"):
        load_imagenet16_120(DataRequest(imagenet), replace(SMALL_IMAGENET, layout=layout), VALIDS)
    path = imagenet / "val_data"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"val_data: cut short or corrupt.*image-net\.org"):
        load_imagenet16_120(DataRequest(imagenet), SMALL_IMAGENET, VALIDS)
