"""Data files are unpickled without running anything they name."""

from __future__ import annotations

import codecs
import io
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cli.errors import UserError
from benchmark.datasets.pickles import load_restricted

BATCH: dict[str, Any] = {
    "data": np.arange(24, dtype=np.uint8).reshape(4, 6),
    "labels": [3, 1, 2, 0],
    "mean": np.linspace(0, 1, 6),
    "label": np.int64(7),
    "scale": np.float32(0.5),
    "filenames": ["a.png", "b.png"],
}


class Calls:
    """An object whose pickle calls ``function(*arguments)`` when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def assert_same(found: object) -> None:
    assert isinstance(found, dict)
    assert found.keys() == BATCH.keys()
    for key, value in BATCH.items():
        np.testing.assert_array_equal(found[key], value)
        assert np.asarray(found[key]).dtype == np.asarray(value).dtype


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_arrays_and_plain_values_of_every_protocol(protocol: int) -> None:
    assert_same(load_restricted(pickle.dumps(BATCH, protocol)))


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_reads_what_numpy_1_and_numpy_2_write(core: bytes) -> None:
    written = pickle.dumps(BATCH, 2)
    ours = b"numpy._core" if b"numpy._core" in written else b"numpy.core"
    # Protocol 2 writes global names as lines of text, so a longer name needs no other change.
    other = written.replace(ours, core)
    names = {arg for code, arg, _ in pickletools.genops(other) if code.name == "GLOBAL"}
    assert f"{core.decode()}.multiarray _reconstruct" in names
    assert_same(load_restricted(other))


def test_reads_python_2_strings_and_arrays_without_a_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    # The python layout of CIFAR-10, cut to 2 bytes: a Python 2 pickle of protocol 2 with str.
    written = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
        b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R"
        b"q\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\xfe\x07tbu."
    )
    found = load_restricted(written)
    assert isinstance(found, dict)
    np.testing.assert_array_equal(found["data"], np.array([254, 7], np.uint8))
    assert not recwarn.list


def test_reads_paths_and_open_files(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(BATCH))
    assert_same(load_restricted(path))
    assert_same(load_restricted(io.BytesIO(path.read_bytes())))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_never_calls_what_a_malicious_pickle_names(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "victim"
    attack = {"data": BATCH["data"], "labels": [Calls(os.system, f"touch {victim}")]}
    with pytest.raises(UserError, match=rf"mail\.pkl: refused.*{os.name}\.system.*get it anew"):
        load_restricted(pickle.dumps(attack, protocol), name="mail.pkl", remedy="get it anew")
    assert not victim.exists()


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (Calls(eval, "1"), "eval"),
        (Calls(getattr, BATCH, "keys"), "getattr"),
        (Calls(Path, "/"), "Path"),
        (Calls(np.load, "x.npy"), "load"),
        (Path, "Path"),
        (Calls, "Calls"),
    ],
)
def test_names_the_refused_global(attack: object, named: str) -> None:
    with pytest.raises(UserError, match=rf"refused, since it asks for [\w.]*{named}"):
        load_restricted(pickle.dumps(attack))


def test_refuses_references_to_objects_outside_the_file() -> None:
    with pytest.raises(UserError, match="persistent object"):
        load_restricted(b"Psomething\n.")


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_refuses_arrays_of_objects(protocol: int) -> None:
    with pytest.raises(UserError, match="Python objects are refused"):
        load_restricted(pickle.dumps(np.array([None]), protocol))


def test_refuses_codecs_other_than_that_of_bytes() -> None:
    assert load_restricted(pickle.dumps(b"\x00\xff", 2)) == b"\x00\xff"
    with pytest.raises(UserError, match="codec 'rot13' is refused"):
        load_restricted(pickle.dumps(Calls(codecs.encode, "text", "rot13")))


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_cut_anywhere_is_one_clear_line(protocol: int) -> None:
    written = pickle.dumps(BATCH, protocol)
    for size in range(len(written)):
        with pytest.raises(UserError, match=r"batch: cut short or corrupt.*; delete it") as caught:
            load_restricted(written[:size], name="batch")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04.", b"\x80\x63", b"\x1f\x8b\x08"])
def test_what_is_no_pickle_is_one_clear_line(content: bytes) -> None:
    with pytest.raises(UserError, match="cut short or corrupt"):
        load_restricted(content)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*batch: No such file"):
        load_restricted(tmp_path / "batch")


def test_another_table_of_globals_can_be_given() -> None:
    allowed = {("collections", "OrderedDict"): dict}
    from collections import OrderedDict  # noqa: PLC0415

    assert load_restricted(pickle.dumps(OrderedDict(a=1)), allowed) == {"a": 1}
    with pytest.raises(UserError, match="refused"):
        load_restricted(pickle.dumps(np.zeros(1)), allowed)
