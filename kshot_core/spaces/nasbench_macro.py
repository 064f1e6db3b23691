"""NAS-Bench-Macro (Su et al., CVPR 2021): eight layers of a MobileNetV2-like network.

Each layer is the identity (0), an inverted residual block of kernel 3 and expansion 3 (1), or one
of kernel 5 and expansion 6 (2): 3^8 = 6,561 networks, written as eight digits. The layers stand in
stages of 2, 3 and 3; the first of a stage has stride 2 and twice the channels, and its "identity"
is a strided 1×1 convolution with batch-norm. Before them comes a 3×3 convolution, after them a 1×1
one to 1,280 channels, pooling, and a linear classifier.

At the default widths parameters and multiply-adds are those of the benchmark's table. Two networks
that differ in *where* in a stage an identity stands are the same network when trained alone, but
not paths of the same weights in a supernet, so every architecture stands for itself here.
Shapes: B images, C channels, H×W pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.checks import check_at_least
from kshot_core.drawing import Block, Row
from kshot_core.settings import setting
from kshot_core.space import Arch, Generator, Site, check_arch, in_range, uniform_arch
from kshot_core.spaces._settings import batch_norm_setting, check_batch_norm
from kshot_core.spaces.mobilenetv2.drawing import FLAT, KERNELS, block
from kshot_core.spaces.mobilenetv2.network import ConvBN, InvertedResidual, Layer, Operation
from kshot_core.spaces.mobilenetv2.text import text_of

CHOICES = (Operation(0), Operation(3, 3), Operation(5, 6))
STAGES = (2, 3, 3)
"""Layers of each stage."""
NUM_LAYERS = sum(STAGES)
NUM_ARCHS = len(CHOICES) ** NUM_LAYERS


@dataclass(frozen=True)
class NASBenchMacro:
    """The space with its widths.

    Args:
        stem: channels of the first convolution; they double in each stage. 32 in the benchmark;
            8 makes a supernet that two cores can train.
        head: channels of the last convolution. 1,280 in the benchmark.
        num_classes: outputs of the classifier.
        image_size: height and width of the images in pixels; enters FLOPs only.
        image_channels: channels of the images.
        batch_norm: ``"batch"`` normalises by the batch's own statistics always, ``"running"``
            keeps running averages and uses them in ``eval()``.
    """

    stem: int = setting(32, "channels of the first convolution")
    head: int = setting(1280, "channels of the last convolution")
    num_classes: int = 10
    image_size: int = 32
    image_channels: int = 3
    batch_norm: str = batch_norm_setting()

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        positive = ("stem", "head", "num_classes", "image_size", "image_channels")
        check_at_least(self, dict.fromkeys(positive, 1))
        check_batch_norm(self.batch_norm)

    @property
    def name(self) -> str:
        """Name of the space in records."""
        return "nasbench_macro"

    @property
    def num_choices(self) -> tuple[int, ...]:
        """Three at each of eight layers."""
        return (len(CHOICES),) * NUM_LAYERS

    @property
    def width_sites(self) -> tuple[int, ...]:
        """None: widths are fixed."""
        return ()

    def sites(self) -> tuple[Site, ...]:
        """The layers, by their numbers from 1 on."""
        names = tuple(text_of(operation) for operation in CHOICES)
        return tuple(Site(str(at + 1), names) for at in range(NUM_LAYERS))

    def sample(self, generator: Generator) -> Arch:
        """An architecture, every site's choice uniform."""
        return uniform_arch(self.num_choices, generator)

    def contains(self, arch: Arch) -> bool:
        """Whether every site has one of its choices."""
        return in_range(arch, self.num_choices)

    def extremes(self) -> tuple[Arch, Arch]:
        """Identities throughout; the largest blocks throughout."""
        return (0,) * NUM_LAYERS, (len(CHOICES) - 1,) * NUM_LAYERS

    def canonical(self, arch: Arch) -> Arch:
        """``arch``: in a supernet no two are the same function of the weights."""
        return check_arch(arch, self.num_choices)

    def is_valid(self, arch: Arch) -> bool:
        """Always: whatever is chosen, the image reaches the classifier."""
        check_arch(arch, self.num_choices)
        return True

    def num_convolutions(self, arch: Arch) -> int:
        """Number of layers that are not the identity, 0..8."""
        return sum(choice > 0 for choice in check_arch(arch, self.num_choices))

    def layers(self) -> tuple[Layer, ...]:
        """Stride and channels of the eight layers."""
        layers, width = [], self.stem
        for num in STAGES:
            layers.append(Layer(2, width, 2 * width, shortcut=False))
            width *= 2
            layers += [Layer(1, width, width, shortcut=True)] * (num - 1)
        return tuple(layers)

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one image in convolutions and in the classifier."""
        return float(self._cost(arch)[0])

    def params(self, arch: Arch) -> int:
        """Trainable scalars of the stand-alone network."""
        return self._cost(arch)[1]

    def _cost(self, arch: Arch) -> tuple[int, int]:
        """Multiply-adds and scalars."""
        size = self.image_size
        weights = 9 * self.image_channels * self.stem
        flops, params = weights * size**2, weights + 2 * self.stem
        layers = self.layers()
        for choice, layer in zip(check_arch(arch, self.num_choices), layers, strict=True):
            operation = CHOICES[choice]
            after = -(-size // layer.stride)
            if operation.kernel:
                hidden = operation.expansion * layer.inputs
                expand, project = layer.inputs * hidden, hidden * layer.outputs
                depthwise = operation.kernel**2 * hidden
                flops += expand * size**2 + (depthwise + project) * after**2
                params += expand + depthwise + project + 2 * (2 * hidden + layer.outputs)
            elif layer.stride > 1:
                flops += layer.inputs * layer.outputs * after**2
                params += layer.inputs * layer.outputs + 2 * layer.outputs
            size = after
        weights = layers[-1].outputs * self.head
        flops += weights * size**2 + self.head * self.num_classes
        params += weights + 2 * self.head + (self.head + 1) * self.num_classes
        return flops, params

    def to_string(self, arch: Arch) -> str:
        """The benchmark's text, a digit for each layer: ``01201201``."""
        return "".join(map(str, check_arch(arch, self.num_choices)))

    def from_string(self, text: str) -> Arch:
        """Parse the benchmark's text. Raises ``ValueError`` saying what is wrong with it."""
        if len(text) != NUM_LAYERS or set(text) - set("012"):
            raise ValueError(
                "a NAS-Bench-Macro architecture is eight digits of 0, 1 and 2, "
                f"like 01201201, got {text[:60]!r}"
            )
        return tuple(map(int, text))

    def archs(self) -> list[Arch]:
        """All 6,561 architectures in the table's order, which is that of their texts."""
        return list(itertools.product(range(len(CHOICES)), repeat=NUM_LAYERS))

    def index(self, arch: Arch) -> int:
        """The row 0..6,560 of an architecture in the table."""
        return int(self.to_string(arch), len(CHOICES))

    def from_index(self, index: int) -> Arch:
        """The architecture of a row of the table. Raises ``ValueError`` outside 0..6,560."""
        if not 0 <= index < NUM_ARCHS:
            raise ValueError(f"an index is 0..{NUM_ARCHS - 1}, got {index}")
        places = reversed(range(NUM_LAYERS))
        return tuple(index // len(CHOICES) ** place % len(CHOICES) for place in places)

    def parameter_group(self, name: str) -> str:
        """Group of a supernet parameter: those of one choice in one layer serve together."""
        parts = name.split(".")
        return "-".join(["layer", *parts[1:3]]) if parts[0] == "layers" else "fixed"

    def drawing(self, arch: Arch) -> Row:
        """Stem, eight layers, head. The identity of a strided layer is a 1×1 convolution."""
        layers = zip(check_arch(arch, self.num_choices), self.layers(), strict=True)
        blocks = [Block("stem", "3", 0, FLAT, str(self.stem))]
        for at, (choice, layer) in enumerate(layers, start=1):
            stage = str(layer.outputs)
            if choice == 0 and layer.stride > 1:
                blocks.append(Block(str(at), "1", 0, FLAT, stage, is_strided=True))
            else:
                blocks.append(block(str(at), CHOICES[choice], stage, layer.stride))
        blocks.append(Block("head", "1", 0, FLAT, str(self.head)))
        return Row(tuple(blocks), KERNELS[:2], "tall: expansion 6, low: 3")

    def supernet(self) -> nn.Module:
        """The weight-sharing network of all architectures, called as ``supernet(images, arch)``."""
        return Supernet(self)

    def standalone(self, arch: Arch) -> nn.Module:
        """The network of one architecture alone, called as ``network(images)``."""
        return Standalone(self, check_arch(arch, self.num_choices))


class _Network(nn.Module):
    """Stem, eight layers with some of their choices each, head, classifier."""

    def __init__(self, space: NASBenchMacro, possible: Sequence[Sequence[int]]) -> None:
        super().__init__()
        running = space.batch_norm == "running"
        self.stem = ConvBN(space.image_channels, space.stem, 3, 1, 1, running)
        layers = space.layers()
        self.outputs = [layer.outputs for layer in layers]
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    str(choice): _block(choice, layer, running)
                    for choice in choices
                    if choice or layer.stride > 1
                }
            )
            for choices, layer in zip(possible, layers, strict=True)
        )
        self.head = ConvBN(self.outputs[-1], space.head, 1, 1, 1, running)
        self.classifier = nn.Linear(space.head, space.num_classes)

    def compute(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W) along a path."""
        x = self.stem(x, self.stem.conv.out_channels)
        x = F.relu6(x.contiguous(memory_format=torch.channels_last))
        for layer, choice, outputs in zip(self.layers, arch, self.outputs, strict=True):
            blocks = cast(nn.ModuleDict, layer)
            # Only an identity that changes no shape has no block.
            if str(choice) in blocks:
                x = blocks[str(choice)](x, outputs)
        x = F.relu6(self.head(x, self.classifier.in_features)).mean((2, 3))
        logits: Tensor = self.classifier(x)
        return logits


def _block(choice: int, layer: Layer, running: bool) -> nn.Module:
    if choice:
        return InvertedResidual(CHOICES[choice], layer, running)
    return ConvBN(layer.inputs, layer.outputs, 1, layer.stride, 1, running)


class Supernet(_Network):
    """Every choice in every layer; ``supernet(images, arch)`` runs one path."""

    def __init__(self, space: NASBenchMacro) -> None:
        super().__init__(space, (range(len(CHOICES)),) * NUM_LAYERS)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        return self.compute(x, check_arch(arch, (len(CHOICES),) * NUM_LAYERS))


class Standalone(_Network):
    """One architecture's own layers."""

    def __init__(self, space: NASBenchMacro, arch: Arch) -> None:
        super().__init__(space, [(choice,) for choice in arch])
        self.arch = arch

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        return self.compute(x, self.arch)
