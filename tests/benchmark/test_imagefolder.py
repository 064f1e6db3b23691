"""A folder of images in class folders: found, split, read in passes; small and made up here."""

from __future__ import annotations

import shutil
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pictures import numbers_in, truncate, write_folder, write_photos
from torch import Tensor

from benchmark.cli.errors import UserError
from benchmark.datasets import DataRequest, files, imagefolder, load_splits
from benchmark.datasets.decoding import CorruptImageWarning
from benchmark.datasets.imagefolder import FolderSettings, ImageFolder, load_imagenet
from benchmark.datasets.passed_over import PassedOverWarning
from kshot_core.tasks.batches import WHOLE, Part

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no ``$KSHOT_DATA``."""
    monkeypatch.delenv("KSHOT_DATA", raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """3 classes of 10 images to train on and 4 in ``val/``, each image of one colour."""
    write_folder(tmp_path / "images")
    return tmp_path / "images"


def load(folder: Path, **changes: object) -> ImageFolder:
    """The folder's images at 16 pixels, without jitter, decoded in this process."""
    request = {name: changes.pop(name) for name in ("workers", "seed") if name in changes}
    settings = {"image_size": 16, "jitter": 0.0, **changes}
    return load_imagenet(
        replace(DataRequest(folder, workers=0), **request),  # type: ignore[arg-type]
        FolderSettings(**settings),  # type: ignore[arg-type]
    )


def one_pass(
    data: ImageFolder, batch_size: int = 6, seed: int = 0, part: Part = WHOLE
) -> list[tuple[Tensor, Tensor]]:
    batches = data.training(CPU, part).training_batches(
        batch_size, torch.Generator().manual_seed(seed)
    )
    return list(batches)


def numbers(data: ImageFolder, **settings: int) -> list[int]:
    return [n for images, _ in one_pass(data, **settings) for n in numbers_in(images)]


def test_a_folder_is_listed_and_split(folder: Path) -> None:
    data = load_splits("imagenet", DataRequest(folder, workers=0), {"image_size": 16})
    assert isinstance(data, ImageFolder)
    assert (data.name, data.trained_on) == ("imagenet", "imagenet")
    assert (data.num_classes, data.num_train, data.image_channels) == (3, 27, 3)
    assert (data.image_size, load(folder, image_size=0).image_size) == (16, 224)
    assert data.description["source"] == "3 classes, 30 images in train/, 12 in val/"
    assert data.description["split"] == "27 images to train, 3 held out with seed 0"
    assert load(folder, held_out=8).num_train == 22
    assert len(load(folder, held_out=8).validation(CPU)) == 8
    assert data.train_files.names[:3] == ["00.png", "01.JPEG", "02.png"]
    assert data.train_files.labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_every_image_is_in_one_place_with_its_label(folder: Path) -> None:
    data = load(folder, held_out=9)
    held, test = data.validation(CPU), data.test(CPU)
    trained = numbers(data, batch_size=3)
    held_numbers = numbers_in(held.pixels.permute(0, 3, 1, 2))
    assert sorted(trained + held_numbers) == list(range(30))
    assert held.labels.tolist() == [n // 10 for n in held_numbers]
    test_numbers = numbers_in(test.pixels.permute(0, 3, 1, 2))
    assert sorted(test_numbers) == list(range(30, 42))
    assert test.labels.tolist() == [(n - 30) // 4 for n in test_numbers]
    # A batch for batch statistics is not of one class.
    assert test_numbers != sorted(test_numbers)
    for images, labels in one_pass(data):
        assert labels.tolist() == [n // 10 for n in numbers_in(images)]
        assert (images.dtype, labels.dtype, images.shape) == (
            torch.float32,
            torch.int64,
            (6, 3, 16, 16),
        )
        assert images.is_contiguous(memory_format=torch.channels_last)
    ((x, y),) = test.scoring_batches(12)
    assert numbers_in(x) == test_numbers
    assert torch.equal(y, test.labels)


def test_retraining_gets_the_images_held_out_too(folder: Path) -> None:
    data = load(folder, held_out=9)
    everything = data.training(CPU, everything=True)
    assert (len(data.training(CPU)), len(everything)) == (21, 30)
    batches = everything.training_batches(10, torch.Generator().manual_seed(0))
    assert sorted(n for images, _ in batches for n in numbers_in(images)) == list(range(30))


def test_the_seed_holds_out(folder: Path) -> None:
    def held_out(**changes: int) -> list[int]:
        return numbers_in(load(folder, **changes).validation(CPU).pixels.permute(0, 3, 1, 2))

    assert held_out() == held_out()
    assert held_out(held_out=9)[:3] == held_out(held_out=3)
    assert held_out(seed=1) != held_out()
    assert load(folder, seed=1).description["split"].endswith("held out with seed 1")


def test_the_first_images_are_of_all_classes(folder: Path) -> None:
    data = load(folder, held_out=3)
    few = data.first(12)
    assert few.num_train == len(few.training(CPU)) == 12
    taken = Counter(number // 10 for number in numbers(few))
    assert set(taken) == {0, 1, 2}
    assert set(numbers(few)) < set(numbers(data, batch_size=3))
    assert len(few.validation(CPU)) == 3


def test_large_sets_hold_out_fifty_thousand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (imagefolder.HELD_OUT, imagefolder.LARGE) == (50_000, 500_000)
    monkeypatch.setattr(imagefolder, "HELD_OUT", 2)
    for large, held_out in ((31, 3), (30, 2)):
        monkeypatch.setattr(imagefolder, "LARGE", large)
        assert load(folder).num_train == 30 - held_out


def test_the_record_tells_other_files_apart(folder: Path, tmp_path: Path) -> None:
    before = load(folder).description["files"]
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "train" / "n00" / "notes.txt").touch()
    (tmp_path / "copy" / "train" / "n00" / "._00.png").touch()
    (tmp_path / "copy" / "val" / ".hidden").mkdir()
    with pytest.warns(PassedOverWarning, match=r"copy, being no .*read: 1 \.txt; most .*n00"):
        assert load(tmp_path / "copy").description["files"] == before
    with (folder / "val" / "n00" / "00.png").open("ab") as file:
        file.write(b"x")
    after = load(folder).description["files"]
    assert after != before
    (folder / "val" / "n00" / "00.png").rename(folder / "val" / "n00" / "05.PNG")
    assert load(folder).description["files"] not in (before, after)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 classes of 40 photos to train on, which differ wherever they are cropped."""
    return write_photos(tmp_path_factory.mktemp("photos"))


def same(ours: list[tuple[Tensor, Tensor]], theirs: list[tuple[Tensor, Tensor]]) -> bool:
    return len(ours) == len(theirs) and all(
        torch.equal(one, other)
        for batch, other_batch in zip(ours, theirs, strict=True)
        for one, other in zip(batch, other_batch, strict=True)
    )


def test_batches_do_not_depend_on_the_processes(photos: Path) -> None:
    state = torch.random.get_rng_state()
    alone = load(photos, jitter=0.4)
    wanted = [one_pass(alone, 36, seed) for seed in (0, 1)]
    assert not same(*wanted)
    for workers in (1, 2):
        data = load(photos, jitter=0.4, workers=workers)
        images = data.training(CPU)
        for seed in (0, 1):
            generator = torch.Generator().manual_seed(seed)
            assert same(list(images.training_batches(36, generator)), wanted[seed])
        # Broken off, and begun anew with the same processes.
        assert images._decoders._idle
        generator = torch.Generator().manual_seed(0)
        assert same([next(images.training_batches(36, generator))], wanted[0][:1])
        assert same(list(images.training_batches(36, generator.manual_seed(0))), wanted[0])
        for name in ("validation", "test"):
            ours, theirs = getattr(data, name)(CPU), getattr(alone, name)(CPU)
            assert torch.equal(ours.pixels, theirs.pixels)
            assert torch.equal(ours.labels, theirs.labels)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_arrive_on_the_device(photos: Path) -> None:
    data, device = load(photos, workers=1), torch.device("cuda")
    images = data.training(device)
    batches = list(images.training_batches(36, torch.Generator().manual_seed(0)))
    for (x, y), (wanted, labels) in zip(batches, one_pass(data, 36), strict=True):
        assert (x.device.type, y.device.type) == ("cuda", "cuda")
        assert x.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(x.cpu(), wanted)
        assert torch.equal(y.cpu(), labels)
    assert data.test(device).pixels.device.type == "cuda"


@pytest.mark.parametrize("num", [2, 4])
def test_parts_make_up_the_whole(photos: Path, num: int) -> None:
    data = load(photos, jitter=0.4)
    whole, after = one_pass(data, 36), None
    parts = []
    for rank in range(num):
        generator = torch.Generator().manual_seed(0)
        images = data.training(CPU, Part(rank, num))
        parts.append(list(images.training_batches(36, generator)))
        assert after is None or torch.equal(generator.get_state(), after)
        after = generator.get_state()
    generator = torch.Generator().manual_seed(0)
    next(data.training(CPU).training_batches(36, generator))
    # Drawn before the first batch, so that a pass broken off leaves the same state.
    assert torch.equal(generator.get_state(), after)
    joined = [tuple(map(torch.cat, zip(*batch, strict=True))) for batch in zip(*parts, strict=True)]
    assert same(joined, whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_passes_may_run_side_by_side(photos: Path, workers: int) -> None:
    data = load(photos, workers=workers)
    images = data.training(CPU)
    passes = [images.training_batches(24, torch.Generator().manual_seed(k)) for k in (0, 1)]
    mixed = list(zip(*passes, strict=True))
    for k in (0, 1):
        assert same([pair[k] for pair in mixed], one_pass(load(photos), 24, k))


def test_sizes_that_make_no_batch(photos: Path) -> None:
    for size in (0, 73):
        with pytest.raises(ValueError, match=rf"batch_size must be 1\.\.72, got {size}"):
            one_pass(load(photos), size)
    with pytest.raises(ValueError, match="does not divide among 2"):
        one_pass(load(photos), 9, part=Part(0, 2))


def corrupt(data: ImageFolder, *places: int) -> list[str]:
    """Cut the images at these places of the training list; their paths."""
    paths = [data.train_files.path(int(data.chosen[place])) for place in places]
    for path in paths:
        truncate(Path(path))
    return paths


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_image_is_named_once_and_replaced(tmp_path: Path, workers: int) -> None:
    """Two neighbours in a list of 216, so that the image after them is taken for both."""
    write_folder(tmp_path, classes=4, train=54, val=1)
    data = load(tmp_path, workers=workers, held_out=1)
    sound = numbers(data, batch_size=43)
    by_place = data.chosen.tolist()
    paths = corrupt(data, 7, 8)
    instead = by_place[9]
    images = data.training(CPU)
    with pytest.warns(CorruptImageWarning) as caught:
        batches = list(images.training_batches(43, torch.Generator().manual_seed(0)))
    messages = sorted(str(warning.message) for warning in caught)
    assert len(messages) == 2
    for path, message in zip(sorted(paths), messages, strict=True):
        assert message.startswith(f"cannot read {path} (")
        assert message.endswith("); another image takes its place")
    assert [len(y) for _, y in batches] == [43] * 5
    expected = [instead if n in by_place[7:9] else n for n in sound]
    assert [n for x, _ in batches for n in numbers_in(x)] == expected
    assert [int(n) for _, y in batches for n in y] == [n // 54 for n in expected]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # In the second pass, and of the same folder later on, nothing is news.
        again = list(images.training_batches(43, torch.Generator().manual_seed(0)))
        assert same(again, batches)
        assert numbers(data.first(200), batch_size=40)


def test_corrupt_images_are_left_out_of_what_is_judged_by(tmp_path: Path) -> None:
    write_folder(tmp_path, classes=2, train=4, val=20)
    data = load(tmp_path, held_out=1)
    (tmp_path / "val" / "n01" / "03.JPEG").write_text("not an image")
    with pytest.warns(CorruptImageWarning, match=r"val/n01/03\.JPEG \(no JPEG.*; it is left out"):
        test = data.test(CPU)
    found = numbers_in(test.pixels.permute(0, 3, 1, 2))
    assert sorted(found) == [n for n in range(8, 48) if n != 8 + 23]
    assert test.labels.tolist() == [(n - 8) // 20 for n in found]


def test_too_many_corrupt_images_are_an_error(folder: Path) -> None:
    data = load(folder, held_out=1)
    paths = corrupt(data, 3)
    with pytest.warns(CorruptImageWarning):
        assert len(one_pass(data, 29)) == 1
    paths += corrupt(data, 20)
    with pytest.warns(CorruptImageWarning), pytest.raises(UserError) as caught:
        one_pass(data, 29)
    message = str(caught.value)
    assert message.startswith("2 of 29 images cannot be read, more than 1%, the last of them ")
    assert any(path in message for path in paths)
    assert "\n" not in message
    # A single image to score by must be readable.
    truncate(Path(data.train_files.path(int(data.held_out[0]))))
    with pytest.warns(CorruptImageWarning), pytest.raises(UserError, match="1 of 1 images"):
        data.validation(CPU)


def test_ten_classes_of_imagenet(shared_data: Path) -> None:
    folder = shared_data / "imagenette"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    data = load(folder, image_size=64, jitter=0.4)
    assert data.description["source"] == "10 classes, 600 images in train/, 200 in val/"
    assert (data.num_classes, data.num_train) == (10, 540)
    assert data.train_files.classes[0] == "n01440764"
    x, y = one_pass(data.first(200), 200)[0]
    assert (x.shape, torch.bincount(y).numel()) == ((200, 3, 64, 64), 10)
    held, test = data.validation(CPU), data.test(CPU)
    assert (len(held), len(test)) == (60, 200)
    assert torch.bincount(test.labels).tolist() == [20] * 10
    ((z, _),) = test.scoring_batches(200)
    for images in (x, z):
        assert images.mean((0, 2, 3)).abs().max() < 0.2
        # The published deviation is the mean of images' own, less than that of all pixels.
        assert ((images.std((0, 2, 3)) - 1.2).abs() < 0.2).all()
