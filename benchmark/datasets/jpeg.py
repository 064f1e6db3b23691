"""One image file as pixels: decoded, cropped and augmented, on one core and from one seed.

What a network is trained on is a random part of an image, stretched, mirrored and changed in
colour (Szegedy et al., CVPR 2015, section 6); what it is judged by is the middle. The same seed
gives the same pixels in every process.
"""

from __future__ import annotations

import io
import math
import random
import struct
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError, features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pixels: TypeAlias = npt.NDArray[np.uint8]
Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of the stored image."""

# What Pillow reads in every build, and WebP where this one does.
_SUFFIXES = {
    "JPEG": (".jpeg", ".jpg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",) if features.check("webp") else (),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pnm"),
}
SUFFIXES = tuple(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)
# By content, whatever the file is called: one of ImageNet's .JPEG files is a PNG.
FORMATS = tuple(name for name, suffixes in _SUFFIXES.items() if suffixes)
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
_ATTEMPTS = 10
# The published networks see the middle 224 pixels of an image whose shorter side is 256.
MIDDLE = 224 / 256

# Weights of red, green and blue in grey, ITU-R BT.601 as in JPEG.
_GREY = (0.299, 0.587, 0.114)

# What Pillow raises for bytes that are no image, are cut short or contradict each other.
_UNREADABLE = (
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
)


class UnreadableImageError(Exception):
    """A file that is missing, cut short, or no image; the message says which."""


def read_augmented(path: str, seed: int, size: int, jitter: float) -> Pixels:
    """A random part of an image: 8 to 100 % of its area, 3:4 to 4:3, half of them mirrored.

    Args:
        path: the file.
        seed: of everything that is random.
        size: height and width of what is returned.
        jitter: brightness, contrast and saturation are each multiplied by 1 - jitter .. 1 + jitter.

    Returns:
        (size, size, 3) uint8.

    Raises:
        UnreadableImageError: the file is no whole image.
    """
    # Of all generators at hand only random.random() promises the same numbers in every version.
    generator = random.Random(seed)
    image, box = _read(path, lambda width, height: random_box(width, height, generator), size, 1)
    part = image.resize((size, size), Image.Resampling.BILINEAR, box)
    if generator.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(_jittered(part, jitter, generator) if jitter else part)


def read_middle(path: str, seed: int, size: int) -> Pixels:
    """The middle square of an image: 7/8 of the shorter side, as 224 pixels of 256.

    Args:
        path: the file.
        seed: not used, nothing is random; the signature is ``read_augmented``'s.
        size: height and width of what is returned.

    Returns:
        (size, size, 3) uint8.

    Raises:
        UnreadableImageError: the file is no whole image.
    """
    image, box = _read(path, middle_box, size, 2)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box))


def random_box(width: int, height: int, generator: random.Random) -> Box:
    """A part of a random area and ratio that fits; after ten misses the largest one that does."""
    for _ in range(_ATTEMPTS):
        area = width * height * _uniform(*AREA, generator)
        ratio = math.exp(_uniform(math.log(RATIO[0]), math.log(RATIO[1]), generator))
        part_width, part_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < part_width <= width and 0 < part_height <= height:
            left = int(generator.random() * (width - part_width + 1))
            top = int(generator.random() * (height - part_height + 1))
            return left, top, left + part_width, top + part_height
    part_width = min(width, max(1, round(height * RATIO[1])))
    part_height = min(height, max(1, round(width / RATIO[0])))
    return _centred(width, height, part_width, part_height)


def middle_box(width: int, height: int) -> Box:
    """The middle square, 7/8 of the shorter side."""
    side = min(width, height) * MIDDLE
    return _centred(width, height, side, side)


def _centred(width: int, height: int, part_width: float, part_height: float) -> Box:
    left, top = (width - part_width) / 2, (height - part_height) / 2
    return left, top, left + part_width, top + part_height


def _uniform(low: float, high: float, generator: random.Random) -> float:
    return low + (high - low) * generator.random()


def _read(
    path: str, choose: Callable[[int, int], Box], size: int, gap: int
) -> tuple[Image.Image, Box]:
    """The image in RGB, perhaps at a smaller scale, and the chosen box in it.

    A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size for less work. That is done as long as the
    box keeps ``gap`` times the pixels wanted each way; with 2 the eye sees no difference.
    """
    with _reading():
        image: Image.Image = Image.open(io.BytesIO(Path(path).read_bytes()), formats=FORMATS)
    width, height = image.size
    left, top, right, bottom = choose(width, height)
    least = (
        math.ceil(gap * size * width / (right - left)),
        math.ceil(gap * size * height / (bottom - top)),
    )
    with _reading():
        smaller = image.draft(None, least)
        rgb = _to_rgb(image)
    scale = smaller[1][2] / width if smaller is not None else 1
    return rgb, (left * scale, top * scale, right * scale, bottom * scale)


@contextmanager
def _reading() -> Iterator[None]:
    """Pillow's many errors as one; its remarks on odd metadata, of which ImageNet is full, unsaid.

    Raises:
        UnreadableImageError: Pillow raised an error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError:
        # Pillow's own words name an object in memory.
        raise UnreadableImageError(f"no {', '.join(FORMATS)} image") from None
    except _UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnreadableImageError(reason or str(error) or type(error).__name__) from None


def _to_rgb(image: Image.Image) -> Image.Image:
    """Three bytes a pixel, of greyscale, palette and CMYK images too; transparency is dropped."""
    if image.mode.startswith("I"):
        # 16 bits of grey, which Pillow would clip at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of no known range")
    return image.convert("RGB")


def _jittered(image: Image.Image, jitter: float, generator: random.Random) -> Image.Image:
    """Brightness, contrast and saturation multiplied by random factors.

    Brightness b moves a colour x away from black, contrast c away from the image's mean grey m,
    saturation s away from its own grey g·x. They are linear and so one matrix, in whatever order:
    b (c (s x + (1 - s) g·x) + (1 - c) m). Values are rounded to bytes and clipped once, at the end.
    """
    b, c, s = (_uniform(max(0, 1 - jitter), 1 + jitter, generator) for _ in range(3))
    counts = image.convert("L").histogram()
    mean = sum(level * count for level, count in enumerate(counts)) / sum(counts)
    rows = b * c * (s * np.eye(3) + (1 - s) * np.array(_GREY))
    matrix = np.column_stack([rows, np.full(3, b * (1 - c) * mean)])
    return image.convert("RGB", tuple(matrix.ravel().tolist()))
