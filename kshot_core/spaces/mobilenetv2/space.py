"""MobileNetV2-like networks: operations and widths (paper section 5.1, after Guo et al., 2020).

Twenty-one searched layers choose a kernel of 3, 5 or 7, an expansion of 3 or 6, with or without
squeeze-and-excitation, or the identity. All 24 layers, the three fixed ones among them, choose
their output width from a fifth to the whole. An architecture is the 21 operations followed by the
24 widths: stem, first block, searched layers, head.

What the paper leaves open, and what was decided:

* Channels are those of the one-shot works it follows: stem 32, first block 16, stages of 32, 40,
  80, 96, 192 and 320 channels with 4, 4, 4, 4, 4 and 1 layers, head 1,280.
* The identity is a choice where input and output have the same shape: not in the first layer of a
  stage, so the space has 13^15 · 12^6 · 5^24 architectures and not the stated 13^21 · 5^24.
* A width scales a layer's output channels, rounded to the nearest whole one. Hidden channels are
  the expansion times the input channels as they are, so they follow the width of the layer before.
* A shortcut adds the leading channels that input and output have in common. At full width this is
  the usual one, and it has neither weights nor multiply-adds at any.
* Under the identity a layer passes its input on and its width means nothing.
* Squeeze-and-excitation looks at the hidden channels and squeezes them to a quarter.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from kshot_core.checks import check_at_least
from kshot_core.drawing import Block, Row
from kshot_core.settings import setting
from kshot_core.space import Arch, Generator, Site, check_arch, compact, in_range, uniform_arch
from kshot_core.spaces._settings import batch_norm_setting, check_batch_norm
from kshot_core.spaces.mobilenetv2.cost import network_cost
from kshot_core.spaces.mobilenetv2.drawing import FLAT, KERNELS, block
from kshot_core.spaces.mobilenetv2.network import Layer, Network, Operation, Widths
from kshot_core.spaces.mobilenetv2.settings import (
    Stages,
    check_stages,
    read_factors,
    read_stages,
    write_factors,
    write_stages,
)
from kshot_core.spaces.mobilenetv2.text import positions, text_of

OPERATIONS = (
    *(
        Operation(kernel, expansion, excites)
        for excites in (False, True)
        for expansion in (3, 6)
        for kernel in (3, 5, 7)
    ),
    Operation(0),
)
"""Choices of a searched layer; the last one is the identity."""
FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""The paper's widths of a layer, of its channels at full width."""
_IDENTITY = len(OPERATIONS) - 1


@dataclass(frozen=True)
class MobileNetV2:
    """The space with its macro structure.

    Args:
        stages: (channels, layers, stride of the first layer) each.
        stem: channels of the first convolution.
        first: channels of the fixed block after it.
        head: channels of the last convolution.
        num_classes: outputs of the classifier.
        image_size: height and width of the images in pixels; enters FLOPs only.
        image_channels: channels of the images.
        stem_stride: of the first convolution; 1 for small images.
        factors: widths to choose from, of a layer's channels at full width, in equal steps and
            up to 1; ``(1.0,)`` searches operations alone.
        batch_norm: ``"batch"`` normalises by the batch's own statistics always (paper appendix B),
            ``"running"`` keeps running averages and uses them in ``eval()``.
    """

    stages: Stages = setting(
        ((32, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)),
        "channels x layers / stride of each stage, like 32x4/2,40x4/2",
        read=read_stages,
        write=write_stages,
    )
    stem: int = setting(32, "channels of the first convolution")
    first: int = setting(16, "channels of the fixed block after it")
    head: int = setting(1280, "channels of the last convolution")
    num_classes: int = 1000
    image_size: int = 224
    image_channels: int = 3
    stem_stride: int = setting(2, "stride of the first convolution; 1 for small images")
    factors: tuple[float, ...] = setting(
        FACTORS,
        "widths of a layer, in equal steps up to 1; 1.0 alone fixes them",
        read=read_factors,
        write=write_factors,
    )
    batch_norm: str = batch_norm_setting()

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        positive = ("stem", "first", "head", "num_classes", "image_size", "image_channels")
        check_at_least(self, dict.fromkeys(positive, 1))
        check_stages(self.stages, self.stem_stride)
        _check_factors(self.factors)
        check_batch_norm(self.batch_norm)

    @property
    def name(self) -> str:
        """Name of the space in records."""
        return "mobilenetv2"

    @property
    def num_layers(self) -> int:
        """Number of searched layers."""
        return sum(num for _, num, _ in self.stages)

    @property
    def num_choices(self) -> tuple[int, ...]:
        """Operations of the searched layers, then widths of all layers."""
        operations = tuple(_IDENTITY + (at > 0) for _, num, _ in self.stages for at in range(num))
        return operations + (len(self.factors),) * (self.num_layers + 3)

    @property
    def width_sites(self) -> tuple[int, ...]:
        """The sites after the operations."""
        return tuple(range(self.num_layers, 2 * self.num_layers + 3))

    def sites(self) -> tuple[Site, ...]:
        """The searched layers by their numbers from 1 on, then the widths of all layers."""
        names = tuple(text_of(operation) for operation in OPERATIONS)
        layers = [str(at + 1) for at in range(self.num_layers)]
        factors = tuple(str(factor) for factor in self.factors)
        operations = (
            Site(layer, names[:num]) for layer, num in zip(layers, self.num_choices, strict=False)
        )
        widths = (
            Site(f"width of {layer}", factors, is_operation=False)
            for layer in ("stem", "first", *layers, "head")
        )
        return (*operations, *widths)

    def sample(self, generator: Generator) -> Arch:
        """An architecture, every site's choice uniform."""
        return uniform_arch(self.num_choices, generator)

    def contains(self, arch: Arch) -> bool:
        """Whether every site has one of its choices."""
        return in_range(arch, self.num_choices)

    def extremes(self) -> tuple[Arch, Arch]:
        """Identities wherever they fit, at the least width; the largest blocks at the full one."""
        # An identity passes on its input's width, so it is not always the cheapest; at the least
        # widths it is, since layers of a stage have as many channels as each other.
        operations = self.num_choices[: self.num_layers]
        least = tuple(_IDENTITY if num > _IDENTITY else 0 for num in operations)
        most = (_IDENTITY - 1,) * self.num_layers
        full = len(self.factors) - 1
        return least + (0,) * (self.num_layers + 3), most + (full,) * (self.num_layers + 3)

    def canonical(self, arch: Arch) -> Arch:
        """``arch`` with the width under every identity set to the largest."""
        arch = check_arch(arch, self.num_choices)
        widths = list(arch[self.num_layers :])
        for layer, choice in enumerate(arch[: self.num_layers]):
            if choice == _IDENTITY:
                widths[layer + 2] = len(self.factors) - 1
        return (*arch[: self.num_layers], *widths)

    def is_valid(self, arch: Arch) -> bool:
        """Always: whatever is chosen, the image reaches the classifier."""
        check_arch(arch, self.num_choices)
        return True

    def num_convolutions(self, arch: Arch) -> int:
        """Number of searched layers that are not the identity."""
        operations = check_arch(arch, self.num_choices)[: self.num_layers]
        return sum(choice != _IDENTITY for choice in operations)

    def operations(self, arch: Arch) -> tuple[Operation, ...]:
        """The operation of each searched layer."""
        return tuple(OPERATIONS[choice] for choice in arch[: self.num_layers])

    def widths(self, arch: Arch) -> Widths:
        """Output channels of every layer."""
        full = [self.stem, self.first, *self._channels(), self.head]
        real = [
            max(1, round(self.factors[choice] * channels))
            for choice, channels in zip(arch[self.num_layers :], full, strict=True)
        ]
        for layer, choice in enumerate(arch[: self.num_layers]):
            if choice == _IDENTITY:
                real[layer + 2] = real[layer + 1]
        return Widths(real[0], real[1], tuple(real[2:-1]), real[-1])

    def _channels(self) -> list[int]:
        return [channels for channels, num, _ in self.stages for _ in range(num)]

    def layers(self, widths: Widths) -> tuple[Layer, ...]:
        """The searched layers at the given widths."""
        inputs = (widths.first, *widths.layers[:-1])
        strides = [stride if at == 0 else 1 for _, num, stride in self.stages for at in range(num)]
        shortcuts = [at > 0 for _, num, _ in self.stages for at in range(num)]
        return tuple(
            Layer(*one) for one in zip(strides, inputs, widths.layers, shortcuts, strict=True)
        )

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one image in convolutions and linear maps."""
        return float(self._cost(arch)[0])

    def params(self, arch: Arch) -> int:
        """Trainable scalars of the stand-alone network."""
        return self._cost(arch)[1]

    def _cost(self, arch: Arch) -> tuple[int, int]:
        """Multiply-adds and scalars."""
        arch = check_arch(arch, self.num_choices)
        widths = self.widths(arch)
        blocks = [(Operation(3), Layer(1, widths.stem, widths.first, shortcut=False))]
        blocks += zip(self.operations(arch), self.layers(widths), strict=True)
        return network_cost(
            blocks,
            widths.stem,
            widths.head,
            self.image_size,
            self.image_channels,
            self.num_classes,
            self.stem_stride,
        )

    def to_string(self, arch: Arch) -> str:
        """Operations and widths, e.g. ``k3e6,id,k7e3s|1.0,0.2,...``: ``s`` is excitation."""
        arch = check_arch(arch, self.num_choices)
        operations = ",".join(text_of(operation) for operation in self.operations(arch))
        return operations + "|" + ",".join(str(self.factors[c]) for c in arch[self.num_layers :])

    def from_string(self, text: str) -> Arch:
        """Parse ``to_string``'s text. Raises ``ValueError`` naming what is wrong with it."""
        operations, _, widths = compact(text).partition("|")
        names = [text_of(operation) for operation in OPERATIONS]
        factors = [str(factor) for factor in self.factors]
        written = ",".join(_as_float(width) for width in widths.split(","))
        return check_arch(
            [*positions(operations, names), *positions(written, factors)], self.num_choices
        )

    def parameter_group(self, name: str) -> str:
        """Group of a supernet parameter: those of one operation in one layer serve together."""
        parts = name.split(".")
        return "-".join(["layer", *parts[2:4]]) if parts[1] == "layers" else "fixed"

    def drawing(self, arch: Arch) -> Row:
        """All layers; the bars below them are their widths, where these are searched."""
        arch = check_arch(arch, self.num_choices)
        stages = [(str(c), s if at == 0 else 1) for c, n, s in self.stages for at in range(n)]
        head = Block("head", "1", 0, FLAT, str(self.head))
        blocks = [
            Block("stem", "3", 0, FLAT, str(self.stem), is_strided=self.stem_stride > 1),
            block("first", Operation(3), str(self.first), 1, is_fixed=True),
            *(
                block(str(layer + 1), operation, *stages[layer])
                for layer, operation in enumerate(self.operations(arch))
            ),
            head,
        ]
        if len(self.factors) > 1:
            widths = [self.factors[choice] for choice in arch[self.num_layers :]]
            blocks = [
                replace(one, width=width if one.height else None)
                for one, width in zip(blocks, widths, strict=True)
            ]
        return Row(tuple(blocks), KERNELS, "tall: expansion 6, low: 3")

    def supernet(self) -> nn.Module:
        """The weight-sharing network, called as ``supernet(images, arch)``."""
        return Supernet(self)

    def standalone(self, arch: Arch) -> nn.Module:
        """The network of one architecture alone, called as ``network(images)``."""
        return Standalone(self, check_arch(arch, self.num_choices))


class Supernet(nn.Module):
    """Every operation in every layer at its largest width; runs one path."""

    def __init__(self, space: MobileNetV2) -> None:
        super().__init__()
        self.space = space
        full = (0,) * space.num_layers + (len(space.factors) - 1,) * (space.num_layers + 3)
        widths = space.widths(full)
        possible = [OPERATIONS[:num] for num in space.num_choices[: space.num_layers]]
        self.network = _network(space, possible, widths)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        arch = check_arch(arch, self.space.num_choices)
        logits: Tensor = self.network(x, self.space.operations(arch), self.space.widths(arch))
        return logits


class Standalone(nn.Module):
    """One architecture's own operations and widths."""

    def __init__(self, space: MobileNetV2, arch: Arch) -> None:
        super().__init__()
        self.operations, self.widths = space.operations(arch), space.widths(arch)
        self.network = _network(space, [(one,) for one in self.operations], self.widths)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        logits: Tensor = self.network(x, self.operations, self.widths)
        return logits


def _network(
    space: MobileNetV2, operations: Sequence[Sequence[Operation]], widths: Widths
) -> Network:
    return Network(
        operations,
        space.layers(widths),
        widths,
        space.image_channels,
        space.num_classes,
        space.stem_stride,
        space.batch_norm == "running",
    )


def _check_factors(factors: tuple[float, ...]) -> None:
    steps = [round(wide - narrow, 6) for narrow, wide in itertools.pairwise(factors)]
    rising = all(step > 0 for step in steps) and len(set(steps)) <= 1
    if not factors or factors[0] <= 0 or factors[-1] != 1 or not rising:
        raise ValueError(f"factors rise in equal steps from above 0 to 1, got {factors}")


def _as_float(width: str) -> str:
    """``1`` and ``.80`` as ``str`` writes 1.0 and 0.8; what is no number as it is."""
    try:
        return str(float(width))
    except ValueError:
        return width
