"""Command lines: an option that there is not is answered with the nearest one, in one line."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from benchmark.cli.errors import UserError
from benchmark.cli.numbers import read_number, read_whole
from benchmark.cli.text import read_path, split_list
from benchmark.cli.version import code_version
from kshot_core.names import check_one_of, did_you_mean

_READERS: Mapping[type | None, Callable[[str], object]] = {
    int: read_whole,
    float: read_number,
    str: str.strip,
    None: str.strip,
    Path: read_path,
}
_UNKNOWN = "unrecognized arguments: "


class Seldom(str):
    """What is said of an option that few want: ``--help-all`` alone shows it."""

    __slots__ = ()


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose errors are ``UserError``: one line, without the usage.

    ``--help`` fits on two screens: its usage names no option, and options whose help is ``Seldom``
    are left to ``--help-all``. They are read and completed like all others.

    What options hold is read alike in all of them: white space around a name or a number means
    nothing, numbers may have a decimal comma and whole ones may read ``5e6`` (see
    ``benchmark.cli.numbers``), ``~`` is the user's folder, and of a list the parts may be
    separated by commas too.
    """

    def __init__(self, **settings: Any) -> None:
        # Shortened, --seed 3 (which one) would be read as --seeds 3 (how many).
        super().__init__(**settings, add_help=False, allow_abbrev=False)
        self.add_argument("-h", "--help", action="help", help="show this, and end")
        self.add_argument("--help-all", action=_HelpAll, help="show all there is, and end")
        if Path(sys.argv[0]).name == "kshot":
            self.prog = self.prog.replace("python -m benchmark.", "kshot ")
        self.add_argument("--version", action=_Version, help="version and commit, and end")
        for kind, read in _READERS.items():
            self.register("type", kind, _answering(read))

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        if action.nargs == "+":
            split = [part for text in arg_strings for part in split_list(text)]
            arg_strings = split or arg_strings
        return super()._get_values(action, arg_strings)

    def format_help(self, everything: bool = False) -> str:
        """The text of ``--help``.

        Args:
            everything: the text of ``--help-all``.
        """
        seldom = [action for action in self._actions if isinstance(action.help, Seldom)]
        # Without an option that few want both are the same, and one is enough.
        hidden = [] if everything else seldom
        if not seldom:
            hidden = [action for action in self._actions if isinstance(action, _HelpAll)]
        text = self.formatter_class(prog=f"{self.prog} [options]")
        needed = [one for one in self._actions if one.required or not one.option_strings]
        text.add_usage(self.usage, needed, [])
        text.add_text(self.description)
        for group in self._action_groups:
            text.start_section(group.title)
            text.add_text(group.description)
            text.add_arguments([one for one in group._group_actions if one not in hidden])
            text.end_section()
        if seldom and not everything:
            text.add_text(f"{len(seldom)} more, seldom wanted, are in --help-all.")
        text.add_text(self.epilog)
        return text.format_help()

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as ``UserError``; the nearest option is named beside an unknown one.

        Raises:
            UserError: always.
        """
        if message.startswith(_UNKNOWN):
            raise UserError(self._unknown(message.removeprefix(_UNKNOWN)))
        wanted = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if wanted is not None:
            message += did_you_mean(wanted[1], re.findall(r"[\w-]+", wanted[2]))
        raise UserError(f"{message}; --help-all lists the options of {self.prog}")

    def _unknown(self, came: str) -> str:
        word = next((word for word in came.split() if word.startswith("-")), None)
        if word is None:
            return (
                f"{self.prog} takes no {came!r} here; every setting has an option, see --help-all"
            )
        option = word.partition("=")[0]
        known = [name.removeprefix("--") for name in _options(self)]
        near = did_you_mean(option.lstrip("-"), known, "--") or "; --help-all lists those it has"
        return f"{self.prog} has no option {option}{near}"


class _HelpAll(argparse.Action):
    """Shows what ``Seldom`` keeps from ``--help`` too."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=settings.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it, and end."""
        assert isinstance(parser, Parser)
        sys.stdout.write(parser.format_help(everything=True))
        parser.exit()


class _Version(argparse.Action):
    """Asks git for the commit only where somebody wants to know."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=settings.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it, and end."""
        sys.stdout.write(f"kshot-nas {code_version()}\n")
        parser.exit()


def one_of(option: str, value: str, allowed: Collection[str]) -> None:
    """Refuse a value that is none of the names an option takes, with the nearest of them.

    Raises:
        UserError: ``value`` is not allowed.
    """
    try:
        check_one_of(option, value, allowed)
    except ValueError as error:
        raise UserError(str(error)) from None


def _answering(read: Callable[[str], object]) -> Callable[[str], object]:
    """``read`` with its own words for what is wrong, of which argparse has others."""

    def answer(text: str) -> object:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return answer


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse._SubParsersAction[Parser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield action


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The long options of a parser and of its commands."""
    for action in parser._actions:
        yield from (name for name in action.option_strings if name.startswith("--"))
    for commands in _commands(parser):
        for below in commands.choices.values():
            yield from _options(below)
