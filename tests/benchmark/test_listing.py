"""An image folder that is missing, incomplete or unreadable is one clear line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import write_folder

from benchmark.cli.errors import UserError
from benchmark.datasets import DataRequest, files, load_splits
from benchmark.datasets.imagefolder import FolderSettings, load_imagenet
from benchmark.datasets.listing import list_images


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no ``$KSHOT_DATA``."""
    monkeypatch.delenv("KSHOT_DATA", raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "images", classes=2, train=6, val=2)
    return tmp_path / "images"


def test_a_folder_is_found_in_every_place(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = load_imagenet(DataRequest(folder)).description
    folder.rename(folder.with_name("imagenet"))
    assert load_imagenet(DataRequest(folder.parent)).description == wanted
    monkeypatch.setenv("KSHOT_DATA", str(folder.with_name("imagenet")))
    assert load_imagenet(DataRequest()).description == wanted
    monkeypatch.delenv("KSHOT_DATA")
    folder.with_name("imagenet").rename(cache)
    assert load_imagenet(DataRequest()).description == wanted


def test_the_order_is_not_the_file_systems(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = list_images(folder / "train")
    scandir = os.scandir

    class Backwards:
        def __init__(self, path: Path) -> None:
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    found = list_images(folder / "train")
    assert found.names == wanted.names == sorted(wanted.names[:6]) * 2
    assert list(found.lines()) == list(wanted.lines())
    assert found.path(7) == f"{folder}/train/n01/01.JPEG"
    size = (folder / "train" / "n01" / "01.JPEG").stat().st_size
    assert list(wanted.lines())[7] == f"train/n01/01.JPEG {size}\n".encode()


def test_a_missing_folder_says_what_is_wanted(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError) as caught:
        load_splits("imagenet", DataRequest(tmp_path))
    message = str(caught.value)
    for part in (
        "imagenet: looked for a folder with train/<class>/*.JPEG and val/<class>/*.JPEG in ",
        f"--data ({tmp_path}), cache ({cache}), $KSHOT_DATA (not set)",
        f"; {tmp_path} has train/ alone",
        "not downloaded",
        "https://image-net.org/download-images",
    ):
        assert part in message
    assert "\n" not in message


def _flatten(folder: Path) -> None:
    for path in (folder / "val").rglob("*.*"):
        path.rename(folder / "val" / f"{path.parent.name}{path.name}")
    for path in (folder / "val").glob("n0?"):
        path.rmdir()


def _empty(folder: Path) -> None:
    shutil.rmtree(folder / "train" / "n01")
    (folder / "train" / "n01").mkdir()
    (folder / "train" / "n01" / "readme.txt").touch()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flatten, r"val must have a folder of images for each class .*4 images.*side by side"),
        (lambda f: (shutil.rmtree(f / "val"), (f / "val").mkdir()), "but has nothing of the kind"),
        (_empty, r"train/n01 has no images \(\.jpeg, .*\.png, .* in any case\), but 1 \.txt; put"),
        (
            lambda f: (f / "val" / "n01").rename(f / "val" / "n02"),
            r"must have the same classes, but 2 are in one alone, such as n01 in train/",
        ),
        (lambda f: shutil.copytree(f / "val" / "n01", f / "val" / "a"), "such as a in val/"),
        (
            lambda f: (f / "train" / "n01" / "x.JPEG").symlink_to("nowhere"),
            r"cannot read .*train/n01/x\.JPEG: No such file",
        ),
    ],
)
def test_a_folder_of_another_kind_is_refused(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    with pytest.raises(UserError, match=message) as caught:
        load_imagenet(DataRequest(folder))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_no_image(folder: Path) -> None:
    """A pipe would be waited for, for ever."""
    wanted = list_images(folder / "train").names
    (one, *_) = sorted((folder / "train").iterdir())
    os.mkfifo(one / "aaa.JPEG")
    (one / "aab.JPEG").mkdir()
    assert list_images(folder / "train").names == wanted


def test_an_unreadable_class_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "n01":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=rf"cannot read {folder}/train/n01: Permission denied"):
        load_imagenet(DataRequest(folder))


@pytest.mark.parametrize("held_out", [12, 13])
def test_some_images_must_be_left_to_train_on(folder: Path, held_out: int) -> None:
    with pytest.raises(UserError, match=rf"--held-out must .*: 1\.\.11 of the 12 .*got {held_out}"):
        load_imagenet(DataRequest(folder), FolderSettings(held_out=held_out))


def test_too_few_images_to_hold_any_out(tmp_path: Path) -> None:
    write_folder(tmp_path, classes=2, train=4, val=1)
    with pytest.raises(UserError, match=r"--held-out must .*1\.\.7 of the 8 .*, got 0"):
        load_imagenet(DataRequest(tmp_path))
