"""Batches of images as published files hold them: rows of pixels and a list of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from benchmark.datasets.pickles import load_restricted

if TYPE_CHECKING:
    import numpy.typing as npt

    from benchmark.datasets.files import DataFile

    Batch: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def read_pickled(file: DataFile, label_key: str, num_bytes: int, classes: range) -> Batch:
    """Pixels (B, num_bytes) uint8 and labels (B,) int64 of a pickled dict.

    Args:
        file: the file; its dict has pixels under ``data``.
        label_key: the labels' key.
        num_bytes: bytes per image.
        classes: the labels there may be.

    Raises:
        UserError: the file is no such dict, or not of numpy arrays and plain values only.
    """
    content = load_restricted(file.content, name=file.where, remedy=file.remedy)
    if not isinstance(content, dict) or not {"data", label_key} <= content.keys():
        raise file.error(f"wanted a pickled dict with data and {label_key}, got other content")
    return check_batch(file, content["data"], content[label_key], num_bytes, classes)


def check_batch(
    file: DataFile, data: object, labels: object, num_bytes: int, classes: range
) -> Batch:
    """Pixels (B, num_bytes) uint8 and labels (B,) int64, checked to be just that.

    Args:
        file: where they come from, for errors.
        data: what the file holds as pixels.
        labels: what the file holds as labels, an array or a list.
        num_bytes: bytes per image.
        classes: the labels there may be.

    Raises:
        UserError: shape, dtype, number or range are not as wanted.
    """
    pixels = _array(data)
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != num_bytes:
        raise file.error(f"wanted pixels uint8 (B, {num_bytes}), got {pixels.dtype} {pixels.shape}")
    numbers = _array(labels)
    if numbers.dtype.kind not in "iu" or numbers.shape != pixels.shape[:1]:
        raise file.error(
            f"wanted {len(pixels)} whole numbers as labels, got {numbers.dtype} {numbers.shape}"
        )
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, -1)
    if numbers.size and (low not in classes or high not in classes):
        raise file.error(f"wanted labels {classes[0]}..{classes[-1]}, got {low}..{high}")
    return pixels.astype(np.uint8, copy=False), numbers.astype(np.int64)


def _array(values: object) -> npt.NDArray[np.generic]:
    """``values`` as an array; what makes no regular array has the dtype of objects."""
    try:
        return np.asarray(values)
    except ValueError:
        return np.asarray(None)
