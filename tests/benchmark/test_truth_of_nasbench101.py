"""NAS-Bench-101's file, on small ones of its format."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from random import Random

import pytest

from benchmark.cli.errors import UserError
from benchmark.truth.importers import import_truth
from kshot_core.spaces import NASBench101

SPACE = NASBench101()
OPERATIONS = {
    "conv3x3": "conv3x3-bn-relu",
    "conv1x1": "conv1x1-bn-relu",
    "maxpool3x3": "maxpool3x3",
}
CELLS = ["conv3x3~0|output~1", "output~0", "conv1x1~0|maxpool3x3~0+1|output~1+2"]


def varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def evaluation(epoch: float, accuracy: float) -> bytes:
    """Epoch, seconds, training, validation and test accuracy, and a checkpoint's path."""
    numbers = (epoch, 100.0, 1.0, accuracy, accuracy - 0.01)
    fields = [varint(at << 3 | 1) + struct.pack("<d", one) for at, one in enumerate(numbers, 1)]
    path = b"somewhere"
    return b"".join(fields) + varint(6 << 3 | 2) + varint(len(path)) + path


def metrics(params: int, accuracy: float) -> bytes:
    ends = [evaluation(0, 0.1), evaluation(54, 0.5), evaluation(108, accuracy)]
    parts = [varint(1 << 3 | 2) + varint(len(one)) + one for one in ends]
    whole = varint(2 << 3) + varint(params), varint(3 << 3 | 1) + struct.pack("<d", 500.0)
    return b"".join([*parts, *whole])


def row(text: str, accuracy: float, epochs: int = 108, params: int | None = None) -> list[object]:
    parts = text.split("|")
    num = len(parts) + 1
    matrix = [["0"] * num for _ in range(num)]
    for target, part in enumerate(parts, start=1):
        for source in part.partition("~")[2].split("+"):
            matrix[int(source)][target] = "1"
    names = [OPERATIONS[part.partition("~")[0]] for part in parts[:-1]]
    cost = SPACE.params(SPACE.from_string(text)) if params is None else params
    message = base64.b64encode(metrics(cost, accuracy)).decode()
    joined = "".join("".join(line) for line in matrix)
    return [f"hash of {text}", epochs, joined, ",".join(["input", *names, "output"]), message]


def write(path: Path, rows: list[list[object]]) -> Path:
    content = b""
    for one in rows:
        data = json.dumps(one).encode()
        content += struct.pack("<Q", len(data)) + b"\0" * 4 + data + b"\0" * 4
    path.write_bytes(content)
    return path


def test_runs_and_epochs_are_columns(tmp_path: Path) -> None:
    rows = [row(text, 0.9 + 0.01 * run) for text in CELLS for run in range(3)]
    rows += [row(text, 0.5, epochs=4) for text in CELLS]
    Random(0).shuffle(rows)
    table = import_truth(write(tmp_path / "nasbench.tfrecord", rows)).table
    assert type(table.space) is NASBench101
    assert sorted(table.frame.index) == sorted(CELLS)
    assert {str(c).rpartition("/")[0] for c in table.columns()} == {
        f"cifar10-40k/{split}/{epochs}ep" for split in ("valid", "test") for epochs in (108, 4)
    }
    assert table.seeds_of("cifar10-40k/valid/108ep/mean") == [
        f"cifar10-40k/valid/108ep/seed{run}" for run in range(3)
    ]
    for text in CELLS:
        assert table.column("cifar10-40k/valid/108ep/mean")[text] == pytest.approx(91)
        assert table.column("cifar10-40k/test/108ep/mean")[text] == pytest.approx(90)
        assert table.column("cifar10-40k/valid/4ep/seed0")[text] == pytest.approx(50)


def test_parameters_that_are_not_the_cell_s_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.tfrecord", [row(CELLS[0], 0.9), row(CELLS[1], 0.9, params=7)])
    with pytest.raises(UserError, match=r"record 1: .*7 parameters, where this cell has"):
        import_truth(source)


def test_what_is_cut_short_or_no_record_is_one_line(tmp_path: Path) -> None:
    source = write(tmp_path / "a.tfrecord", [row(text, 0.9) for text in CELLS])
    whole = source.read_bytes()
    for end in (5, 40, len(whole) - 2):
        source.write_bytes(whole[:end])
        with pytest.raises(UserError, match="cut short after"):
            import_truth(source)
    source.write_bytes(b"")
    with pytest.raises(UserError, match="holds no record"):
        import_truth(source)
    for wrong in (["a", 108], row(CELLS[0], 1.5), [*row(CELLS[0], 0.9)[:4], "no base64!"]):
        with pytest.raises(UserError, match="record 0: not as NAS-Bench-101 has it") as caught:
            import_truth(write(source, [wrong]))
        assert "\n" not in str(caught.value)
    cyclic = row(CELLS[0], 0.9)
    cyclic[2] = "010001010"
    with pytest.raises(UserError, match=r"leads onwards|cycle"):
        import_truth(write(source, [cyclic]))
