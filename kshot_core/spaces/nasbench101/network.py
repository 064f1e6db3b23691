"""The networks of NAS-Bench-101 (Ying et al., ICML 2019): all cells in one, and one cell's own.

A 3×3 convolution, three stacks of cells with max-pooling between them and twice the channels in
the second and third, the mean over pixels, and a linear classifier. In a cell every vertex adds up
what it reads, cut to its own channels, where the cell's input goes through a 1×1 convolution of the
vertex's own; then it applies its operation. The output has the vertices it reads side by side, and
adds the cell's input, through a 1×1 convolution, if it reads that too. Each convolution is
followed by batch-norm and ReLU.

How the supernet shares weights. Its cells have five vertices, each with a 3×3 and a 1×1
convolution and a projection of the input at the full width of the stack. A cell takes them in
the order of its canonical form, so that isomorphic cells are the same path. A vertex of fewer
channels uses the leading ones of its weights, inputs and outputs both. What a weight of a later
cell reads from the leading channels of its input therefore is another vertex's in another cell.
Shapes: B images, C channels, H×W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.spaces.mobilenetv2.network import ConvBN
from kshot_core.spaces.nasbench101.cell import CONV3X3, MAX_INNER, MAXPOOL, Cell, channels

NUM_STACKS = 3
_KERNELS = {"conv3x3": 3, "conv1x1": 1}


class Vertex(nn.Module):
    """The convolutions that a vertex can apply, and the projection of the cell's input.

    Args:
        inputs: channels of the cell's input; 0 where the vertex never reads it.
        outputs: channels of the vertex, at most.
        convolutions: names of those it has.
        running: batch-norms keep running statistics.
    """

    def __init__(
        self, inputs: int, outputs: int, convolutions: Sequence[str], running: bool
    ) -> None:
        super().__init__()
        self.project = ConvBN(inputs, outputs, 1, 1, 1, running) if inputs else None
        self.choices = nn.ModuleDict(
            {name: ConvBN(outputs, outputs, _KERNELS[name], 1, 1, running) for name in convolutions}
        )

    def forward(
        self, read: Sequence[Tensor], whole: Tensor | None, operation: int, outputs: int
    ) -> Tensor:
        """(B, outputs, H, W) of the vertices it reads, and the cell's input where it does."""
        parts = [one[:, :outputs] for one in read]
        if whole is not None:
            assert self.project is not None
            parts.append(F.relu(self.project(whole, outputs)))
        x = parts[0]
        for part in parts[1:]:
            x = x + part
        if operation == MAXPOOL:
            return F.max_pool2d(x, 3, 1, 1)
        name = "conv3x3" if operation == CONV3X3 else "conv1x1"
        y: Tensor = self.choices[name](x, outputs)
        return F.relu(y)


class CellNetwork(nn.Module):
    """The vertices of one cell of the network.

    Args:
        vertices: the inner ones.
        project: of the cell's input, where the output reads it.
    """

    def __init__(self, vertices: Sequence[Vertex], project: ConvBN | None) -> None:
        super().__init__()
        self.vertices = nn.ModuleList(vertices)
        self.project = project

    def forward(self, x: Tensor, cell: Cell, outputs: int) -> Tensor:
        """(B, C, H, W) to (B, outputs, H, W)."""
        values = [x]
        for vertex, operation, sources, width in zip(
            self.vertices, cell.operations, cell.sources, channels(cell, outputs), strict=False
        ):
            read = [values[source] for source in sources if source]
            values.append(vertex(read, x if 0 in sources else None, operation, width))
        parts = [values[source] for source in cell.sources[-1] if source]
        joined = torch.cat(parts, 1) if len(parts) > 1 else parts[0] if parts else None
        if 0 not in cell.sources[-1]:
            assert joined is not None
            return joined
        assert self.project is not None
        projected = F.relu(self.project(x, outputs))
        return projected if joined is None else joined + projected


class Network(nn.Module):
    """Stem, cells, classifier.

    Args:
        stem: channels of the first convolution and of the first stack.
        num_cells: cells of each stack.
        image_channels: of the images.
        num_classes: outputs of the classifier.
        running: batch-norms keep running statistics.
        cell: the one cell there is; None for all of them.
    """

    def __init__(
        self,
        stem: int,
        num_cells: int,
        image_channels: int,
        num_classes: int,
        running: bool,
        cell: Cell | None,
    ) -> None:
        super().__init__()
        self.num_cells = num_cells
        self.stem = ConvBN(image_channels, stem, 3, 1, 1, running)
        self.widths = [stem * 2**stack for stack in range(NUM_STACKS) for _ in range(num_cells)]
        inputs = [stem, *self.widths[:-1]]
        self.cells = nn.ModuleList(
            _all_cells(before, width, running)
            if cell is None
            else _one_cell(before, width, running, cell)
            for before, width in zip(inputs, self.widths, strict=True)
        )
        self.classifier = nn.Linear(self.widths[-1], num_classes)

    def compute(self, x: Tensor, cell: Cell) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W) along a cell without dead vertices."""
        x = F.relu(self.stem(x, self.widths[0]))
        x = x.contiguous(memory_format=torch.channels_last)
        for number, (module, width) in enumerate(zip(self.cells, self.widths, strict=True)):
            if number and number % self.num_cells == 0:
                x = F.max_pool2d(x, 2, 2, ceil_mode=True)
            x = cast(CellNetwork, module)(x, cell, width)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def _all_cells(inputs: int, outputs: int, running: bool) -> CellNetwork:
    vertices = [Vertex(inputs, outputs, tuple(_KERNELS), running) for _ in range(MAX_INNER)]
    return CellNetwork(vertices, ConvBN(inputs, outputs, 1, 1, 1, running))


def _one_cell(inputs: int, outputs: int, running: bool, cell: Cell) -> CellNetwork:
    names = {CONV3X3: ("conv3x3",), MAXPOOL: ()}
    vertices = [
        Vertex(inputs if 0 in sources else 0, width, names.get(operation, ("conv1x1",)), running)
        for operation, sources, width in zip(
            cell.operations, cell.sources, channels(cell, outputs), strict=False
        )
    ]
    reads = 0 in cell.sources[-1]
    return CellNetwork(vertices, ConvBN(inputs, outputs, 1, 1, 1, running) if reads else None)
