"""The settings of a search space as plain values, and the space they describe.

A config, a command line and a JSON file hold numbers and short texts; a space holds tuples and the
sizes of its images.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.cli.errors import UserError
from benchmark.cli.numbers import read_number
from benchmark.cli.parser import one_of
from benchmark.cli.text import split_list
from benchmark.datasets import Data, ImageData
from kshot_core.spaces import SPACES, MobileNetV2, NASBench201, NASBenchMacro
from kshot_core.tasks import task_of

if TYPE_CHECKING:
    from kshot_core.space import Space


@dataclass(frozen=True)
class SpaceSettings:
    """A search space without its images. Settings of another space mean nothing.

    Args:
        space: ``"nasbench201"``, ``"mobilenetv2"`` or ``"nasbench_macro"``.
        channels: width of NAS-Bench-201's first stage.
        cells: cells in each of NAS-Bench-201's stages.
        stages: MobileNetV2's stages, channels x layers / stride each, e.g. ``"32x4/2,40x4/2"``.
        stem: channels of MobileNetV2's or NAS-Bench-Macro's first convolution.
        first: channels of the fixed block after it.
        head: channels of its last convolution.
        stem_stride: of its first convolution; 1 for small images.
        factors: widths of its layers to choose from, e.g. ``"0.5,1.0"``.
        batch_norm: ``"batch"`` or ``"running"`` statistics.
        affine: whether batch-norms in NAS-Bench-201's cells have scale and shift.

    Raises:
        UserError: there is no such space.
    """

    space: str = "nasbench201"
    channels: int = 16
    cells: int = 5
    stages: str = "32x4/2,40x4/2,80x4/2,96x4/1,192x4/2,320x1/1"
    stem: int = 32
    first: int = 16
    head: int = 1280
    stem_stride: int = 2
    factors: str = "0.2,0.4,0.6,0.8,1.0"
    batch_norm: str = "batch"
    affine: bool = False

    def __post_init__(self) -> None:
        """Refuse what describes no space, before any image is read."""
        one_of("--space", self.space, SPACES)
        self._build({})
        if self.space == "mobilenetv2":
            # Equal spaces are written alike, and so have equal ids.
            stages = ",".join(f"{width}x{num}/{by}" for width, num, by in _stages(self.stages))
            object.__setattr__(self, "stages", stages)
            object.__setattr__(self, "factors", ",".join(map(str, _factors(self.factors))))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SpaceSettings:
        """Settings from JSON values; unknown, missing and mistyped ones are refused.

        Raises:
            UserError: these are not a space's settings.
        """
        types = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        if values.keys() != types.keys():
            unknown, missing = sorted(values.keys() - types), sorted(types.keys() - values)
            raise UserError(
                f"these settings of a space have unknown keys {unknown} and miss {missing}; "
                "use the version that wrote them"
            )
        for name, wanted in types.items():
            # Not isinstance: true is no number of channels.
            if type(values[name]) is not wanted:
                raise UserError(
                    f"the space's {name} must be of type {wanted.__name__}, got {values[name]!r}"
                )
        return cls(**values)

    def build(self, data: Data) -> Space:
        """The space, for networks that take the examples of ``data`` and tell its classes apart.

        Raises:
            UserError: the space cannot take them, or has networks for another task.
        """
        own, wanted = task_of(self.without_images()), task_of(data)
        if type(own) is not type(wanted):
            raise UserError(
                f"{self.space} is a space of networks that are scored by {own.score}, and "
                f"{data.name} is a data set for {wanted.score}; name another --space or --dataset"
            )
        sizes = {"num_classes": data.num_classes}
        if isinstance(data, ImageData):
            sizes |= {"image_size": data.image_size, "image_channels": data.image_channels}
        return self._build(sizes)

    def without_images(self) -> Space:
        """The space with the sizes of images that it has by default, where none matter."""
        return self._build({})

    def arch(self, text: str) -> str:
        """An architecture's text, read and written again by the space.

        Raises:
            UserError: the space has no such architecture, or the network's output would not
                depend on its input.
        """
        space = self._build({})
        try:
            arch = space.from_string(text)
        except ValueError as error:
            raise UserError(
                f"no architecture of {self.space} reads {text[:60]!r}: {error}"
            ) from None
        if not space.is_valid(arch):
            raise UserError(f"no path leads from the images to the output of {text}; take another")
        return space.to_string(arch)

    def _build(self, sizes: dict[str, int]) -> Space:
        try:
            if self.space in _BUILDERS:
                return _BUILDERS[self.space](self, sizes)
            registered: Callable[..., Space] = SPACES[self.space]
            return registered(**sizes)
        except ValueError as error:
            raise UserError(f"no {self.space} space has these settings: {error}") from None


SPACE_HELP = {
    "space": "search space: nasbench201, mobilenetv2 or nasbench_macro",
    "channels": "width of the network's first stage (16 in NAS-Bench-201)",
    "cells": "cells a stage (5 in NAS-Bench-201)",
    "stages": "mobilenetv2: channels x layers / stride of each stage, like 32x4/2,40x4/2",
    "stem": "mobilenetv2, nasbench_macro: channels of the first convolution",
    "first": "mobilenetv2: channels of the fixed block after it",
    "head": "mobilenetv2, nasbench_macro: channels of the last convolution",
    "stem_stride": "mobilenetv2: stride of the first convolution; 1 for small images",
    "factors": "mobilenetv2: widths of a layer, in equal steps up to 1; 1.0 alone fixes them",
    "batch_norm": "batch: normalise by each batch's own statistics; running: running averages",
    "affine": "scale and shift in the cells' batch-norms",
}
"""What each setting is, for a program's ``--help``."""


def _nasbench201(settings: SpaceSettings, sizes: dict[str, int]) -> Space:
    return NASBench201(
        channels=settings.channels,
        cells=settings.cells,
        batch_norm=settings.batch_norm,
        affine=settings.affine,
        **sizes,
    )


def _mobilenetv2(settings: SpaceSettings, sizes: dict[str, int]) -> Space:
    return MobileNetV2(
        stages=_stages(settings.stages),
        stem=settings.stem,
        first=settings.first,
        head=settings.head,
        stem_stride=settings.stem_stride,
        factors=_factors(settings.factors),
        batch_norm=settings.batch_norm,
        **sizes,
    )


def _nasbench_macro(settings: SpaceSettings, sizes: dict[str, int]) -> Space:
    return NASBenchMacro(
        stem=settings.stem, head=settings.head, batch_norm=settings.batch_norm, **sizes
    )


_BUILDERS: dict[str, Callable[[SpaceSettings, dict[str, int]], Space]] = {
    "mobilenetv2": _mobilenetv2,
    "nasbench201": _nasbench201,
    "nasbench_macro": _nasbench_macro,
}
"""Spaces with settings; any other takes the sizes of its images alone."""


def _stages(text: str) -> tuple[tuple[int, int, int], ...]:
    plain = re.sub(r"\s*([x/])\s*", r"\1", text.casefold().replace("×", "x"))
    found = [
        re.fullmatch(r"(\d{1,5})x(\d{1,3})/(\d)", part, re.ASCII)
        for part in split_list(plain) or [""]
    ]
    matches = [match for match in found if match is not None]
    if len(matches) < len(found):
        raise ValueError(
            f"stages are channels x layers / stride, like 32x4/2,40x4/2, got {text[:80]!r}"
        )
    return tuple((int(match[1]), int(match[2]), int(match[3])) for match in matches)


def _factors(text: str) -> tuple[float, ...]:
    # Between semicolons a comma is a decimal one.
    parts = text.strip(" ;").split(";") if ";" in text else split_list(text) or [text]
    try:
        return tuple(read_number(part) for part in parts)
    except ValueError:
        raise ValueError(f"factors are numbers like 0.5,1.0, got {text[:80]!r}") from None
