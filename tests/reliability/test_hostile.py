"""Inputs of any content are read or refused in one line; none runs anything or takes the memory."""

from __future__ import annotations

import bz2
import json
import os
import pickle
import resource
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import TINY, write_truth
from safetensors.torch import save

from benchmark.cli.errors import UserError
from benchmark.config.arch_file import read_arch
from benchmark.config.run import RunConfig
from benchmark.config.space import SpaceSettings
from benchmark.datasets.batches import read_pickled
from benchmark.datasets.cifar import BatchFile, _read_binary
from benchmark.datasets.cifar10 import CIFAR10
from benchmark.datasets.files import DataFile
from benchmark.datasets.pickles import load_restricted
from benchmark.datasets.splits import SplitPlan, _read_split
from benchmark.records.sealed import DamagedError, load_array, load_tensors
from benchmark.run.scores import _read
from benchmark.study.file import load_study
from benchmark.truth import reading
from benchmark.truth.pickles import load_pbz2, load_pth
from benchmark.truth.table import TruthTable
from kshot_core.spaces import SPACES

FEW, MANY = 15, 650
NUMBERS = [
    pytest.param(FEW, id="few"),
    pytest.param(MANY, id="many", marks=pytest.mark.nightly),
]
PLAN = SplitPlan("split.txt", "0", ("train", "valid"), (3, 3))
SPLIT = {"train": ["int", ["0", "2", "4"]], "valid": ["int", ["1", "3", "5"]]}
BATCH = {"data": np.arange(48, dtype=np.uint8).reshape(4, 12), "labels": [3, 1, 2, 0]}
SPACE = SpaceSettings().to_dict()
ARCH = {
    "space": "nasbench201",
    "settings": SPACE,
    "arch": "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
    "dataset": "digits",
    "search": {"config": {"image_size": 12}},
}
NATS = {"full": {"all_results": {("cifar10", 777): {"params": 0.5, "valid": [(1, 2.0)]}}}}


@dataclass(frozen=True)
class Target:
    """What reads a kind of input.

    Args:
        read: given the input's bytes and a folder to put them into.
        good: an input that is read.
    """

    read: Callable[[bytes, Path], object]
    good: bytes


def by_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    """Reads bytes that lie in a file of this name."""

    def put(data: bytes, folder: Path) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return read(path)

    return put


def data_file(data: bytes) -> DataFile:
    return DataFile("data_batch_1", "data_batch_1", data, "", "fetch it again")


def of_space(name: str) -> Target:
    space = SPACES[name]()
    good = space.to_string(space.extremes()[1])
    return Target(lambda data, _: space.from_string(data.decode("latin-1")), good.encode())


def truth() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_truth(Path(folder) / "truth.csv").read_bytes()


STUDY = {"schema": 1, "study": "table9", "scale": "tiny", "common": {}, "records": []}
BINARY = bytes([3]) + bytes(3072) + bytes([4]) + bytes(3072)
TRUTH = truth()
TARGETS = {
    **{f"arch of {name}": of_space(name) for name in SPACES},
    "config": Target(
        lambda data, _: RunConfig.from_dict(as_object(data)), json.dumps(TINY.to_dict()).encode()
    ),
    "space settings": Target(
        lambda data, _: SpaceSettings.from_dict(as_object(data)), json.dumps(SPACE).encode()
    ),
    "arch.json": Target(by_file("arch.json", read_arch), json.dumps(ARCH).encode()),
    "study.json": Target(by_file("studies/a/study.json", load_study), json.dumps(STUDY).encode()),
    "truth table": Target(by_file("truth.csv", TruthTable.load), TRUTH),
    "scores": Target(
        by_file("scores.csv", lambda path: _read(path, SPACES["nasbench201"]())),
        TRUTH.replace(b"digits/valid/1ep/mean", b"score"),
    ),
    "split file": Target(
        by_file("split.txt", lambda path: _read_split(path, PLAN)), json.dumps(SPLIT).encode()
    ),
    "CIFAR, python": Target(
        lambda data, _: read_pickled(data_file(data), "labels", 12, range(10)),
        pickle.dumps(BATCH, 2),
    ),
    "CIFAR, binary": Target(
        lambda data, _: _read_binary(CIFAR10, BatchFile("data_batch_1", 2), data_file(data)),
        BINARY,
    ),
    "NATS-Bench": Target(by_file("0.pickle.pbz2", load_pbz2), bz2.compress(pickle.dumps(NATS))),
    "NAS-Bench-201": Target(
        by_file("nb.pth", load_pth),
        b"".join(pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {}, NATS)),
    ),
}


def as_object(data: bytes) -> dict[str, Any]:
    """The JSON object in an input; one without is no input of this kind."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise UserError("no JSON") from None
    if not isinstance(value, dict):
        raise UserError("no object")
    return value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def nearly(good: bytes) -> st.SearchStrategy[bytes]:
    """Bytes of any kind: most of them nearly those of a good input."""
    places = st.integers(0, len(good))

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        data = good
        for _ in range(draw(st.integers(1, 3))):
            at, end = sorted((draw(places), draw(places)))
            end = min(end, at + draw(st.sampled_from((0, 1, 4, len(good)))))
            data = data[:at] + draw(st.binary(max_size=8)) + data[end:]
        return data

    strategies = [st.binary(max_size=300), st.text(max_size=60).map(utf8), changed(), changed()]
    if good.startswith(b"{"):
        strategies.append(
            st.tuples(st.sampled_from(sorted(json.loads(good))), JSON).map(
                lambda pair: json.dumps({**json.loads(good), pair[0]: pair[1]}).encode()
            )
        )
    return st.one_of(strategies)


def utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("num", NUMBERS)
@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_read_or_refused_in_one_line(name: str, num: int, tmp_path: Path) -> None:
    target = TARGETS[name]
    target.read(target.good, tmp_path)

    @settings(
        max_examples=num,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(nearly(target.good))
    def check(data: bytes) -> None:
        try:
            target.read(data, tmp_path)
        except UserError as error:
            assert "\n" not in str(error)
        except ValueError as error:
            # The core's own word for wrong input.
            assert name.startswith("arch of"), error
            assert "\n" not in str(error)

    check()


class Planted:
    """An object whose pickle calls a function when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_planted_pickles_do_nothing(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    text = f"open({str(marker)!r}, 'w').close()"
    calls = [
        Planted(os.system, f"touch {marker}"),
        Planted(eval, text),
        Planted(exec, text),
        Planted(Path.touch, marker),
        Planted(__import__, "os"),
        Planted(np.fromfile, str(marker)),
        Planted(map, eval, [text]),
    ]
    for planted in calls:
        for content in (planted, {**BATCH, "labels": planted}, [planted], {"full": planted}):
            data = pickle.dumps(content, protocol)
            for name in ("CIFAR, python", "NATS-Bench", "NAS-Bench-201"):
                whole = data
                if name == "NATS-Bench":
                    whole = bz2.compress(data)
                elif name == "NAS-Bench-201":
                    heads = (0x1950A86A20F9469CFC6C, 1001, {})
                    whole = b"".join(pickle.dumps(one, 2) for one in heads) + data
                with pytest.raises(UserError):
                    TARGETS[name].read(whole, tmp_path)
            with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
                archive.writestr("archive/data.pkl", data)
            with pytest.raises(UserError):
                load_pth(tmp_path / "zip.pth")
            assert not marker.exists()


def peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


ENTRIES = 10**12
PROMISES = {
    "array by its constructor": b"cnumpy\nndarray\n(I1000000000000\ntR.",
    "array that begins with a size": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR."
    ),
    "number without bytes": (
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'V1000000000'\ntRtR."
    ),
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", ENTRIES) + b".",
    "place in the memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", ENTRIES) + b".",
}


@pytest.mark.parametrize("name", PROMISES)
def test_a_pickle_that_promises_much_is_refused_before_memory_is_asked_for(
    name: str, tmp_path: Path
) -> None:
    before = peak_bytes()
    with pytest.raises(UserError):
        load_restricted(PROMISES[name])
    (tmp_path / "0.pickle.pbz2").write_bytes(bz2.compress(PROMISES[name]))
    with pytest.raises(UserError):
        load_pbz2(tmp_path / "0.pickle.pbz2")
    assert peak_bytes() - before < 200 << 20


def test_heads_that_promise_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = peak_bytes()
    array = tmp_path / "a.npy"
    np.save(array, np.zeros(4))
    data = array.read_bytes()
    for shape in (b"(1000000000000,)", b"(9,)", b"(-1,)", b"(3,)"):
        head = data.replace(b"(4,), }" + b" " * (len(shape) - 4), shape + b", }")
        array.write_bytes(head)
        with pytest.raises(DamagedError):
            load_array(array)
    tensors = tmp_path / "a.safetensors"
    whole = save({"w": torch.zeros(4)})
    tensors.write_bytes(whole.replace(b'"shape":[4]', b'"shape":[9]'))
    with pytest.raises(DamagedError):
        load_tensors(tensors, checked=False)
    tensors.write_bytes(struct.pack("<Q", ENTRIES) + whole[8:])
    with pytest.raises(DamagedError):
        load_tensors(tensors, checked=False)
    monkeypatch.setattr(reading, "_MOST_BYTES", 1 << 16)
    for name, pack in (("t.csv", bytes), ("t.csv.bz2", bz2.compress)):
        (tmp_path / name).write_bytes(pack(b"arch,score\n" + b"a,1\n" * 100_000))
        with pytest.raises(UserError, match="more than 0 MB of text"):
            TruthTable.load(tmp_path / name)
    assert peak_bytes() - before < 200 << 20
