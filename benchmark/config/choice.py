"""A part that is chosen by its name, with the settings that it has, as plain values.

A config holds numbers and short texts, so that it can be compared, written as JSON and handed to
another process; ``made`` gives the part itself.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.config.values import checked_kind, flag, flagged
from kshot_core.settings import Setting, plain_settings, settings_of, with_settings

if TYPE_CHECKING:
    from typing_extensions import Self

Known = dict[str, list[tuple[str, Setting]]]
"""Settings that there may be, by name, each with the choices that have one of this name."""


def refusal(known: Known, name: str) -> str:
    """Which choices alone have a setting of a name."""
    return f"{flag(name)} is a setting of {' and '.join(owner for owner, _ in known[name])}"


@dataclass(frozen=True, init=False)
class Choice(ABC):
    """One of the plug-ins of a registry.

    Abstract: a subclass says which registry it is of.

    Args:
        name: of the plug-in.
        values: of its settings, by name; those left out have their defaults.

    Raises:
        UserError: there is no such plug-in, it has no such setting, or refuses a value.
    """

    part: ClassVar[str]
    """What it is, the name of its option."""
    registry: ClassVar[Mapping[str, Any]]
    help: ClassVar[str]
    """What is chosen, in a few words; ``{names}`` stands for all there are."""
    common: ClassVar[type[Any] | None] = None
    """Settings that every plug-in of the registry has."""
    alone: ClassVar[bool] = False
    """Whether it is for a network that is trained by itself, which has no choice of some."""

    name: str
    values: tuple[tuple[str, Any], ...]

    def __init__(self, name: str, /, **values: Any) -> None:
        one_of(flag(self.part), name, self.registry)
        known = self.settings(name)
        for unknown in values.keys() - known.keys():
            every = self._known()
            where = refusal(every, unknown) if unknown in every else f"there is no {flag(unknown)}"
            raise UserError(f"{where}; the {self.part} is {name}")
        for key, value in values.items():
            checked_kind(known[key], value)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", tuple(values.items()))
        try:
            whole = plain_settings(self.made()) | self._common(values)
        except ValueError as error:
            raise UserError(self.refused(error)) from None
        # Equal parts are written alike, and so have equal ids.
        object.__setattr__(self, "values", tuple((key, whole[key]) for key in known))

    @classmethod
    def own_settings(cls, name: str) -> dict[str, Setting]:
        """The settings that stand in the file of the plug-in of a name, by name."""
        found = settings_of(cls.plugin(name))
        return {key: one for key, one in found.items() if one.alone is None or not cls.alone}

    @classmethod
    def settings(cls, name: str) -> dict[str, Setting]:
        """The settings that the plug-in of a name has, by name."""
        return {**cls.own_settings(name), **settings_of(cls.common)}

    def known(self) -> Known:
        """All settings that there may be in its place, its name among them, by name.

        Each with the plug-ins that have one of this name, written as options (``--space chain``);
        the name and what all have belong to none, which is written as nothing.
        """
        text = self.help.format(names=", ".join(self.registry))
        name = Setting(self.part, self.name, text, "", None, str, str, often=True)
        return {self.part: [("", name)], **self._known()}

    @classmethod
    def _known(cls) -> Known:
        found: Known = {}
        for name in cls.registry:
            for one, about in cls.own_settings(name).items():
                found.setdefault(one, []).append((f"{flag(cls.part)} {name}", about))
        return found | {one: [("", about)] for one, about in settings_of(cls.common).items()}

    @classmethod
    def plugin(cls, name: str) -> Any:
        """The plug-in of a name, with its default settings."""
        return cls.registry[name]

    def made(self) -> Any:
        """The plug-in with its settings."""
        plugin, fixed = self.plugin(self.name), dict[str, Any]()
        if self.alone:
            known = settings_of(plugin).items()
            fixed = {key: one.alone for key, one in known if one.alone is not None}
        return with_settings(plugin, {**fixed, **self.own()})

    def refused(self, error: ValueError) -> str:
        """The line that says why its settings are refused."""
        return flagged(error, self.settings(self.name))

    def changed(self, **values: Any) -> Self:
        """The same plug-in with other values of some settings."""
        return type(self)(self.name, **{**dict(self.values), **values})

    def plain(self) -> dict[str, Any]:
        """All settings by name."""
        return dict(self.values)

    def own(self) -> dict[str, Any]:
        """Those that the plug-in alone has."""
        names = self.own_settings(self.name)
        return {key: value for key, value in self.values if key in names}

    def __getitem__(self, setting: str) -> Any:
        """The value of a setting. Raises ``KeyError`` where it has none of this name."""
        return dict(self.values)[setting]

    def get(self, setting: str, otherwise: Any) -> Any:
        """The value of a setting, or ``otherwise`` where the plug-in has none of this name."""
        return dict(self.values).get(setting, otherwise)

    def _common(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if self.common is None:
            return {}
        names = settings_of(self.common)
        given = {key: value for key, value in values.items() if key in names}
        return plain_settings(with_settings(self.common(), given))
