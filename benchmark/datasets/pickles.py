"""Reading pickled data files without running what a pickle may contain.

A pickle is a program; an ordinary unpickler calls whatever function it names. The published
batch files of CIFAR and of downsampled ImageNet need only numpy arrays and plain containers, so
those are all that is admitted here. Checksums come first where they are known; this is the
second wall, and the only one for files whose checksum nobody published.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np

from benchmark.cli.errors import UserError
from benchmark.cli.memory import memory_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Globals = Mapping[tuple[str, str], Callable[..., Any]]


def _dtype(obj: str, align: object = None, copy: object = None) -> np.dtype[Any]:
    """``numpy.dtype`` for plain values only.

    Old files give ``align`` as 0, about which numpy 2.4 warns. Always a copy, since what follows
    in the pickle may set its state, and numpy's own objects are shared by the whole process.
    """
    dtype: np.dtype[Any] = np.dtype(obj, align=bool(align), copy=True)
    if dtype.hasobject:
        raise pickle.UnpicklingError("arrays of Python objects are refused")
    return dtype


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """``codecs.encode`` as pickle uses it to write bytes; other codecs are refused."""
    if encoding not in {"latin1", "latin-1"}:
        raise pickle.UnpicklingError(f"codec {encoding!r} is refused")
    return text.encode("latin1")


def _no_array(*_given: object) -> NoReturn:
    """``numpy.ndarray``, which pickles name and never call: it would take any memory asked for."""
    raise pickle.UnpicklingError("an array without content is refused")


def _empty_array(kind: object, shape: object, _dtype: object) -> np.ndarray[Any, Any]:
    """What a pickled array begins as, before its state gives it type, shape and content."""
    if kind is not _no_array or shape != (0,):
        raise pickle.UnpicklingError("an array that begins with a size is refused")
    return np.ndarray(0, np.int8)


def _scalar(dtype: np.dtype[Any], content: object = None) -> Any:
    """A numpy number, which has to bring its bytes."""
    if not isinstance(content, bytes | str) or len(content) != dtype.itemsize:
        raise pickle.UnpicklingError("a number without its bytes is refused")
    data = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(data, dtype)[0]


def _array_globals() -> Globals:
    """The functions numpy's pickles name, under the module names of numpy 1 and of numpy 2.

    ``_frombuffer`` is taken from what numpy itself writes, since its module is private and has been
    renamed between versions.
    """
    from_buffer: Any = np.zeros(1).__reduce_ex__(5)[0]
    table: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): _no_array,
        ("numpy", "dtype"): _dtype,
        ("_codecs", "encode"): _latin1,
    }
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "_reconstruct"] = _empty_array
        table[f"{core}.multiarray", "scalar"] = _scalar
        table[f"{core}.numeric", "_frombuffer"] = from_buffer
    return MappingProxyType(table)


ARRAYS: Globals = _array_globals()
"""What pickles of plain containers, strings, numbers, numpy arrays and scalars may name."""


# A list of small numbers takes 8 bytes for each of the 2 it is pickled in.
_MEMORY_PER_BYTE = 20


class _RefusedError(Exception):
    """A global that is not admitted; carries its name out of the unpickler."""


class _RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that looks names up in a table and imports nothing."""

    def __init__(self, file: BinaryIO, allowed: Globals) -> None:
        # latin1 maps bytes to characters one to one: Python 2 strings keep their content.
        super().__init__(file, encoding="latin1")
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """The admitted stand-in of ``module.name``."""
        try:
            return self._allowed[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse references to objects outside the file."""
        raise _RefusedError(f"persistent object {pid!r}")


def load_restricted(
    source: bytes | Path | BinaryIO,
    allowed: Globals = ARRAYS,
    *,
    name: str | None = None,
    remedy: str = "delete it and fetch it again",
) -> object:
    """The object pickled in ``source``, if it is made of admitted things only.

    Args:
        source: the pickle's bytes, the file's path, or a file open for reading bytes.
        allowed: the globals the pickle may name, ``(module, name) -> what to use for it``.
        name: what an error calls the file; by default its path.
        remedy: what an error tells the user to do.

    Raises:
        UserError: the file cannot be read, is cut short or corrupt, or names a global outside
            ``allowed``; nothing it names has been imported or called then.
    """
    if isinstance(source, Path):
        name = name or str(source)
        try:
            source = source.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {name}: {error.strerror}; {remedy}") from None
    name = name or "pickled data"
    size = len(source) if isinstance(source, bytes) else 0
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with memory_bounded(_MEMORY_PER_BYTE * size):
            return _RestrictedUnpickler(file, allowed).load()
    except _RefusedError as refused:
        raise UserError(
            f"{name}: refused, since it asks for {refused}, which data files have no use for and "
            f"which may run code; wanted a pickle of numpy arrays; {remedy}"
        ) from None
    # pickle documents that a corrupt file may raise any exception whatsoever.
    except Exception as error:  # noqa: BLE001
        reason = " ".join(f"{type(error).__name__}: {error}"[:200].split())
        raise UserError(f"{name}: cut short or corrupt ({reason}); {remedy}") from None
