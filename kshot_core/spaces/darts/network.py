"""DARTS's networks for small images: the supernet of all cells, and the network of two cells.

Both compute a path the same way. ``none`` and what follows from nothing are never computed, a skip
connection of stride 1 is the tensor itself, and a node's ReLU and pooling are computed once for all
edges that leave it. Shapes: B images, C channels, H×W pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.spaces.darts.genotype import NODES, OPERATIONS, Cell, live
from kshot_core.spaces.nasbench201.pooling import average_3x3

_MAX_POOL, _AVG_POOL, _SKIP = range(3)
AUXILIARY_HIDDEN = (128, 768)
"""Channels inside the auxiliary head."""

Possible = Sequence[tuple[int, int, Collection[int]]]
"""The edges that a cell has: node, earlier node, and the operations on it."""


@dataclass(frozen=True)
class Place:
    """Where a cell stands in the network.

    Args:
        before: channels of the output of the last cell but one.
        last: channels of the output of the last cell.
        channels: of each of the cell's nodes.
        reduces: it halves the images.
        after_reduction: the last cell halved them, so that the one before has larger ones.
    """

    before: int
    last: int
    channels: int
    reduces: bool
    after_reduction: bool


class ConvBN(nn.Module):
    """Convolution without bias, then batch-norm. The ReLU before it belongs to the node."""

    def __init__(self, inputs: int, outputs: int, kernel: int, affine: bool, running: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine, track_running_stats=running)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        normed: Tensor = self.norm(self.conv(x))
        return normed


class Separable(nn.Module):
    """Depthwise convolution, 1×1 convolution, batch-norm; what comes in has had its ReLU."""

    def __init__(
        self, channels: int, kernel: int, stride: int, dilation: int, affine: bool, running: bool
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, stride, padding, dilation, channels, bias=False
        )
        self.pointwise = ConvBN(channels, channels, 1, affine, running)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H/stride, W/stride)."""
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


class SeparableTwice(nn.Module):
    """DARTS's separable convolution: applied twice, the stride in the first."""

    def __init__(
        self, channels: int, kernel: int, stride: int, affine: bool, running: bool
    ) -> None:
        super().__init__()
        self.first = Separable(channels, kernel, stride, 1, affine, running)
        self.second = Separable(channels, kernel, 1, 1, affine, running)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H/stride, W/stride)."""
        y: Tensor = self.second(F.relu(self.first(x)))
        return y


class FactorizedReduce(nn.Module):
    """A 1×1 convolution of stride 2 on the even pixels beside one on the odd ones, batch-norm."""

    def __init__(self, inputs: int, outputs: int, affine: bool, running: bool) -> None:
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs - outputs // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine, track_running_stats=running)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H/2, W/2), sizes rounded up."""
        shifted, (height, width) = x[:, :, 1:, 1:], x.shape[2:]
        if height % 2 or width % 2:
            # The last odd pixels lie outside the image.
            shifted = F.pad(shifted, (0, width % 2, 0, height % 2))
        normed: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], 1))
        return normed


def _operation(choice: int, channels: int, stride: int, affine: bool, running: bool) -> nn.Module:
    name = OPERATIONS[choice]
    if choice == _SKIP:
        return FactorizedReduce(channels, channels, affine, running)
    kernel = int(name[-1])
    if name.startswith("sep"):
        return SeparableTwice(channels, kernel, stride, affine, running)
    return Separable(channels, kernel, stride, 2, affine, running)


def has_weights(choice: int, stride: int) -> bool:
    """Whether an operation has weights: convolutions, and a skip connection that halves images."""
    return "conv" in OPERATIONS[choice] or (choice == _SKIP and stride > 1)


class CellNetwork(nn.Module):
    """The operations with weights of one cell; the edges that run are an argument."""

    def __init__(self, place: Place, possible: Possible, affine: bool, running: bool) -> None:
        super().__init__()
        self.reduces = place.reduces
        if place.after_reduction:
            self.preprocess_before: nn.Module = FactorizedReduce(
                place.before, place.channels, affine, running
            )
        else:
            self.preprocess_before = ConvBN(place.before, place.channels, 1, affine, running)
        self.preprocess_last = ConvBN(place.last, place.channels, 1, affine, running)
        self.edges = nn.ModuleDict()
        for node, source, choices in possible:
            stride = self._stride(source)
            operations = {
                OPERATIONS[choice]: _operation(choice, place.channels, stride, affine, running)
                for choice in choices
                if has_weights(choice, stride)
            }
            self.edges[f"{node}-{source}"] = nn.ModuleDict(operations)

    def _stride(self, source: int) -> int:
        return 2 if self.reduces and source < 2 else 1

    def forward(self, before: Tensor, last: Tensor, cell: Cell) -> Tensor:
        """(B, C, H, W), of the last cell but one and the last cell, to (B, 4C', H', W').

        Args:
            before: after its ReLU.
            last: after its ReLU.
            cell: the live edges.
        """
        states: list[Tensor | None] = [self.preprocess_before(before), self.preprocess_last(last)]
        shared: dict[tuple[str, int], Tensor] = {}
        for node, edges in zip(NODES, cell, strict=True):
            total: Tensor | None = None
            for source, choice in edges:
                value = self._edge(node, source, choice, states, shared)
                total = value if total is None else total + value
            states.append(total)
        nodes = states[2:]
        present = next((state for state in nodes if state is not None), None)
        if present is None:
            like = states[1]
            assert like is not None, "inputs are there"
            present = like[:, :, ::2, ::2] if self.reduces else like
        return torch.cat([torch.zeros_like(present) if s is None else s for s in nodes], 1)

    def _edge(
        self,
        node: int,
        source: int,
        choice: int,
        states: list[Tensor | None],
        shared: dict[tuple[str, int], Tensor],
    ) -> Tensor:
        """One edge's value; what several edges of a node compute alike is kept in ``shared``."""
        x = states[source]
        assert x is not None, "a live edge starts at a node that holds something"
        stride = self._stride(source)
        if has_weights(choice, stride):
            if ("relu", source) not in shared:
                shared["relu", source] = F.relu(x)
            operations = cast(nn.ModuleDict, self.edges[f"{node}-{source}"])
            value: Tensor = operations[OPERATIONS[choice]](shared["relu", source])
            return value
        if choice == _SKIP:
            return x
        key = (OPERATIONS[choice], source)
        if key not in shared:
            if choice == _MAX_POOL:
                shared[key] = F.max_pool2d(x, 3, stride, 1)
            elif stride == 1:
                shared[key] = average_3x3(x)
            else:
                shared[key] = F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
        return shared[key]


class AuxiliaryHead(nn.Module):
    """A second classifier on the cells' output at a quarter of the image's height and width."""

    def __init__(self, inputs: int, num_classes: int, running: bool) -> None:
        super().__init__()
        hidden, features = AUXILIARY_HIDDEN
        self.squeeze = ConvBN(inputs, hidden, 1, True, running)
        self.conv = nn.Conv2d(hidden, features, 2, bias=False)
        self.norm = nn.BatchNorm2d(features, track_running_stats=running)
        self.classifier = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of (B, C, H, W) after its ReLU, H and W from 8 to 10."""
        x = F.avg_pool2d(x, 5, 3, count_include_pad=False)
        x = F.relu(self.norm(self.conv(F.relu(self.squeeze(x)))))
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


class Network(nn.Module):
    """Stem, cells, classifier.

    Args:
        places: of the cells, in order.
        possible: the edges of a normal and of a reduction cell.
        stem: channels of the first convolution.
        image_channels: of the images.
        num_classes: outputs of the classifier.
        affine: whether the batch-norms of cells have scale and shift.
        running: batch-norms keep running statistics.
        auxiliary: with an auxiliary head.
    """

    def __init__(
        self,
        places: Sequence[Place],
        possible: tuple[Possible, Possible],
        stem: int,
        image_channels: int,
        num_classes: int,
        affine: bool,
        running: bool,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.stem = ConvBN(image_channels, stem, 3, True, running)
        self.cells = nn.ModuleList(
            CellNetwork(place, possible[place.reduces], affine, running) for place in places
        )
        outputs = len(NODES) * places[-1].channels
        self.classifier = nn.Linear(outputs, num_classes)
        # After the second reduction images have the size they end with.
        self.watched = max(at for at, place in enumerate(places) if place.reduces)
        self.auxiliary = AuxiliaryHead(outputs, num_classes, running) if auxiliary else None

    def forward(self, x: Tensor, cells: tuple[Cell, Cell]) -> tuple[Tensor, Tensor | None]:
        """Logits (B, num_classes) of images (B, C, H, W), and while training the auxiliary head's.

        Args:
            x: the images.
            cells: a normal and a reduction cell, any edges.
        """
        edges = tuple(live(cell) for cell in cells)
        # Images of one channel have no layout to pass on, and channels first is many times slower.
        x = self.stem(x).contiguous(memory_format=torch.channels_last)
        before = last = F.relu(x)
        auxiliary: Tensor | None = None
        for at, module in enumerate(self.cells):
            cell = cast(CellNetwork, module)
            x = cell(before, last, edges[cell.reduces])
            before, last = last, F.relu(x)
            if at == self.watched and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(last)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits, auxiliary
