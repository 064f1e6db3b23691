"""CIFAR is found, downloaded, checked and split; its files here are small and made up."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import pickle
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from benchmark.cli.errors import UserError
from benchmark.datasets import DataRequest, Splits, files
from benchmark.datasets.cifar import BatchFile, Cifar
from benchmark.datasets.cifar10 import CIFAR10, load_cifar10
from benchmark.datasets.cifar10 import SPLIT as CIFAR10_SPLIT
from benchmark.datasets.cifar100 import CIFAR100, load_cifar100
from benchmark.datasets.cifar100 import SPLIT as CIFAR100_SPLIT
from benchmark.datasets.splits import check_splits, choose_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HALVES = replace(CIFAR10_SPLIT, sizes=(20, 20))
TESTS = replace(CIFAR100_SPLIT, sizes=(100, 100))


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def split_text(train: list[int], valid: list[int]) -> str:
    """A split file in the published format."""
    parts = {"train": train, "valid": valid}
    return json.dumps({key: ["int", list(map(str, part))] for key, part in parts.items()})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no ``$KSHOT_DATA``."""
    monkeypatch.delenv("KSHOT_DATA", raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setattr(files, "cache_folder", lambda: folder)
    return folder


def write_cifar(cifar: Cifar, folder: Path) -> Cifar:
    """Small files of both layouts and their archives; ``cifar`` with their checksums."""
    generator = np.random.default_rng(0)
    groups = []
    for group in (*cifar.groups, (cifar.test,) if cifar.test else ()):
        batches = []
        for batch in group:
            pixels = generator.integers(0, 256, (batch.num_images, 3072), np.uint8)
            labels = np.arange(batch.num_images) % cifar.num_classes
            content = {"data": pixels, cifar.label_key: labels.tolist(), "batch_label": "x"}
            label_bytes = np.zeros((batch.num_images, cifar.num_label_bytes), np.uint8)
            label_bytes[:, -1] = labels
            python = pickle.dumps(content, 2)
            binary = np.concatenate([label_bytes, pixels], 1).tobytes()
            for name, data in ((cifar.python[0], python), (cifar.binary[0], binary)):
                suffix = "" if data is python else ".bin"
                (folder / name).mkdir(parents=True, exist_ok=True)
                (folder / name / f"{batch.name}{suffix}").write_bytes(data)
            batches.append(BatchFile(batch.name, batch.num_images, md5(python), None))
        groups.append(tuple(batches))
    sums = []
    for name, archive, _ in (cifar.python, cifar.binary):
        with tarfile.open(folder / archive, "w:gz") as packed:
            packed.add(folder / name, name)
        sums.append((name, archive, md5((folder / archive).read_bytes())))
    *groups, tests = groups
    test = tests[0] if tests else None
    return replace(cifar, groups=tuple(groups), python=sums[0], binary=sums[1], test=test)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cifar]:
    """A folder with a CIFAR-10 of two batches of 20 images and 10 to test, in all layouts."""
    folder = tmp_path_factory.mktemp("cifar10")
    batches = (BatchFile("data_batch_1", 20), BatchFile("data_batch_2", 20))
    test = BatchFile("test_batch", 10)
    return folder, write_cifar(replace(CIFAR10, groups=(batches,), test=test), folder)


@pytest.fixture
def python_only(published: tuple[Path, Cifar], tmp_path: Path) -> tuple[Path, Cifar]:
    """A folder with the python layout only, for tests that damage it."""
    folder, cifar = published
    target = tmp_path / "data" / cifar.python[0]
    target.mkdir(parents=True)
    for path in (folder / cifar.python[0]).iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target, cifar


def same(a: Splits, b: Splits) -> bool:
    names = ("train_images", "train_labels", "valid_images", "valid_labels")
    names += ("test_images", "test_labels")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)


def form(published: tuple[Path, Cifar], tmp_path: Path, which: str) -> Path:
    """A folder with one published form: ``python``, ``binary``, or their ``.tar.gz``."""
    folder, cifar = published
    layout = cifar.python if which.startswith("python") else cifar.binary
    name = layout[1] if which.endswith(".tar.gz") else layout[0]
    (tmp_path / which).mkdir()
    (tmp_path / which / name).symlink_to(folder / name)
    return tmp_path / which


@pytest.mark.parametrize("which", ["python", "binary", "python.tar.gz", "binary.tar.gz"])
@pytest.mark.parametrize("place", ["data", "variable", "cache"])
def test_every_form_in_every_place_gives_the_same_images(
    published: tuple[Path, Cifar],
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
    place: str,
) -> None:
    folder, cifar = published
    wanted = load_cifar10(DataRequest(folder), cifar, HALVES)
    one = form(published, tmp_path, which)
    if place == "variable":
        monkeypatch.setenv("KSHOT_DATA", str(one))
    if place == "cache":
        one.rename(cache)
    found = load_cifar10(DataRequest(one if place == "data" else None), cifar, HALVES)
    assert same(found, wanted)
    assert found.train_images.shape == (20, 3, 32, 32)
    layout = cifar.python if which.startswith("python") else cifar.binary
    assert found.description["files"].startswith(f"{layout[0]}, MD5: data_batch_1")
    check_splits(found)


@pytest.mark.parametrize("layout", ["python", "binary"])
def test_data_may_be_the_folder_of_batches_itself(
    published: tuple[Path, Cifar], layout: str
) -> None:
    folder, cifar = published
    itself = folder / getattr(cifar, layout)[0]
    wanted = load_cifar10(DataRequest(folder), cifar, HALVES)
    assert same(load_cifar10(DataRequest(itself), cifar, HALVES), wanted)


def test_images_keep_their_planes_and_labels(published: tuple[Path, Cifar]) -> None:
    folder, cifar = published
    splits = load_cifar10(DataRequest(folder), cifar, HALVES)
    rows = [
        pickle.loads((folder / cifar.python[0] / f"data_batch_{n}").read_bytes())["data"]  # noqa: S301
        for n in (1, 2)
    ]
    pixels = np.concatenate(rows)
    train, valid, _ = choose_split(HALVES, DataRequest(), [])
    assert splits.trained_on == "cifar10-valid"
    assert torch.equal(splits.train_labels, train % 10)
    assert torch.equal(splits.valid_labels, valid % 10)
    # The third row of the green plane of the first training image.
    np.testing.assert_array_equal(
        splits.train_images[0, 1, 2].numpy(), pixels[train[0], 1024 + 64 : 1024 + 96]
    )


def test_the_named_folder_comes_first(
    published: tuple[Path, Cifar], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cifar = published
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / cifar.python[1]).write_bytes(b"not the archive")
    monkeypatch.setenv("KSHOT_DATA", str(damaged))
    load_cifar10(DataRequest(folder), cifar, HALVES)
    with pytest.raises(UserError, match="wrong checksum"):
        load_cifar10(DataRequest(), cifar, HALVES)


def test_cifar100_trains_on_all_and_takes_fine_labels(tmp_path: Path) -> None:
    groups = ((BatchFile("train", 300),), (BatchFile("test", 200),))
    cifar = write_cifar(replace(CIFAR100, groups=groups), tmp_path)
    python = load_cifar100(DataRequest(tmp_path), cifar, TESTS)
    binary = load_cifar100(DataRequest(tmp_path / cifar.binary[0]), cifar, TESTS)
    assert same(python, binary)
    assert torch.equal(python.train_labels, torch.arange(300) % 100)
    valid, _, _ = choose_split(TESTS, DataRequest(), [])
    assert torch.equal(python.valid_labels, valid % 100)
    assert (python.trained_on, python.num_classes) == ("cifar100", 100)
    assert python.test_images is not None
    assert torch.equal(python.test_labels, choose_split(TESTS, DataRequest(), [])[1] % 100)
    # The validation images are test images too, so there is nothing to give back.
    assert not python.valid_is_held_out
    assert len(python.training(torch.device("cpu"), everything=True)) == 300
    check_splits(python)


def test_test_images_are_read_where_they_are(
    published: tuple[Path, Cifar], python_only: tuple[Path, Cifar]
) -> None:
    cpu = torch.device("cpu")
    whole = load_cifar10(DataRequest(published[0]), published[1], HALVES)
    batch = published[0] / published[1].python[0] / "test_batch"
    pixels = pickle.loads(batch.read_bytes())["data"]  # noqa: S301
    assert whole.test_images is not None
    np.testing.assert_array_equal(whole.test_images.reshape(10, -1).numpy(), pixels)
    assert whole.description["test"] == f"test_batch, MD5 {md5(batch.read_bytes())}"
    assert "test_batch" not in whole.description["files"]
    assert len(whole.test(cpu)) == 10
    # What was held out to rank architectures is there to retrain one.
    assert len(whole.training(cpu)) == 20
    assert len(whole.training(cpu, everything=True)) == 40
    folder, cifar = python_only
    (folder / "test_batch").unlink()
    without = load_cifar10(DataRequest(folder), cifar, HALVES)
    assert without.test_images is None
    assert torch.equal(without.train_images, whole.train_images)
    assert "test" not in without.description
    check_splits(without)
    with pytest.raises(UserError, match="cifar10 has no test images here"):
        without.test(cpu)


def test_damaged_test_images_are_not_passed_over(python_only: tuple[Path, Cifar]) -> None:
    folder, cifar = python_only
    (folder / "test_batch").write_bytes(b"")
    with pytest.raises(UserError, match="test_batch: wrong checksum"):
        load_cifar10(DataRequest(folder), cifar, HALVES)


def test_an_incomplete_folder_is_told_apart(python_only: tuple[Path, Cifar]) -> None:
    folder, cifar = python_only
    (folder / "data_batch_2").unlink()
    with pytest.raises(UserError, match=f"{folder} lacks data_batch_2; put"):
        load_cifar10(DataRequest(folder.parent), cifar, HALVES)


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda _: b"", lambda b: b + b"x"])
def test_a_damaged_batch_has_a_wrong_checksum(
    python_only: tuple[Path, Cifar], damage: Callable[[bytes], bytes]
) -> None:
    folder, cifar = python_only
    path = folder / "data_batch_2"
    content = path.read_bytes()
    path.write_bytes(damage(content))
    with pytest.raises(UserError) as caught:
        load_cifar10(DataRequest(folder), cifar, HALVES)
    message = str(caught.value)
    assert message.startswith(f"{path}: wrong checksum, wanted the published MD5 {md5(content)}, ")
    assert f"got {md5(damage(content))}; " in message
    assert message.endswith(
        "delete it and download https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz again"
    )


def test_a_damaged_archive(published: tuple[Path, Cifar], tmp_path: Path) -> None:
    folder, cifar = published
    name, archive, wanted = cifar.python
    content = (folder / archive).read_bytes()
    (tmp_path / archive).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f"wrong checksum, .* MD5 {wanted}"):
        load_cifar10(DataRequest(tmp_path), cifar, HALVES)
    unchecked = replace(cifar, python=(name, archive, None))
    with pytest.raises(UserError, match=f"cannot read .*{archive}"):
        load_cifar10(DataRequest(tmp_path), unchecked, HALVES)
    middle = len(content) // 2
    (tmp_path / archive).write_bytes(content[:middle] + b"\xff" * 99 + content[middle + 99 :])
    with pytest.raises(UserError, match=archive):
        load_cifar10(DataRequest(tmp_path), unchecked, HALVES)
    with tarfile.open(tmp_path / archive, "w:gz"):
        pass
    with pytest.raises(UserError, match=f"lacks {name}/data_batch_1, data_batch_2"):
        load_cifar10(DataRequest(tmp_path), unchecked, HALVES)


GOOD: dict[str, Any] = {"data": np.zeros((20, 3072), np.uint8), "labels": [*range(10)] * 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "wanted a pickled dict with data and labels"),
        ({"data": GOOD["data"]}, "wanted a pickled dict with data and labels"),
        ({**GOOD, "data": [1, 2]}, r"wanted pixels uint8 \(B, 3072\), got int64"),
        ({**GOOD, "data": np.zeros((20, 3072))}, "got float64"),
        ({**GOOD, "data": np.zeros((20, 3071), np.uint8)}, r"got uint8 \(20, 3071\)"),
        ({**GOOD, "labels": [0.5] * 20}, "wanted 20 whole numbers as labels, got float64"),
        ({**GOOD, "labels": ["0"] * 20}, "wanted 20 whole numbers as labels"),
        ({**GOOD, "labels": [[0], [0, 1]] * 10}, "wanted 20 whole numbers as labels"),
        ({**GOOD, "labels": [0] * 19}, "wanted 20 whole numbers as labels"),
        ({**GOOD, "labels": [*range(1, 11)] * 2}, r"wanted labels 0\.\.9, got 1\.\.10"),
        ({**GOOD, "labels": [-1] * 20}, r"wanted labels 0\.\.9, got -1\.\.-1"),
        ({**GOOD, "labels": [0] * 20}, "wanted 4 images of each class, got 2 to 22"),
        ({"data": GOOD["data"][:10], "labels": [*range(10)]}, "wanted 20 images, got 10"),
    ],
)
def test_contents_are_checked_where_checksums_are_not(
    python_only: tuple[Path, Cifar], content: object, message: str
) -> None:
    folder, cifar = python_only
    (folder / "data_batch_2").write_bytes(pickle.dumps(content))
    (group,) = cifar.groups
    unchecked = replace(cifar, groups=(tuple(replace(b, python_md5=None) for b in group),))
    with pytest.raises(UserError, match=message) as caught:
        load_cifar10(DataRequest(folder), unchecked, HALVES)
    assert str(folder) in str(caught.value)
    assert "delete it and download" in str(caught.value)


def test_binary_batches_are_checked(published: tuple[Path, Cifar], tmp_path: Path) -> None:
    folder, cifar = published
    for path in (folder / cifar.binary[0]).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "data_batch_2.bin"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"wanted 61460 bytes \(20 images\), got 61459"):
        load_cifar10(DataRequest(tmp_path), cifar, HALVES)
    path.write_bytes(b"\x0a" + content[1:])
    with pytest.raises(UserError, match=r"wanted labels 0\.\.9, got 1\.\.10|got 0\.\.10"):
        load_cifar10(DataRequest(tmp_path), cifar, HALVES)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def address(published: tuple[Path, Cifar], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A local server of the published archives."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = functools.partial(_Quiet, directory=str(published[0]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_missing_files_are_downloaded_once(
    published: tuple[Path, Cifar], cache: Path, address: str
) -> None:
    folder, cifar = published
    served = replace(cifar, address=address)
    found = load_cifar10(DataRequest(), served, HALVES)
    assert same(found, load_cifar10(DataRequest(folder), cifar, HALVES))
    assert [path.name for path in cache.iterdir()] == [cifar.python[1]]
    again = load_cifar10(DataRequest(), replace(cifar, address="http://127.0.0.1:9"), HALVES)
    assert same(again, found)


def test_a_failed_download_says_how_to_get_the_file(
    published: tuple[Path, Cifar], cache: Path, address: str
) -> None:
    _, cifar = published
    name, archive, _ = cifar.python
    wrong_sum = replace(cifar, address=address, python=(name, archive, "0" * 32))
    not_there = replace(cifar, address=f"{address}/elsewhere")
    no_server = replace(cifar, address="http://127.0.0.1:9")
    for bad, reason in ((wrong_sum, "MD5 hash"), (not_there, "404"), (no_server, "Max retries")):
        with pytest.raises(UserError, match=f"cannot download .*{archive} .*{reason}") as caught:
            load_cifar10(DataRequest(), bad, HALVES)
        assert f"put it, not unpacked, into {cache}" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not list(cache.glob("*"))


def test_a_split_file_is_found_by_its_published_name(
    python_only: tuple[Path, Cifar], tmp_path: Path
) -> None:
    folder, cifar = python_only
    even, odd = [*range(0, 40, 2)], [*range(1, 40, 2)]
    text = split_text(odd, even)
    (folder.parent / HALVES.file).write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    for data in (folder, folder.parent):
        splits = load_cifar10(DataRequest(data), cifar, HALVES)
        assert splits.train_labels.tolist() == [i % 10 for i in odd]
        assert splits.description["split"] == (
            "train + valid (20 + 20 images): "
            f"cifar-split.txt (not the published file, sha256 {digest})"
        )
    named = tmp_path / "mine.txt"
    named.write_text(split_text(even, odd))
    splits = load_cifar10(DataRequest(folder, split_file=named), cifar, HALVES)
    assert splits.train_labels.tolist() == [i % 10 for i in even]
