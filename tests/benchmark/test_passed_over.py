"""What an image folder has beside images that can be read: counted by ending, said once."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import colour_of, numbers_in, write_folder
from PIL import Image

from benchmark.cli.errors import UserError
from benchmark.datasets import DataRequest
from benchmark.datasets.imagefolder import FolderSettings, ImageFolder, load_imagenet
from benchmark.datasets.jpeg import SUFFIXES, read_middle
from benchmark.datasets.passed_over import PassedOverWarning

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "images", classes=2, train=20, val=2)
    return tmp_path / "images"


def load(folder: Path) -> ImageFolder:
    return load_imagenet(DataRequest(folder, workers=0), FolderSettings(image_size=16, jitter=0.0))


def rename(folder: Path, num: int, suffix: str) -> None:
    for path in sorted(folder.iterdir())[:num]:
        path.rename(path.with_suffix(suffix))


def test_nineteen_of_twenty_are_counted_once(folder: Path) -> None:
    rename(folder / "train" / "n01", 19, ".heic")
    (folder / "val" / "n00" / "Thumbs.DB").touch()
    (folder / "train" / "labels").touch()
    with pytest.warns(PassedOverWarning) as warned:
        data = load(folder)
    counted = (
        "19 .heic, 1 .db, 1 files without an ending; most of them in train/n01 (19 and 1 images)"
    )
    assert [str(one.message) for one in warned] == [
        f"passed over in {folder}, being no images that can be read: {counted}"
    ]
    assert data.description["passed over"] == counted
    assert Counter(data.train_files.labels.tolist()) == {0: 20, 1: 1}


def test_nothing_is_said_of_folders_of_images_alone(folder: Path) -> None:
    assert "passed over" not in load(folder).description


def test_a_class_of_nothing_else_says_what_it_has(folder: Path) -> None:
    rename(folder / "train" / "n01", 20, ".heic")
    with pytest.raises(UserError, match=r"n01 has no images .*in any case\), but 20 \.heic; put"):
        load(folder)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_kind_that_is_listed_is_read(suffix: str, folder: Path) -> None:
    lossless = {"lossless": True} if suffix == ".webp" else {"quality": 95}
    for number, path in enumerate(sorted((folder / "val").rglob("*.*"))):
        path.unlink()
        image = Image.new("RGB", (24, 24), colour_of(number + 50))
        kind = {".jpe": "JPEG", ".jfif": "JPEG", ".pgm": "PPM", ".pnm": "PPM"}.get(suffix)
        image.save(path.with_suffix(suffix.upper()), kind, **lossless)
    test = load(folder).test(torch.device("cpu"))
    assert sorted(numbers_in(test.pixels.permute(0, 3, 1, 2))) == [50, 51, 52, 53]


def test_grey_of_sixteen_bits_in_tiff_is_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "grey.tiff")
    assert read_middle(str(tmp_path / "grey.tiff"), 0, 4).tolist() == [[[156] * 3] * 4] * 4


def _load_in_another_process(folder: str) -> None:
    load(Path(folder))


def test_processes_started_later_say_nothing_again(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rename(folder / "train" / "n01", 3, ".heic")
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_load_in_another_process, args=(str(folder),))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert "passed over" not in capfd.readouterr().err


def test_a_program_says_it_in_one_warning(folder: Path) -> None:
    rename(folder / "train" / "n01", 3, ".heic")
    code = (
        "from benchmark.datasets import *; from pathlib import Path\n"
        f"for _ in range(3): load_splits('imagenet', DataRequest(Path({str(folder)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr.count("3 .heic; most of them in train/n01 (3 and 17 images)") == 1
