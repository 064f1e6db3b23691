"""Batches of images against a slow reference that treats one image after another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from kshot_core.tasks.images import ImageSet

MEAN, STD = (0.2, 0.5, 0.7), (0.1, 0.3, 0.6)
NUM, HEIGHT, WIDTH = 11, 5, 7


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _raw() -> tuple[Tensor, Tensor]:
    pixels = torch.randint(0, 256, (NUM, 3, HEIGHT, WIDTH), generator=_generator(5))
    return pixels.to(torch.uint8), torch.arange(NUM)


def _images(padding: int = 0, flip: bool = False) -> ImageSet:
    return ImageSet(*_raw(), MEAN, STD, padding, flip)


def _normalised(pixels: Tensor) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


def _slow_batches(
    size: int, padding: int, flip: bool, generator: torch.Generator
) -> Iterator[tuple[Tensor, list[int]]]:
    """The same random numbers in the same order; crops and flips of one image at a time."""
    pixels, _ = _raw()
    order = torch.randperm(NUM, generator=generator).tolist()
    tops = torch.randint(2 * padding + 1, (NUM,), generator=generator).tolist()
    lefts = torch.randint(2 * padding + 1, (NUM,), generator=generator).tolist()
    mirrored = (torch.rand(NUM, generator=generator) < 0.5).tolist()
    for start in range(0, NUM - size + 1, size):
        batch = []
        for place in range(start, start + size):
            canvas = torch.zeros(3, HEIGHT + 2 * padding, WIDTH + 2 * padding, dtype=torch.uint8)
            canvas[:, padding : padding + HEIGHT, padding : padding + WIDTH] = pixels[order[place]]
            top, left = tops[place], lefts[place]
            window = canvas[:, top : top + HEIGHT, left : left + WIDTH]
            batch.append(_normalised(window.flip(2) if flip and mirrored[place] else window))
        yield torch.stack(batch), order[start : start + size]


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_crops_and_flips_equal_the_slow_reference(padding: int, flip: bool) -> None:
    ours = list(_images(padding, flip).training_batches(4, _generator(1)))
    slow = list(_slow_batches(4, padding, flip, _generator(1)))
    assert len(ours) == len(slow) == 2, "three images do not fill a batch"
    for (x, y), (expected, labels) in zip(ours, slow, strict=True):
        assert x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(x, expected, rtol=1e-5, atol=1e-5)
        assert y.tolist() == labels


def test_a_pass_shows_each_image_once_and_passes_differ() -> None:
    images, generator = _images(1, True), _generator()
    orders = [
        torch.cat([y for _, y in images.training_batches(1, generator)]).tolist() for _ in range(2)
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(NUM))
    assert orders[0] != orders[1]


def test_settings_do_not_shift_the_random_numbers() -> None:
    """The order of the images of a seed is the same with and without augmentation."""
    orders = []
    for images in (_images(), _images(2, True)):
        generator = _generator(3)
        for _ in range(2):
            last = torch.cat([y for _, y in images.training_batches(2, generator)])
        orders.append(last.tolist())
    assert orders[0] == orders[1]


def test_cutting_batches_leaves_the_images_alone() -> None:
    images = _images(1, True)
    before = images.pixels.clone()
    for x, _ in images.training_batches(4, _generator()):
        x.zero_()
    for x, _ in images.scoring_batches(4):
        x.zero_()
    assert torch.equal(images.pixels, before)


@pytest.mark.parametrize("padding", [0, 2])
def test_scoring_batches_are_the_images_in_order(padding: int) -> None:
    pixels, labels = _raw()
    batches = _images(padding, True).scoring_batches(5)
    assert [len(y) for _, y in batches] == [5, 5], "a remainder of one is left out"
    torch.testing.assert_close(
        torch.cat([x for x, _ in batches]), _normalised(pixels[:10]), rtol=1e-5, atol=1e-5
    )
    assert torch.equal(torch.cat([y for _, y in batches]), labels[:10])


@pytest.mark.parametrize(
    ("batch_size", "num_images", "sizes"),
    [
        (11, None, [11]),
        (100, None, [11]),
        (4, 8, [4, 4]),
        (4, 9, [4, 4]),
        (4, 3, [3]),
        (4, 100, [4, 4]),
        (1, 2, [1, 1]),
    ],
)
def test_sizes_of_scoring_batches(
    batch_size: int, num_images: int | None, sizes: list[int]
) -> None:
    batches = _images().scoring_batches(batch_size, num_images)
    assert [len(x) for x, _ in batches] == [len(y) for _, y in batches] == sizes


def test_what_makes_no_batch_is_refused() -> None:
    images = _images()
    for size in (0, NUM + 1):
        with pytest.raises(ValueError, match=r"batch_size must be 1\.\.11"):
            next(iter(images.training_batches(size, _generator())))
    for size, num in ((0, None), (-1, None), (4, 0), (4, -2)):
        with pytest.raises(ValueError, match="at least 1"):
            images.scoring_batches(size, num)


def test_images_must_be_bytes_with_a_label_each() -> None:
    pixels, labels = _raw()
    for wrong in ((pixels.float(), labels), (pixels[:, 0], labels), (pixels, labels[1:])):
        with pytest.raises(ValueError, match="images must be uint8"):
            ImageSet(*wrong, MEAN, STD)
    assert len(_images()) == NUM
