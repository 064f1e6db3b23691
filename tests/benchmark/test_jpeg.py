"""One file becomes pixels: every kind of image, the crops, the jitter, and what is no image."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import photo, truncate
from PIL import Image

from benchmark.datasets import jpeg
from benchmark.datasets.jpeg import (
    UnreadableImageError,
    middle_box,
    random_box,
    read_augmented,
    read_middle,
)

ORANGE = (240, 130, 20)
GREY = 150  # of orange, about


def _solid(mode: str, colour: tuple[int, ...] | int) -> Image.Image:
    return Image.new(mode, (40, 30), colour)


def _palette() -> Image.Image:
    image = _solid("P", 1)
    image.putpalette([0, 0, 0, *ORANGE])
    # Bytes of transparency, on which Pillow remarks when the palette is resolved.
    image.info["transparency"] = b"\x00\x80"
    return image


@pytest.mark.parametrize(
    ("image", "name", "colour"),
    [
        (_solid("RGB", ORANGE), "a.JPEG", ORANGE),
        (_solid("L", GREY), "a.JPEG", (GREY,) * 3),
        (_solid("CMYK", (15, 125, 235, 0)), "a.JPEG", ORANGE),
        (_solid("RGB", ORANGE), "a.png", ORANGE),
        (_solid("RGBA", (*ORANGE, 0)), "a.png", ORANGE),
        (_solid("LA", (GREY, 9)), "a.png", (GREY,) * 3),
        (_solid("1", 1), "a.png", (255,) * 3),
        (_solid("I;16", GREY << 8), "a.png", (GREY,) * 3),
        (_palette(), "a.png", ORANGE),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_kind_of_image_becomes_rgb(
    tmp_path: Path, image: Image.Image, name: str, colour: tuple[int, int, int]
) -> None:
    image.save(tmp_path / name, **({"quality": 95} if name.endswith("JPEG") else {}))
    with Image.open(tmp_path / name) as stored:
        assert stored.mode == image.mode or stored.mode.startswith("I")
    pixels = read_middle(str(tmp_path / name), 0, 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - colour).max() <= 3


def test_a_png_may_be_called_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    _solid("RGB", ORANGE).save(path, format="PNG")
    assert (read_middle(str(path), 0, 8) == ORANGE).all()


def test_of_several_pictures_in_a_jpeg_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    _solid("RGB", ORANGE).save(path, "MPO", save_all=True, append_images=[_solid("RGB", (0, 0, 0))])
    assert np.abs(read_middle(str(path), 0, 8).astype(int) - ORANGE).max() <= 3


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (60, 50)])
def test_the_middle_is_what_resizing_and_cutting_gives(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    photo(*size).save(tmp_path / "a.png")
    ours = read_middle(str(tmp_path / "a.png"), 0, 112)
    short = min(size)
    whole = photo(*size).resize(
        (size[0] * 128 // short, size[1] * 128 // short), Image.Resampling.BILINEAR
    )
    left, top = (whole.width - 112) // 2, (whole.height - 112) // 2
    plain = np.asarray(whole.crop((left, top, left + 112, top + 112)))
    # Half a pixel apart where the rest is odd.
    assert np.abs(ours.astype(int) - plain).mean() < 1.5


def test_large_jpegs_are_decoded_small_and_look_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    photo(1600, 1203).save(path, quality=95)
    full = photo(1600, 1203)
    small, box = jpeg._read(str(path), middle_box, 64, 2)
    # 1,053 pixels of the shorter side for 64: an eighth would leave 131, more than twice 64.
    assert small.size == (200, 151)
    assert box == pytest.approx([edge / 8 for edge in middle_box(1600, 1203)])
    # The narrow side of a part decides: 300 pixels for 64 allow a quarter.
    for part in ((0, 0, 300, 1200), (0, 0, 1200, 300)):
        small, box = jpeg._read(str(path), lambda *_, part=part: part, 64, 1)
        assert (small.size, box) == ((400, 301), tuple(edge / 4 for edge in part))
    for size in (64, 224):
        wanted = np.asarray(
            full.resize((size, size), Image.Resampling.BILINEAR, middle_box(1600, 1203))
        )
        assert np.abs(read_middle(str(path), 0, size).astype(int) - wanted).mean() < 2
    for seed in range(8):
        generator = random.Random(seed)
        part = random_box(1600, 1203, generator)
        plain = np.asarray(full.resize((64, 64), Image.Resampling.BILINEAR, part))
        plain = plain[:, ::-1] if generator.random() < 0.5 else plain
        ours = read_augmented(str(path), seed, 64, 0)
        assert np.abs(ours.astype(int) - plain).mean() < 2


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 1 << 62))
def test_parts_lie_inside(width: int, height: int, seed: int) -> None:
    left, top, right, bottom = random_box(width, height, random.Random(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    left, top, right, bottom = middle_box(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_parts_have_the_areas_and_ratios_of_the_recipe() -> None:
    boxes = np.array([random_box(500, 400, random.Random(seed)) for seed in range(4000)])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    areas, ratios = widths * heights / (500 * 400), widths / heights
    assert 0.079 < areas.min() < 0.09
    assert 0.98 < areas.max() <= 1
    # Uniform, but large parts often do not fit and are drawn again.
    assert np.mean(areas[areas < 0.5] < 0.29) == pytest.approx(0.5, abs=0.04)
    assert 0.74 < ratios.min() < 0.76
    assert 1.32 < ratios.max() < 1.34
    # As often wide as high, where both fit.
    assert np.mean(ratios[areas < 0.5] > 1) == pytest.approx(0.5, abs=0.04)
    # Anywhere it fits.
    free = widths < 400
    assert np.mean(boxes[free, 0] / (500 - widths[free])) == pytest.approx(0.5, abs=0.02)


def test_a_strip_gives_its_middle() -> None:
    # Nothing of 3:4 to 4:3 has 8 % of its area, so all ten attempts fail.
    assert random_box(1000, 10, random.Random(0)) == (493.5, 0, 506.5, 10)
    assert random_box(10, 1000, random.Random(0)) == (0, 493.5, 10, 506.5)


def test_half_of_the_images_are_mirrored_and_the_seed_decides(tmp_path: Path) -> None:
    photo(80, 60).save(tmp_path / "a.png")
    path, mirrored = str(tmp_path / "a.png"), 0
    for seed in range(200):
        pixels = read_augmented(path, seed, 16, 0.4)
        np.testing.assert_array_equal(pixels, read_augmented(path, seed, 16, 0.4))
        plain = read_augmented(path, seed, 16, 0)
        # Blue grows to the right.
        mirrored += int(plain[:, 0, 2].mean() > plain[:, -1, 2].mean())
    assert 80 <= mirrored <= 120
    assert len({read_augmented(path, seed, 16, 0).tobytes() for seed in range(50)}) == 50


def _one_by_one(pixels: np.ndarray, factors: list[float]) -> np.ndarray:
    """Brightness, contrast and saturation as they are defined, without rounding between them."""
    weights = [0.299, 0.587, 0.114]
    values = pixels * factors[0]
    values = values * factors[1] + (1 - factors[1]) * (values @ weights).mean()
    grey = (values @ weights)[..., None]
    return np.clip(values * factors[2] + (1 - factors[2]) * grey, 0, 255)


@pytest.mark.parametrize("jitter", [0.4, 1.5])
def test_jitter_is_brightness_contrast_and_saturation(jitter: float) -> None:
    image, changed = photo(64, 48), []
    for seed in range(40):
        generator = random.Random(seed)
        low, high = max(0, 1 - jitter), 1 + jitter
        factors = [low + (high - low) * generator.random() for _ in range(3)]
        ours = np.asarray(jpeg._jittered(image, jitter, random.Random(seed))).astype(float)
        wanted = _one_by_one(np.asarray(image).astype(float), factors)
        assert np.abs(ours - wanted).max() < 1.5
        changed.append(np.abs(ours - np.asarray(image)).mean())
    assert min(changed) > 0.5


def _bomb() -> bytes:
    """A PNG of a few bytes that claims 900 million pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + content))
        chunks += struct.pack(">I", len(content)) + kind + content + check
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "truncated"),
        (lambda path: path.write_bytes(b""), "no JPEG, PNG, .*PPM image"),
        (lambda path: path.write_text("<html>"), "no JPEG, PNG, .*PPM image"),
        (
            lambda path: Image.new("RGB", (9, 9)).save(path, "ICO"),
            "no JPEG, PNG, .*PPM image",
        ),
        (lambda path: path.write_bytes(_bomb()), "exceeds limit"),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
    ],
)
@pytest.mark.parametrize("suffix", ["JPEG", "png"])
def test_what_is_no_image_says_why(
    tmp_path: Path, damage: Callable[[Path], object], reason: str, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    photo(90, 70).save(path)
    damage(path)
    with pytest.raises(UnreadableImageError, match=reason):
        read_middle(str(path), 0, 16)
    with pytest.raises(UnreadableImageError, match=reason):
        read_augmented(str(path), 0, 16, 0.4)
