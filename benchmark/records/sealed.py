"""Files that tell whether they are as they were written: a checksum stands in them or beside them.

A disk, a copy or an editor may change a digit of what a finished file holds, and a number read from
it would be wrong without a word. Nothing read here asks for more memory than the file has bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from benchmark.records.files import sha256, write_atomically, write_json

SUM = "sha256"
"""The key that a checksum stands under."""
MOST_JSON_BYTES = 256 << 20


class DamagedError(ValueError):
    """A file is not as it was written. The message is a few words that say why."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write tensors and texts about them as safetensors, atomically, with a checksum of all.

    Raises:
        UserError: it cannot be written.
    """
    own = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    # One text: several would stand in another order each time, and equal files differ.
    metadata = {"about": json.dumps({**about, SUM: _digest(own, about)}, sort_keys=True)}
    write_atomically(path, lambda temporary: save_file(own, temporary, metadata))


def load_tensors(path: Path, checked: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and texts as ``save_tensors`` wrote them. Never unpickles anything.

    Args:
        path: the file.
        checked: whether a checksum has to be there; earlier versions wrote none.

    Raises:
        DamagedError: it cannot be read, or is not as it was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DamagedError(str(error)) from None
    if "about" not in metadata and not checked:
        return tensors, {}
    try:
        about: dict[str, str] = dict(json.loads(metadata["about"]))
    except (KeyError, ValueError, TypeError, RecursionError):
        raise DamagedError("it has no checksum, or one of another version") from None
    if about.pop(SUM, None) != _digest(tensors, about):
        raise DamagedError("its checksum is another")
    return tensors, about


def load_array(path: Path) -> NDArray[Any]:
    """The array of an ``.npy`` file, of plain numbers.

    Raises:
        OSError: it cannot be read.
        DamagedError: it is none, or has more or fewer numbers than its head says.
    """
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            shape, fortran, dtype = read[version](file)
        except (ValueError, KeyError, EOFError, SyntaxError, RecursionError, MemoryError):
            # Their own words would advise to trust the file.
            raise DamagedError("it is no .npy array of numbers") from None
        rest = path.stat().st_size - file.tell()
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != rest:
            raise DamagedError(f"it says {shape} of {dtype}, and has {rest} bytes")
        data = np.frombuffer(file.read(), dtype)
    return data.reshape(shape, order="F" if fortran else "C").copy()


def write_record(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object atomically, with the checksum of its values."""
    write_json(path, {**value, SUM: _json_digest(value)})


def check_record(value: dict[str, Any]) -> dict[str, Any]:
    """A JSON object without its checksum, which is right or, in one of an early version, absent.

    Raises:
        DamagedError: the checksum is wrong.
    """
    found = value.get(SUM)
    rest = {name: one for name, one in value.items() if name != SUM}
    if found is None and rest.get("schema") == 1:
        return rest
    if found != _json_digest(rest):
        raise DamagedError("its checksum is another")
    return rest


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The checksums of a folder's files of these names, those that are there."""
    return {name: sha256(folder / name) for name in sorted(names) if (folder / name).is_file()}


def check_sum(path: Path, sums: object) -> None:
    """Whether a file is the one whose checksum a record has under ``sums``, if it has one.

    Raises:
        OSError: it cannot be read.
        DamagedError: it is another.
    """
    wanted = sums.get(path.name) if isinstance(sums, dict) else None
    if wanted is not None and sha256(path) != wanted:
        raise DamagedError("its checksum is not the one in record.json")


def read_limited(path: Path, most: int = MOST_JSON_BYTES) -> bytes:
    """A file's bytes, if they are not too many.

    Raises:
        OSError: it cannot be read.
        DamagedError: it has more than ``most`` bytes.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DamagedError(f"it has more than {most >> 20} MB")
    return data


def _digest(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _json_digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
