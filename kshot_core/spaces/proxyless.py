"""ProxylessNAS's MobileNet-like space (Cai, Zhu & Han, ICLR 2019).

Twenty-one searched layers choose an inverted residual block of kernel 3, 5 or 7 and expansion 3 or
6, or skipping, where input and output have the same shape: not in the first layer of a stage. So
there are 7^15 · 6^6 architectures. Before them come a 3×3 convolution and a fixed block, after them
a 1×1 convolution, pooling and a linear classifier: the layers of MobileNetV2's space at their full
width.

Stages are those of *How Does Supernet Help in NAS?*, whose stand-alone networks are 1.35 times as
wide (``width=1.35``). ProxylessNAS's own networks have stages of other channels, and the parameters
and multiply-adds that were published; ``tests/kshot_core/test_proxyless.py`` has all four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from kshot_core.checks import check_above_zero, check_at_least
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
    read_stages,
    write_stages,
)
from kshot_core.spaces.mobilenetv2.text import positions, text_of

OPERATIONS = (
    *(Operation(kernel, expansion) for kernel in (3, 5, 7) for expansion in (3, 6)),
    Operation(0),
)
"""Choices of a searched layer; the last one skips it."""
SKIP = len(OPERATIONS) - 1
_DIVISOR = 8
"""Channels of a network that is not of the stated width are multiples of this."""


@dataclass(frozen=True)
class Proxyless:
    """The space with its macro structure.

    Args:
        stages: (channels, layers, stride of the first layer) each.
        stem: channels of the first convolution.
        first: channels of the fixed block after it.
        head: channels of the last convolution.
        width: factor on all of these, rounded to multiples of 8; the head's does not fall below 1,
            as published. At 1 channels are as they are stated.
        num_classes: outputs of the classifier.
        image_size: height and width of the images in pixels; enters FLOPs only.
        image_channels: channels of the images.
        stem_stride: of the first convolution; 1 for small images.
        batch_norm: ``"batch"`` normalises by the batch's own statistics always, ``"running"``
            keeps running averages and uses them in ``eval()``.
    """

    stages: Stages = setting(
        ((24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1)),
        "channels x layers / stride of each stage, like 32x4/2,40x4/2",
        read=read_stages,
        write=write_stages,
    )
    stem: int = setting(32, "channels of the first convolution")
    first: int = setting(16, "channels of the fixed block after it")
    head: int = setting(1280, "channels of the last convolution")
    width: float = setting(1.0, "factor on all channels, rounded to multiples of 8")
    num_classes: int = 1000
    image_size: int = 224
    image_channels: int = 3
    stem_stride: int = setting(2, "stride of the first convolution; 1 for small images")
    batch_norm: str = batch_norm_setting()

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        positive = ("stem", "first", "head", "num_classes", "image_size", "image_channels")
        check_at_least(self, dict.fromkeys(positive, 1))
        check_above_zero(self, "width")
        check_stages(self.stages, self.stem_stride)
        check_batch_norm(self.batch_norm)

    @property
    def name(self) -> str:
        """Name of the space in records."""
        return "proxyless"

    @property
    def num_choices(self) -> tuple[int, ...]:
        """Six blocks, and skipping but in the first layer of a stage."""
        return tuple(SKIP + (at > 0) for _, num, _ in self.stages for at in range(num))

    @property
    def width_sites(self) -> tuple[int, ...]:
        """None: widths are fixed."""
        return ()

    def sites(self) -> tuple[Site, ...]:
        """The searched layers, by their numbers from 1 on."""
        names = tuple(text_of(operation) for operation in OPERATIONS)
        return tuple(Site(str(at), names[:num]) for at, num in enumerate(self.num_choices, start=1))

    def sample(self, generator: Generator) -> Arch:
        """An architecture, every site's choice uniform."""
        return uniform_arch(self.num_choices, generator)

    def contains(self, arch: Arch) -> bool:
        """Whether every site has one of its choices."""
        return in_range(arch, self.num_choices)

    def extremes(self) -> tuple[Arch, Arch]:
        """Skipping wherever it can be, and the smallest blocks; the largest blocks."""
        least = tuple(SKIP if num > SKIP else 0 for num in self.num_choices)
        return least, (SKIP - 1,) * len(least)

    def canonical(self, arch: Arch) -> Arch:
        """``arch``: in a supernet no two are the same function of the weights."""
        return check_arch(arch, self.num_choices)

    def is_valid(self, arch: Arch) -> bool:
        """Always: whatever is chosen, the image reaches the classifier."""
        check_arch(arch, self.num_choices)
        return True

    def num_convolutions(self, arch: Arch) -> int:
        """Number of searched layers that are not skipped."""
        return sum(choice != SKIP for choice in check_arch(arch, self.num_choices))

    def operations(self, arch: Arch) -> tuple[Operation, ...]:
        """The block of each searched layer."""
        return tuple(OPERATIONS[choice] for choice in check_arch(arch, self.num_choices))

    @cached_property
    def widths(self) -> Widths:
        """Output channels of every layer."""
        layers = [self._scaled(channels) for channels, num, _ in self.stages for _ in range(num)]
        head = self._scaled(self.head) if self.width > 1 else self.head
        return Widths(self._scaled(self.stem), self._scaled(self.first), tuple(layers), head)

    def _scaled(self, channels: int) -> int:
        if self.width == 1:
            return channels
        wanted = channels * self.width
        nearest = max(_DIVISOR, int(wanted + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
        # Rounding down takes no more than a tenth.
        return nearest + _DIVISOR if nearest < 0.9 * wanted else nearest

    def layers(self) -> tuple[Layer, ...]:
        """Stride and channels of the searched layers."""
        inputs = (self.widths.first, *self.widths.layers[:-1])
        firsts = [at == 0 for _, num, _ in self.stages for at in range(num)]
        strides = [stride if at == 0 else 1 for _, num, stride in self.stages for at in range(num)]
        return tuple(
            Layer(stride, came, goes, shortcut=not first)
            for stride, came, goes, first in zip(
                strides, inputs, self.widths.layers, firsts, strict=True
            )
        )

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one image in convolutions and in the classifier."""
        return float(self._cost(arch)[0])

    def params(self, arch: Arch) -> int:
        """Trainable scalars of the stand-alone network."""
        return self._cost(arch)[1]

    def _cost(self, arch: Arch) -> tuple[int, int]:
        """Multiply-adds and scalars."""
        widths = self.widths
        blocks = [(Operation(3), Layer(1, widths.stem, widths.first, shortcut=False))]
        blocks += zip(self.operations(arch), self.layers(), strict=True)
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
        """Kernel and expansion of each layer, or ``id`` for skipping: ``k3e6,id,k7e3,...``."""
        return ",".join(text_of(operation) for operation in self.operations(arch))

    def from_string(self, text: str) -> Arch:
        """Parse ``to_string``'s text. Raises ``ValueError`` naming what is wrong with it."""
        names = [text_of(operation) for operation in OPERATIONS]
        return check_arch(positions(compact(text), names), self.num_choices)

    def parameter_group(self, name: str) -> str:
        """Group of a supernet parameter: those of one block in one layer serve together."""
        parts = name.split(".")
        return "-".join(["layer", *parts[2:4]]) if parts[1] == "layers" else "fixed"

    def drawing(self, arch: Arch) -> Row:
        """All layers, with the channels of their stages as they are stated."""
        stages = [(str(c), s if at == 0 else 1) for c, n, s in self.stages for at in range(n)]
        searched = [
            block(str(layer + 1), operation, *stages[layer])
            for layer, operation in enumerate(self.operations(arch))
        ]
        stem = Block("stem", "3", 0, FLAT, str(self.stem), is_strided=self.stem_stride > 1)
        first = block("first", Operation(3), str(self.first), 1, is_fixed=True)
        head = Block("head", "1", 0, FLAT, str(self.head))
        return Row((stem, first, *searched, head), KERNELS, "tall: expansion 6, low: 3")

    def supernet(self) -> nn.Module:
        """The weight-sharing network, called as ``supernet(images, arch)``."""
        return Supernet(self)

    def standalone(self, arch: Arch) -> nn.Module:
        """The network of one architecture alone, called as ``network(images)``."""
        return Standalone(self, arch)

    def network(self, possible: Sequence[Sequence[Operation]]) -> Network:
        """A network with the blocks that are possible in each layer."""
        return Network(
            possible,
            self.layers(),
            self.widths,
            self.image_channels,
            self.num_classes,
            self.stem_stride,
            self.batch_norm == "running",
        )


class Supernet(nn.Module):
    """Every block in every layer; ``supernet(images, arch)`` runs one path."""

    def __init__(self, space: Proxyless) -> None:
        super().__init__()
        self.space = space
        self.network = space.network([OPERATIONS[:num] for num in space.num_choices])

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        operations = self.space.operations(arch)
        logits: Tensor = self.network(x, operations, self.space.widths)
        return logits


class Standalone(nn.Module):
    """One architecture's own blocks."""

    def __init__(self, space: Proxyless, arch: Arch) -> None:
        super().__init__()
        self.operations, self.widths = space.operations(arch), space.widths
        self.network = space.network([(one,) for one in self.operations])

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        logits: Tensor = self.network(x, self.operations, self.widths)
        return logits
