"""Bad input: one clear line and exit code 2, never a traceback."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Callable
from typing import NoReturn

from benchmark.cli.memory import keep_freed_memory
from benchmark.cli.stopping import StoppedError, signals_taken

# How torch says so: a RuntimeError, of a class of its own for accelerators alone. By its text it
# is known without importing torch here.
_LACKS_MEMORY = ("out of memory", "can't allocate memory")
# Of an allocator's account, which goes on about its settings.
_LONGEST = 200


_REPLACE = "replace-but-file-names"


class UserError(Exception):
    """Input the program cannot work with.

    The message is one line: what was wanted, what came, and what to do about it.
    """


class DivergedJobError(UserError):
    """A training whose loss is no number any more; the same settings and seed diverge again."""


class JobsFailedError(Exception):
    """Some jobs of many failed, and the others are done. The message is one line."""


def exit_with(main: Callable[[], object]) -> None:
    """Run ``main`` as a program: a ``UserError`` is printed as one line and exits with code 2.

    So is running out of memory, of the machine or of its accelerator. A ``JobsFailedError`` exits
    with 1. Ctrl-C and SIGTERM exit with 130 and 143, after saying that a rerun goes on from there.
    Characters that the terminal lacks are printed as "?".
    """
    _print_what_can_be_printed()
    keep_freed_memory()
    try:
        with signals_taken():
            _say_if_stopped(main)
    except UserError as error:
        _refuse(str(error))
    except JobsFailedError as error:
        _refuse(str(error), 1)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        what = (str(error).strip() or "no more to be had").splitlines()[0][:_LONGEST].rstrip(".")
        _refuse(
            f"not enough memory for these settings: {what}; "
            "make the images, the network or the batch smaller"
        )


def _say_if_stopped(main: Callable[[], object]) -> None:
    try:
        main()
    except StoppedError as stopped:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        raise SystemExit(stopped.code) from None


def _print_what_can_be_printed() -> None:
    """Tables have letters that ASCII and Latin-1 lack: none of them ends a program."""
    for stream in (sys.stdout, sys.stderr):
        # Either may be closed, or replaced by something that takes any text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_REPLACE)


def _replaced(error: UnicodeError) -> tuple[bytes, int]:
    """A question mark for a letter that is lacking; undecoded bytes of file names as they are."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    kept = (bytes([ord(one) - 0xDC00]) if "\udc80" <= one <= "\udcff" else b"?" for one in letters)
    return b"".join(kept), error.end


codecs.register_error(_REPLACE, _replaced)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of the machine or of its accelerator."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _LACKS_MEMORY)


def _refuse(text: str, code: int = 2) -> NoReturn:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    raise SystemExit(code) from None
