"""Every data set is registered and says what it lacks; the real CIFAR-10 where it is at hand."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

import benchmark.datasets
from benchmark.cli.errors import UserError
from benchmark.datasets import DATASETS, DataRequest, files, load_splits
from benchmark.datasets.cifar10 import CIFAR10
from benchmark.datasets.cifar10 import SPLIT as CIFAR10_SPLIT
from benchmark.datasets.digits import load_digits
from benchmark.datasets.pickles import load_restricted
from benchmark.datasets.splits import check_splits


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no ``$KSHOT_DATA``."""
    monkeypatch.delenv("KSHOT_DATA", raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setattr(files, "cache_folder", lambda: folder)
    return folder


def test_an_unknown_data_set_is_answered_with_the_known_ones() -> None:
    known = "digits, cifar10, cifar100, imagenet16-120, imagenet, grammar, ptb, text"
    with pytest.raises(UserError, match=f"--dataset is one of {known}, got 'mnist'"):
        load_splits("mnist", DataRequest())


def test_every_file_with_a_data_set_is_registered() -> None:
    # Texts have a folder of their own, which tests/test_plugins_registered.py looks into.
    found = pkgutil.iter_modules(benchmark.datasets.__path__)
    modules = [module.name for module in found if not module.ispkg]
    package = benchmark.datasets.__name__
    loaders = {
        name
        for name in modules
        if f"load_{name}" in vars(importlib.import_module(f"{package}.{name}"))
    }
    assert {name.replace("_", "-") for name in loaders} == set(DATASETS) & {
        name.replace("_", "-") for name in modules
    }
    assert {"cifar10", "cifar100", "imagenet16_120"} <= loaders


def test_a_folder_without_the_files_is_reported_not_downloaded(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_splits("cifar10", DataRequest(tmp_path))
    message = str(caught.value)
    for part in (
        "cifar10: looked for cifar-10-batches-py/ or cifar-10-batches-bin/",
        f"--data ({tmp_path})",
        "$KSHOT_DATA (not set)",
        f"cache ({cache})",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    ):
        assert part in message
    assert "\n" not in message
    with pytest.raises(UserError, match="looked for cifar-100-python"):
        load_splits("cifar100", DataRequest(download=False))


def test_a_data_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--data must be a folder.*does not exist"):
        load_splits("cifar10", DataRequest(tmp_path / "missing"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("KSHOT_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"\$KSHOT_DATA must be a folder.*is a file"):
        load_splits("imagenet16-120", DataRequest())


def test_the_real_cifar10(shared_data: Path) -> None:
    pytest.importorskip("PIL", reason="the images at hand are packed with Pillow")
    script = shared_data / "unpack_cifar10.py"
    if not script.is_file():
        pytest.skip(f"no {script}")
    assert CIFAR10.test is not None
    batches = [*CIFAR10.groups[0], CIFAR10.test]
    names = [batch.name for batch in batches]
    # Not pytest's own folder, which stays behind: these are 180 MB.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, str(script), name, *names], check=True, capture_output=True)
        split = shared_data / "nb201" / CIFAR10_SPLIT.file
        splits = load_splits("cifar10", DataRequest(folder, split_file=split))
        for batch in batches:
            content = load_restricted(folder / CIFAR10.python[0] / batch.name)
            assert isinstance(content, dict)
            labels = np.array(content["labels"], np.uint8)[:, None]
            binary = np.concatenate([labels, content["data"]], 1).tobytes()
            # The published binary files hold the same images and labels in the same order.
            assert hashlib.md5(binary, usedforsecurity=False).hexdigest() == batch.binary_md5
    assert splits.train_images.shape == splits.valid_images.shape == (25_000, 3, 32, 32)
    assert torch.bincount(splits.train_labels).tolist()[:3] == [2478, 2512, 2533]
    assert splits.test_images is not None
    assert splits.test_labels is not None
    assert splits.test_images.shape == (10_000, 3, 32, 32)
    # The first of them, a cat, a ship and another one.
    assert splits.test_labels[:3].tolist() == [3, 8, 8]
    assert splits.description["test"] == f"test_batch, MD5 {CIFAR10.test.python_md5}"
    assert "(published file" in splits.description["split"]
    mean = splits.train_images[:5000].double().mean((0, 2, 3)) / 255
    assert torch.allclose(mean, torch.tensor(splits.mean, dtype=torch.float64), atol=0.01)


def test_scenes_to_test_with_change_no_others() -> None:
    few = load_digits(DataRequest(), num_train=50, num_valid=30, num_test=20)
    none = load_digits(DataRequest(), num_train=50, num_valid=30, num_test=1)
    assert torch.equal(few.train_images, none.train_images)
    assert torch.equal(few.valid_images, none.valid_images)
    assert few.description["sha256"] == none.description["sha256"]
    assert few.test_images is not None
    assert few.test_labels is not None
    assert few.test_images.shape == (20, 1, 8, 8)
    assert len(few.test_labels) == 20
    assert len(few.test(torch.device("cpu"))) == 20
    seen = {image.numpy().tobytes() for image in (*few.train_images, *few.valid_images)}
    assert not seen & {image.numpy().tobytes() for image in few.test_images}
    assert not few.valid_is_held_out
    check_splits(few)
