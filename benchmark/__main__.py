"""All programs under one name: ``kshot run``, ``kshot study``; also ``python -m benchmark run``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from benchmark.cli.errors import UserError, exit_with
from benchmark.cli.parser import Parser, one_of

COMMANDS = {
    "run": "train supernets, rank architectures with them, compare with the truth",
    "study": "run one of the paper's tables or figures, and write its page",
    "train": "train supernets; list those that are there, or clear them",
    "search": "search an architecture with a supernet",
    "retrain": "train what was found by itself",
    "pipeline": "train, search and retrain in one go",
    "status": "what every piece of work in a results folder is at",
    "report": "write the pages of all studies anew, from their records",
    "truth": "make and inspect tables of stand-alone accuracies",
    "standalone": "make such a table by training architectures alone",
}
"""The programs, in the order in which they are listed."""
SHELLS = ("bash", "zsh", "tcsh")


def main(argv: Sequence[str] | None = None) -> object:
    """Run the program that the first argument names; returns what it returns.

    Raises:
        UserError: there is no such program, or what it refuses.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0].startswith("-"):
        options = _parser().parse_args(given)
        if options.print_completion is None:
            _parser().print_help()
        else:
            sys.stdout.write(completion(options.print_completion))
        return None
    name, *rest = given
    one_of("the command of kshot", name, COMMANDS)
    return importlib.import_module(f"benchmark.{name}.command").main(rest)


def completion(shell: str) -> str:
    """A script that has a shell complete commands and options.

    Args:
        shell: of ``SHELLS``.

    Raises:
        UserError: shtab, which writes it, is not installed.
    """
    try:
        shtab = importlib.import_module("shtab")
    except ImportError:
        raise UserError(
            '--print-completion needs shtab: pip install "kshot-nas[completion]"'
        ) from None
    parser = argparse.ArgumentParser(prog="kshot")
    commands = parser.add_subparsers()
    for name, said in COMMANDS.items():
        own = importlib.import_module(f"benchmark.{name}.command")._parser()
        commands.add_parser(name, parents=[own], add_help=False, help=said)
    return str(shtab.complete(parser, shell=shell))


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {said}" for name, said in COMMANDS.items())
    parser = Parser(
        prog="kshot",
        usage="kshot COMMAND [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"K-shot NAS: train, rank and search weight-sharing supernets.\n\n{listed}",
        epilog="kshot COMMAND --help lists the options of a command. Exit codes: 0 done, 1 some "
        "jobs\nof several failed, 2 wrong input, 130 Ctrl-C, 143 SIGTERM.",
    )
    parser.add_argument(
        "--print-completion", choices=SHELLS, help="a script for the shell's start-up file"
    )
    return parser


def program() -> None:
    """``kshot``, as it is installed."""
    exit_with(main)


if __name__ == "__main__":
    program()
