"""MobileNetV2's networks: the supernet of all operations and widths, and one architecture's own.

Both are made of the same layers. A layer has weights of its largest width and runs at a smaller one
by taking the leading channels; an architecture's own network has one operation a layer, and its
largest widths are the ones it uses. Shapes: B images, C channels, H×W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Operation:
    """What an inverted residual block does.

    Args:
        kernel: of the depthwise convolution; 0 is the identity.
        expansion: hidden channels over input channels.
        excites: with squeeze-and-excitation.
    """

    kernel: int
    expansion: int = 1
    excites: bool = False


@dataclass(frozen=True)
class Layer:
    """A place for a block: its stride and its channels.

    Args:
        stride: of the depthwise convolution.
        inputs: channels that come in.
        outputs: channels that go out.
        shortcut: whether what comes in is added to what goes out.
    """

    stride: int
    inputs: int
    outputs: int
    shortcut: bool


@dataclass(frozen=True)
class Widths:
    """Output channels of the stem, of the first block, of every layer and of the head."""

    stem: int
    first: int
    layers: tuple[int, ...]
    head: int


def squeezed(hidden: int) -> int:
    """Inner channels of squeeze-and-excitation: a quarter, as in MobileNetV3; at least one."""
    return max(1, hidden // 4)


class ConvBN(nn.Module):
    """Convolution without bias and batch-norm, whose leading channels can be used alone."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, groups: int, running: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, 1, groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, track_running_stats=running)

    def forward(self, x: Tensor, outputs: int) -> Tensor:
        """(B, C, H, W) to (B, outputs, H/stride, W/stride)."""
        conv, norm, inputs = self.conv, self.norm, _channels(x)
        # A depthwise convolution has one channel a group.
        groups = inputs if conv.groups > 1 else 1
        weight = _leading(conv.weight, outputs, inputs // groups)
        y = F.conv2d(x, weight, None, conv.stride, conv.padding, 1, groups)
        mean, variance = norm.running_mean, norm.running_var
        return F.batch_norm(
            y,
            None if mean is None else _leading(mean, outputs),
            None if variance is None else _leading(variance, outputs),
            _leading(norm.weight, outputs),
            _leading(norm.bias, outputs),
            self.training or mean is None,
        )


class Excitation(nn.Module):
    """Squeeze-and-excitation: channels scaled by what their means say (Hu et al., 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, squeezed(channels))
        self.expand = nn.Linear(squeezed(channels), channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        channels = _channels(x)
        inner, reduce, expand = squeezed(channels), self.reduce, self.expand
        weight, bias = _leading(reduce.weight, inner, channels), _leading(reduce.bias, inner)
        z = F.linear(x.mean((2, 3)), weight, bias)
        weight, bias = _leading(expand.weight, channels, inner), _leading(expand.bias, channels)
        z = F.linear(F.relu(z), weight, bias)
        return x * F.hardsigmoid(z)[:, :, None, None]


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, excitation, projection (Sandler et al., 2018).

    At expansion 1 the first convolution is left out, as in the original.
    """

    def __init__(self, operation: Operation, layer: Layer, running: bool) -> None:
        super().__init__()
        self.expansion, self.shortcut = operation.expansion, layer.shortcut
        hidden = operation.expansion * layer.inputs
        expands = operation.expansion > 1
        self.expand = ConvBN(layer.inputs, hidden, 1, 1, 1, running) if expands else None
        self.depthwise = ConvBN(hidden, hidden, operation.kernel, layer.stride, hidden, running)
        self.excite = Excitation(hidden) if operation.excites else None
        self.project = ConvBN(hidden, layer.outputs, 1, 1, 1, running)

    def forward(self, x: Tensor, outputs: int) -> Tensor:
        """(B, C, H, W) to (B, outputs, H/stride, W/stride)."""
        hidden = self.expansion * _channels(x)
        y = x if self.expand is None else F.relu6(self.expand(x, hidden))
        y = F.relu6(self.depthwise(y, hidden))
        if self.excite is not None:
            y = self.excite(y)
        y = self.project(y, outputs)
        return _added(y, x) if self.shortcut else y


def _added(y: Tensor, x: Tensor) -> Tensor:
    """``y`` with the leading channels that both have of ``x`` added; no more than that is alike."""
    missing = _channels(y) - _channels(x)
    if missing <= 0:
        return y + (x if missing == 0 else x[:, : _channels(y)])
    # Not in place: the gradient of batch-norm's output goes two ways.
    return F.pad(x, (0, 0, 0, 0, 0, missing)) + y


class Network(nn.Module):
    """Stem, first block, layers with one or several operations, head, classifier.

    Args:
        operations: by layer, what it can do.
        layers: by layer, at its largest width.
        largest: output channels of everything at its largest.
        image_channels: of the images.
        num_classes: outputs of the classifier.
        stem_stride: of the first convolution.
        running: batch-norms keep running statistics.
    """

    def __init__(
        self,
        operations: Sequence[Sequence[Operation]],
        layers: Sequence[Layer],
        largest: Widths,
        image_channels: int,
        num_classes: int,
        stem_stride: int,
        running: bool,
    ) -> None:
        super().__init__()
        self.stem = ConvBN(image_channels, largest.stem, 3, stem_stride, 1, running)
        first = Layer(1, largest.stem, largest.first, shortcut=False)
        self.first = InvertedResidual(Operation(3), first, running)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    _name(operation): InvertedResidual(operation, layer, running)
                    for operation in possible
                    if operation.kernel
                }
            )
            for possible, layer in zip(operations, layers, strict=True)
        )
        self.head = ConvBN(largest.layers[-1], largest.head, 1, 1, 1, running)
        self.classifier = nn.Linear(largest.head, num_classes)

    def forward(self, x: Tensor, operations: Sequence[Operation], widths: Widths) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W) along a path."""
        # Images of one channel have no layout to pass on, and channels first is many times slower.
        stem = self.stem(x, widths.stem).contiguous(memory_format=torch.channels_last)
        x = F.relu6(stem)
        x = self.first(x, widths.first)
        for layer, operation, outputs in zip(self.layers, operations, widths.layers, strict=True):
            if operation.kernel:
                x = layer[_name(operation)](x, outputs)  # type: ignore[index]
        x = F.relu6(self.head(x, widths.head)).mean((2, 3))
        weight = self.classifier.weight
        return F.linear(x, _leading(weight, len(weight), widths.head), self.classifier.bias)


def _channels(x: Tensor) -> int:
    """Number of channels; a plain number also where an exporter records what is done to sizes."""
    return int(x.shape[1])


def _leading(x: Tensor, *sizes: int) -> Tensor:
    """The leading entries along the first dimensions.

    Where they are all there are it is the tensor itself: a slice would cost a copy in the backward
    pass, and hide from an exporter that a weight is constant.
    """
    if all(size == num for size, num in zip(sizes, x.shape, strict=False)):
        return x
    return x[tuple(slice(size) for size in sizes)]


def _name(operation: Operation) -> str:
    excited = "_se" if operation.excites else ""
    return f"k{operation.kernel}_e{operation.expansion}{excited}"
