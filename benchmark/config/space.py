"""The settings of a search space as plain values, and the space they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from benchmark.cli.errors import UserError
from benchmark.config.choice import Choice
from benchmark.datasets import Data, ImageData
from kshot_core.settings import settings_of
from kshot_core.spaces import SPACES
from kshot_core.tasks import task_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from kshot_core.space import Space

DEFAULT = "nasbench201"
"""The space where none is named."""


class SpaceSettings(Choice):
    """A search space without its images; its settings stand in its own file."""

    part: ClassVar[str] = "space"
    registry: ClassVar[Mapping[str, Any]] = SPACES
    help: ClassVar[str] = "search space: {names}"

    def __init__(self, name: str = DEFAULT, /, **values: Any) -> None:
        super().__init__(name, **values)

    @classmethod
    def plugin(cls, name: str) -> Any:
        """The space with its default settings, for images of its default size."""
        return cls.registry[name]()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Settings from JSON values: ``space``, its name, and settings.

        Missing ones have their defaults, and those that other spaces alone have are passed over,
        which older versions wrote too.

        Raises:
            UserError: these are not a space's settings.
        """
        given = dict(values)
        name = given.pop("space", None)
        if not isinstance(name, str):
            raise UserError(f"the settings of a space name it under space, got {name!r}")
        return cls(name, **cls.of(name, given))

    @classmethod
    def of(cls, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values that the space of a name has.

        Raises:
            UserError: a value that no space has, or no space of this name.
        """
        every = {key for one in cls.registry for key in settings_of(cls.plugin(one))}
        unknown = sorted(values.keys() - every)
        if unknown:
            raise UserError(
                f"these settings of a space have unknown keys {unknown}; "
                "use the version that wrote them"
            )
        known = cls.settings(name) if name in cls.registry else {}
        return {key: value for key, value in values.items() if key in known}

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {"space": self.name, **self.plain()}

    def refused(self, error: ValueError) -> str:
        """The line that says why its settings are refused."""
        return f"no {self.name} space has these settings: {error}"

    def build(self, data: Data) -> Space:
        """The space, for networks that take the examples of ``data`` and tell its classes apart.

        Raises:
            UserError: the space cannot take them, or has networks for another task.
        """
        task, wanted = task_of(self.without_images()), task_of(data)
        if type(task) is not type(wanted):
            raise UserError(
                f"{self.name} is a space of networks that are scored by {task.score}, and "
                f"{data.name} is a data set for {wanted.score}; name another --space or --dataset"
            )
        sizes = {"num_classes": data.num_classes}
        if isinstance(data, ImageData):
            sizes |= {"image_size": data.image_size, "image_channels": data.image_channels}
        made = self.made()
        own = {name: getattr(made, name) for name in settings_of(made)}
        try:
            return cast("Space", self.registry[self.name](**own, **sizes))
        except ValueError as error:
            raise UserError(self.refused(error)) from None

    def without_images(self) -> Space:
        """The space with the sizes of images that it has by default, where none matter."""
        return cast("Space", self.made())

    def arch(self, text: str) -> str:
        """An architecture's text, read and written again by the space.

        Raises:
            UserError: the space has no such architecture, or the network's output would not
                depend on its input.
        """
        space = self.without_images()
        try:
            arch = space.from_string(text)
        except ValueError as error:
            raise UserError(
                f"no architecture of {self.name} reads {text[:60]!r}: {error}"
            ) from None
        if not space.is_valid(arch):
            raise UserError(f"no path leads from the images to the output of {text}; take another")
        return space.to_string(arch)


class StandaloneSpace(SpaceSettings):
    """A search space whose architectures are trained by themselves."""

    alone: ClassVar[bool] = True

    @classmethod
    def like(cls, space: SpaceSettings) -> Self:
        """The space of these settings, as far as it has them."""
        return cls(space.name, **cls.of(space.name, space.plain()))
