"""What the configs of all jobs have in common: parts, flat and nested form, ids.

A config is a frozen dataclass. Its fields are settings of its own (``setting``), parts that are
chosen by name (``Choice``), parts that every job of its kind has (dataclasses of settings), or the
config of another job that it goes on from. On the command line and in Python settings are named
alone, ``K=8, channels=16``; in records they are nested by part.
"""

from __future__ import annotations

import dataclasses
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.config.choice import Choice, Known, refusal
from benchmark.config.ids import settings_id
from benchmark.config.values import checked_kind, flag, flagged, flat
from kshot_core.settings import Setting, plain_settings, settings_of, with_settings

if TYPE_CHECKING:
    from typing_extensions import Self


class Job(ABC):
    """A config; abstract, a frozen dataclass is made of it."""

    what: ClassVar[str]
    """What it is the config of, in a word."""

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """The config with these settings, the others at their defaults.

        Raises:
            UserError: no such setting, one of a part that was not chosen, or a value refused.
        """
        return cls.assembled(settings)

    @classmethod
    def assembled(cls, given: Mapping[str, Any], offered: Mapping[str, Any] = {}) -> Self:
        """The config with these settings.

        Args:
            given: settings that it must have.
            offered: others, of which it takes those that its parts have: a preset's, say.

        Raises:
            UserError: a setting given that it has not, one offered that no job of its kind has, or
                a value refused.
        """
        unknown = sorted((given.keys() | offered.keys()) - cls.known().keys())
        if unknown:
            raise UserError(
                f"a {cls.what} has no settings {', '.join(unknown)}; "
                "see --help-all for those it has"
            )
        config = cls._built({**offered, **given})
        missing = [name for name in given if name not in config.flat()]
        if missing:
            raise UserError(_refusal(missing[0], [config]))
        return config

    @classmethod
    def _built(cls, values: Mapping[str, Any]) -> Self:
        """The config of the values that it has; others are passed over."""
        parts: dict[str, Any] = {}
        for key, default in cls._fields():
            if isinstance(default, Setting):
                if key in values:
                    checked_kind(default, values[key])
                    parts[key] = values[key]
            elif isinstance(default, Job):
                parts[key] = default._built(values)
            elif isinstance(default, Choice):
                name = values.get(default.part, default.name)
                one_of(flag(default.part), name, default.registry)
                own = [one for one in default.settings(name) if one in values]
                parts[key] = type(default)(name, **{one: values[one] for one in own})
            else:
                known = settings_of(default)
                own = [one for one in known if one in values]
                for one in own:
                    checked_kind(known[one], values[one])
                try:
                    parts[key] = with_settings(default, {one: values[one] for one in own})
                except ValueError as error:
                    raise UserError(flagged(error, known)) from None
        return cls(**parts)

    @classmethod
    def _fields(cls) -> Iterator[tuple[str, Any]]:
        """Each field's name, and the setting that it is or else its default."""
        own = settings_of(cls)
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            yield field.name, own.get(field.name, field.default)

    @classmethod
    def known(cls) -> Known:
        """All settings that a job of this kind may have, by name.

        Each with the choices that have one of this name, written as options (``--space chain``);
        those that every such job has belong to no choice, which is written as nothing.
        """
        found: dict[str, list[tuple[str, Setting]]] = {}
        for key, default in cls._fields():
            if isinstance(default, Job):
                found |= default.known()
            elif isinstance(default, Setting):
                found[key] = [("", default)]
            elif isinstance(default, Choice):
                found |= default.known()
            else:
                found |= {one: [("", about)] for one, about in settings_of(default).items()}
        return found

    @classmethod
    def fitting(cls, values: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
        """A preset's settings, less those of parts that it chose and others were wanted for.

        Args:
            values: the preset's.
            wanted: settings that come before them.
        """
        known = cls.known()

        def fits(name: str) -> bool:
            part = known[name][0][0].partition(" ")[0].removeprefix("--")
            if not part:
                return True
            chosen = values.get(part, known[part][0][1].default)
            return bool(wanted.get(part, chosen) == chosen)

        return {name: value for name, value in values.items() if name in known and fits(name)}

    def changed(self, **settings: Any) -> Self:
        """The same with other values of some settings; another part has its own defaults.

        Raises:
            UserError: as ``of`` does.
        """
        return self.assembled(settings, self.flat())

    def to_dict(self) -> dict[str, Any]:
        """All settings as JSON values, nested by part."""
        found: dict[str, Any] = {}
        for key, default in self._fields():
            value = getattr(self, key)
            if isinstance(default, Setting):
                found[key] = value
            elif isinstance(default, Job):
                found |= value.to_dict()
            elif isinstance(default, Choice):
                found[default.part] = {"name": value.name, **value.plain()}
            else:
                found[key] = plain_settings(value)
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The config in JSON values, of this version or an older one.

        Settings that came since have their defaults; those of parts that were not chosen, which
        older versions wrote too, are passed over.

        Raises:
            UserError: a setting that no job of this kind has, or a value refused.
        """
        given = flat(values)
        unknown = sorted(given.keys() - cls.known().keys())
        if unknown:
            raise UserError(
                f"this config is of another version: unknown keys {unknown}; "
                "move the record away or run the version that made it"
            )
        return cls._built(given)

    def flat(self) -> dict[str, Any]:
        """All settings by name alone, see ``flat``."""
        return flat(self.to_dict())

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The flat settings that JSON values stand for; as they are, where they are no config."""
        try:
            return self.from_dict(values).flat()
        except UserError:
            return flat(values)

    def defaults(self) -> dict[str, Any]:
        """The defaults of all settings of the chosen parts, by name alone."""
        found: dict[str, Any] = {}
        for key, default in self._fields():
            value = getattr(self, key)
            if isinstance(default, Setting):
                found[key] = default.default
            elif isinstance(default, Job):
                found |= value.defaults()
            elif isinstance(default, Choice):
                settings = default.settings(value.name)
                found[default.part] = default.name
                found |= {name: one.default for name, one in settings.items()}
            else:
                found |= plain_settings(default)
        return found

    def run_id(self) -> str:
        """Eight hexadecimal digits, see ``settings_id``."""
        return settings_id(self.flat(), self.defaults())

    def conditions(self) -> dict[str, bool]:
        """Which of the conditions that settings need hold, see ``Setting.needs``."""
        return {}

    def idle(self) -> dict[str, str]:
        """Settings that have no effect beside the others, by name, and what they would need."""
        values, held = self.flat(), self.conditions()
        found = {}
        for name, ones in self.known().items():
            needs = ones[0][1].needs
            if needs and name in values and not held.get(needs, bool(values.get(needs))):
                found[name] = needs
        return found


def _refusal(name: str, configs: Sequence[Job]) -> str:
    """Why none of the configs has a setting of a name that others of their kind have."""
    known = configs[0].known()
    part = known[name][0][0].partition(" ")[0].removeprefix("--")
    chosen = dict.fromkeys(config.flat()[part] for config in configs)
    return f"{refusal(known, name)}; this {configs[0].what}'s {part} is {' or '.join(chosen)}"


def check_used(given: Mapping[str, Any], configs: Sequence[Job]) -> None:
    """Refuse what was asked for and has no effect in any of the jobs.

    Args:
        given: settings by name.
        configs: the jobs, at least one.

    Raises:
        UserError: a setting that no part of them has, or that has no effect beside the others.
    """
    for name in given:
        having = [config for config in configs if name in config.flat()]
        if not having:
            raise UserError(_refusal(name, configs))
        needs = [config.idle().get(name) for config in having]
        if all(needs):
            wanted = needs[0] or ""
            wanted = flag(wanted) if wanted in having[0].flat() else wanted
            raise UserError(
                f"{flag(name)} has no effect without {wanted}; leave it out, or change the others"
            )
