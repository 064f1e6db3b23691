"""Settings of a part: the fields of its frozen dataclass that say what they mean.

A part (a space, a sharing strategy, a sampler, a recipe) is a frozen dataclass. A field that is
made by ``setting`` is one of its settings: whoever builds command lines and records finds its
default and its text here, and nowhere else. Other fields are given by the program, such as the
number of classes of the images at hand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
_KEY = "setting"

SEVERAL_COPIES = "several copies"
TRAINED_CODES = "codes that are trained"
WIDTHS = "widths to search"
EVOLUTION = "a search by evolution"
ALONE = "a network that is trained by itself"
"""Conditions under which a setting has an effect, for ``Setting.needs``."""


@dataclass(frozen=True)
class Setting:
    """What a setting is.

    Args:
        name: of the field.
        default: its value where nothing else is said, as ``plain``.
        help: a few words for people, without the full stop.
        needs: without what it has no effect: the name of another setting of the same job that is
            0, empty or False otherwise, or a condition that the program knows.
        alone: its value, as ``plain``, in a network that is trained by itself and so has no choice
            of it; None where it has.
        read: makes the field's value of a plain one.
        write: makes a plain value (a number, a bool, a text) of the field's.
        often: whether most people who meet its part will want it; a program's ``--help`` shows
            these alone, and ``--help-all`` the others too.
    """

    name: str
    default: Any
    help: str
    needs: str
    alone: Any
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    often: bool = False

    @property
    def kind(self) -> type:
        """The type of its plain values."""
        return type(self.default)


def setting(
    default: T,
    help: str,  # noqa: A002
    *,
    needs: str = "",
    alone: Any = None,
    read: Callable[[Any], T] | None = None,
    write: Callable[[T], Any] | None = None,
    often: bool = False,
) -> T:
    """A field of a frozen dataclass that is a setting; see ``Setting`` for the arguments.

    ``read`` and ``write`` are for values that are neither numbers nor texts, such as tuples.
    """
    about = {
        "help": help,
        "needs": needs,
        "alone": alone,
        "read": read,
        "write": write,
        "often": often,
    }
    found: T = dataclasses.field(default=default, metadata={_KEY: about})
    return found


def settings_of(part: object) -> dict[str, Setting]:
    """The settings of a dataclass or of an instance of one, by name; none of anything else."""
    if not dataclasses.is_dataclass(part):
        return {}
    return {
        field.name: _setting(field) for field in dataclasses.fields(part) if _KEY in field.metadata
    }


def plain_settings(part: object) -> dict[str, Any]:
    """The settings of an instance as plain values, those of a class as their defaults."""
    return {name: one.write(getattr(part, name)) for name, one in settings_of(part).items()}


def with_settings(part: T, values: Mapping[str, Any]) -> T:
    """A part with these plain values of its settings, and the others as they are.

    Args:
        part: a dataclass's instance, or anything without settings.
        values: by name.

    Raises:
        ValueError: values that the part refuses, or settings that it has not.
    """
    known = settings_of(part)
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise ValueError(f"{part!r} has no settings {', '.join(unknown)}")
    if not values:
        return part
    read = {name: known[name].read(value) for name, value in values.items()}
    return dataclasses.replace(part, **read)  # type: ignore[type-var]


def _setting(field: dataclasses.Field[Any]) -> Setting:
    about = field.metadata[_KEY]
    write = about["write"] or _same
    return Setting(
        field.name,
        write(field.default),
        about["help"],
        about["needs"],
        about["alone"],
        about["read"] or _same,
        write,
        about["often"],
    )


def _same(value: Any) -> Any:
    return value
