"""NAS-Bench-101's own file, ``nasbench_only108.tfrecord`` (500 MB) or ``nasbench_full.tfrecord``.

A record is a length (8 bytes, little-endian), its checksum (4), the data, and their checksum (4).
The data are a JSON list: a hash, the epochs, the adjacency matrix as a text of 0 and 1, operations
separated by commas, and, in base64, a protocol buffer ``ModelMetrics``. Of that message field 1,
three times, holds the figures at the start, half way and at the end of training: in each its field
4 is the validation accuracy and field 5 the test accuracy, shares of 1; field 2 of the message is
the number of trainable parameters, which must be that of our network of the cell. Every cell was
trained three times at every number of epochs, on 40,000 of CIFAR-10's training images, validated on
the other 10,000; the runs come in no named order and are numbered 0, 1, 2 as they come.

The file is read as it is, without tensorflow; checksums (masked CRC-32C) are not computed, since a
record that is cut short or altered fails in one of the other ways.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.truth.format import TruthColumn
from benchmark.truth.imported import NUM_DECIMALS, Imported, sorted_table
from benchmark.truth.pickles import Report, silent
from kshot_core.spaces import NASBench101
from kshot_core.spaces.nasbench101.cell import Cell
from kshot_core.spaces.nasbench101.space import arch_of
from kshot_core.spaces.nasbench101.text import from_matrix

TRAINED_ON = "cifar10-40k"
"""40,000 of the training images: other networks than those of all 50,000."""
_ODD = (ValueError, TypeError, LookupError, struct.error, binascii.Error, RecursionError)
_LONGEST = 1 << 20
_SPLITS = {4: "valid", 5: "test"}


def import_nasbench101(file: Path, report: Report = silent) -> Imported:
    """Read the benchmark's file.

    Raises:
        UserError: it is cut short, or a record is not as published.
    """
    space, size = NASBench101(), file.stat().st_size
    values: dict[TruthColumn, dict[str, float]] = {}
    runs: dict[tuple[str, int], int] = {}
    texts: dict[str, str] = {}
    with file.open("rb") as stream:
        for number, data in enumerate(_records(stream, file)):
            try:
                digest, epochs, matrix, operations, metrics = json.loads(data)
                params, accuracies = _metrics(base64.b64decode(metrics, validate=True))
                if digest not in texts:
                    arch = arch_of(_cell(matrix, operations.split(",")))
                    if space.params(arch) != params:
                        raise ValueError(
                            f"{params} parameters, where this cell has {space.params(arch)}"
                        )
                    texts[digest] = space.to_string(arch)
                run = runs[digest, epochs] = runs.get((digest, epochs), -1) + 1
                for split, accuracy in accuracies.items():
                    column = TruthColumn(TRAINED_ON, split, int(epochs), f"seed{run}")
                    percent = round(100 * accuracy, NUM_DECIMALS)
                    values.setdefault(column, {})[texts[digest]] = percent
            except _ODD as error:
                raise UserError(
                    f"{file}, record {number}: not as NAS-Bench-101 has it "
                    f"({str(error)[:90] or type(error).__name__}); download the file again"
                ) from None
            if number % 1000 == 0:
                report("reading records", stream.tell(), size)
    if not values:
        raise UserError(f"{file} holds no record; download it again")
    return Imported(sorted_table(_frame(values), file), ())


def _frame(values: dict[TruthColumn, dict[str, float]]) -> pd.DataFrame:
    """A mean for each split and number of epochs, then the runs."""
    columns = {
        str(column): of for column, of in sorted(values.items(), key=lambda one: str(one[0]))
    }
    frame = pd.DataFrame(columns, dtype=np.float64)
    frame.index.name = "arch"
    for name in dict.fromkeys(column.rpartition("/")[0] for column in columns):
        own = frame[[column for column in columns if column.startswith(f"{name}/seed")]]
        # A mean is of every cell, or there is none.
        if not own.isna().all(axis=1).any():
            frame.insert(0, f"{name}/mean", own.mean(axis=1).round(NUM_DECIMALS))
    return frame


def _records(stream: BinaryIO, file: Path) -> Iterator[bytes]:
    while head := stream.read(12):
        length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else _LONGEST + 1
        data = stream.read(length) if length <= _LONGEST else b""
        if len(data) < length or len(stream.read(4)) < 4:
            raise UserError(
                f"{file} is no tfrecord file, or is cut short after {stream.tell():,} bytes; "
                "download it again"
            )
        yield data


def _cell(matrix: str, operations: list[str]) -> Cell:
    num = len(operations)
    if len(matrix) != num**2:
        raise ValueError(f"a matrix of {len(matrix)} entries and {num} operations")
    rows = [[int(entry) for entry in matrix[at : at + num]] for at in range(0, num**2, num)]
    return from_matrix(rows, operations)


def _metrics(message: bytes) -> tuple[int, dict[str, float]]:
    """Trainable parameters, and accuracies at the end of training by split."""
    params, evaluations = 0, []
    for field, value in _fields(message):
        if field == 1 and isinstance(value, bytes):
            evaluations.append(value)
        elif field == 2 and isinstance(value, int):
            params = value
    accuracies: dict[str, float] = {}
    for field, value in _fields(evaluations[-1]):
        if field in _SPLITS and isinstance(value, float):
            if not 0 <= value <= 1:
                raise ValueError(f"an accuracy is a share of 1, got {value}")
            accuracies[_SPLITS[field]] = value
    if accuracies.keys() != set(_SPLITS.values()):
        raise ValueError("no validation and test accuracy")
    return params, accuracies


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Numbers and values of a protocol buffer's fields: varints, doubles, and what has a length."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif kind == 1:
            yield key >> 3, struct.unpack_from("<d", message, at)[0]
            at += 8
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("a message cut short")
            yield key >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError(f"a field of unknown kind {kind}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
