"""Bad input: one clear line and exit code 2, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """Input the program cannot work with.

    The message is one line: what was wanted, what came, and what to do about it.
    """


def exit_with(main: Callable[[], object]) -> None:
    """Run ``main`` as a program: a ``UserError`` is printed as one line and exits with code 2.

    Ctrl-C exits with 130, the shell's convention, after saying that a rerun goes on from there.
    """
    try:
        main()
    except UserError as error:
        line = " ".join(str(error).split())
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        raise SystemExit(130) from None
