"""Read the benchmarks' pickles without running a line of what they hold.

A pickle names functions for its reader to call, and so can do anything. The published files name
four: ``OrderedDict``, numpy's ``scalar`` and ``dtype``, and ``_codecs.encode``. The unpickler here
has stand-ins for these, which build plain numbers, and refuses every other name.

``torch.load(weights_only=True)`` would be as safe, but its unpickler is written in Python: .19 s
an architecture on a 2.5 GHz core, 50 minutes for the file, against 3 minutes here.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.cli.errors import UserError
from benchmark.cli.memory import memory_bounded

# The last six digits of a published file's MD5 stand in its name.
PUBLISHED_MD5 = {
    "NAS-Bench-201-v1_1-096897.pth": "55e847143ce1f7c2d89b676f6b096897",
    "NAS-Bench-201-v1_0-e61699.pth": "e61699",
}
# Published files unpack to .4 MB; anything far beyond is not one of them.
_MAX_UNPACKED_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 20
# The published file of 2 GB takes 9 GB.
_MEMORY_PER_BYTE = 20
# What torch.save wrote before torch 1.6: magic number, format version, and facts of the machine,
# each a pickle of its own, before the object.
_TORCH_HEADER = [0x1950A86A20F9469CFC6C, 1001]

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def silent(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""


class _Dtype:
    """Stand-in for a numpy dtype of plain numbers; pickle hands the byte order in afterwards."""

    __slots__ = ("dtype",)

    def __init__(self, code: object) -> None:
        if code not in ("f8", "f4", "i8", "i4"):
            raise pickle.UnpicklingError(f"it holds a number of type {str(code)[:20]!r}")
        self.dtype = np.dtype(str(code))

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(">" if state[1] == ">" else "<")


# Callable objects without attributes in place of functions: a pickle may set attributes of
# whatever it is given, and of these there are none to set.
class _MakeDtype:
    __slots__ = ()

    def __call__(self, code: object, _align: object = False, _copy: object = True) -> _Dtype:
        return _Dtype(code)


class _MakeScalar:
    __slots__ = ()

    def __call__(self, dtype: _Dtype, data: bytes) -> float:
        return float(np.frombuffer(data, dtype.dtype, count=1)[0])


class _Encode:
    """Protocol 2 writes bytes as text, each character one byte."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it holds text in {str(encoding)[:20]!r}")
        return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy.core.multiarray", "scalar"): _MakeScalar(),
    ("numpy._core.multiarray", "scalar"): _MakeScalar(),
    ("numpy", "dtype"): _MakeDtype(),
    ("_codecs", "encode"): _Encode(),
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}
# What a damaged or foreign pickle has been seen to raise.
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no such file needs")
        return _ADMITTED[module, name]


class _Counted(io.FileIO):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path, step: str, report: Report) -> None:
        super().__init__(path)
        self._step, self._report, self._total = step, report, path.stat().st_size

    def readinto(self, buffer: Any) -> int:
        num = super().readinto(buffer)
        self._report(self._step, self.tell(), self._total)
        return num or 0


def check_md5(path: Path, report: Report = silent) -> None:
    """Make sure that a ``.pth`` is one of the files the benchmark's authors published.

    Raises:
        UserError: it is another file, or one cut short; or it cannot be read.
    """
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with io.BufferedReader(_Counted(path, "checking the MD5", report), _BLOCK_BYTES) as file:
            for block in iter(lambda: file.read(_BLOCK_BYTES), b""):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    found = digest.hexdigest()
    if not any(found.endswith(wanted) for wanted in PUBLISHED_MD5.values()):
        raise UserError(
            f"{path} is not a published file, or cut short: its MD5 is {found}, that of "
            "NAS-Bench-201-v1_1-096897.pth ends in 096897, v1_0's in e61699; download it again, "
            "or read it as it is with --trust"
        )


def load_pth(path: Path, report: Report = silent) -> dict[str, Any]:
    """Read the dictionary in a file of ``torch.save``, in its old or its zip format.

    Raises:
        UserError: damaged, no such file, or asking for what such a file does not need.
    """
    try:
        with memory_bounded(_MEMORY_PER_BYTE * path.stat().st_size):
            content = _load_zip(path) if zipfile.is_zipfile(path) else _load_old(path, report)
    except _DAMAGE as error:
        raise _refused(path, error) from None
    except MemoryError:
        raise UserError(
            f"not enough memory for {path}: the published file takes 9 GB; import the NATS-Bench "
            "folder NATS-tss-v1_0-3ffb9-simple in its place, which takes little"
        ) from None
    return _dictionary(path, content)


def load_pbz2(path: Path) -> dict[str, Any]:
    """Read the dictionary in a bzip2-packed pickle.

    Raises:
        UserError: damaged, too large, or asking for what such a file does not need.
    """
    try:
        with bz2.open(path) as file:
            data = file.read(_MAX_UNPACKED_BYTES + 1)
        with memory_bounded(_MEMORY_PER_BYTE * len(data)):
            content = _Unpickler(io.BytesIO(data[:_MAX_UNPACKED_BYTES])).load()
    except (*_DAMAGE, MemoryError) as error:
        raise _refused(path, error) from None
    return _dictionary(path, content)


def _load_old(path: Path, report: Report) -> object:
    with io.BufferedReader(_Counted(path, "loading", report), _BLOCK_BYTES) as file:
        if [_Unpickler(file).load() for _ in _TORCH_HEADER] != _TORCH_HEADER:
            raise pickle.UnpicklingError("it does not begin as torch.save begins")
        _Unpickler(file).load()
        return _Unpickler(file).load()


def _load_zip(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise pickle.UnpicklingError("a zip file, but not one of torch.save's")
        with archive.open(names[0]) as member:
            return _Unpickler(member).load()


def _dictionary(path: Path, content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UserError(f"{path} should hold a dictionary, got {type(content).__name__}")
    return content


def _refused(path: Path, error: Exception) -> UserError:
    what = " ".join(str(error)[:120].split()) or type(error).__name__
    return UserError(
        f"{path} cannot be read ({what}): it is cut short, altered, or not the benchmark's file; "
        "download it again"
    )
