"""NAS-Bench-101 (Ying et al., ICML 2019): cells of at most seven vertices and nine edges.

A cell is a graph without cycles from an input to an output over at most five vertices with one of
three operations each, written ``conv3x3~0|maxpool3x3~0+1|output~1+2``: 423,624 cells that are not
isomorphic. An architecture is the upper triangle of its adjacency matrix, 21 sites of two
choices by the vertex they lead to, and the operations of vertices 1 to 5; it belongs to the space
if it has at most nine edges and a path. Vertices on no path change nothing. At the default widths
parameters are those of the benchmark's table.

Where channels do not divide among the vertices that the output reads, the first of them get one
more, so that isomorphic cells written in another order differ by a few parameters when trained
alone, in the benchmark too. In the supernet they are one path.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from kshot_core.checks import check_at_least
from kshot_core.drawing import Edge, Graph
from kshot_core.settings import setting
from kshot_core.space import Arch, Generator, Site, check_arch, in_range, uniform_arch
from kshot_core.spaces._settings import batch_norm_setting, check_batch_norm
from kshot_core.spaces.nasbench101 import text
from kshot_core.spaces.nasbench101.cell import (
    CONV3X3,
    MAX_EDGES,
    MAX_INNER,
    MAXPOOL,
    OPERATIONS,
    Cell,
    canonical,
    channels,
    live,
    on_path,
)
from kshot_core.spaces.nasbench101.network import NUM_STACKS, Network

PAIRS = tuple((source, target) for target in range(1, MAX_INNER + 2) for source in range(target))
"""The vertices that each of the 21 edge sites joins."""
NUM_CHOICES = (2,) * len(PAIRS) + (len(OPERATIONS),) * MAX_INNER


def arch_of(cell: Cell) -> Arch:
    """The architecture of a cell; one of fewer vertices has some without edges."""
    spare = MAX_INNER - len(cell.operations)
    sources = (*cell.sources[:-1], *[()] * spare, cell.sources[-1])
    edges = tuple(int(source in sources[target - 1]) for source, target in PAIRS)
    return edges + cell.operations + (0,) * spare


def cell_of(arch: Arch) -> Cell:
    """The cell of an architecture; vertices without edges at its end are left out."""
    edges, operations = arch[: len(PAIRS)], arch[len(PAIRS) :]
    sources: list[tuple[int, ...]] = [
        tuple(source for (source, t), there in zip(PAIRS, edges, strict=True) if there and t == v)
        for v in range(1, MAX_INNER + 2)
    ]
    read = {source for row in sources for source in row}
    num = MAX_INNER
    while num and not sources[num - 1] and num not in read and operations[num - 1] == 0:
        num -= 1
    return Cell(operations[:num], (*sources[:num], sources[-1]))


@dataclass(frozen=True)
class NASBench101:
    """The space with the sizes of its networks.

    Args:
        channels: of the first convolution and of the first stack; they double in each of the two
            further ones. 128 in the benchmark; 16 makes a supernet that two cores can train.
        cells: cells of each stack. 3 in the benchmark.
        num_classes: outputs of the classifier.
        image_size: height and width of the images in pixels; enters FLOPs only.
        image_channels: channels of the images.
        batch_norm: ``"batch"`` normalises by the batch's own statistics always, ``"running"``
            keeps running averages and uses them in ``eval()``.
    """

    channels: int = setting(128, "of the first convolution (128 in NAS-Bench-101)")
    cells: int = setting(3, "cells of each stack (3 in NAS-Bench-101)")
    num_classes: int = 10
    image_size: int = 32
    image_channels: int = 3
    batch_norm: str = batch_norm_setting()

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        positive = ("channels", "cells", "num_classes", "image_size", "image_channels")
        check_at_least(self, dict.fromkeys(positive, 1))
        if self.channels < MAX_INNER - 1:
            raise ValueError(
                f"channels must be at least {MAX_INNER - 1}, as many as vertices share them, "
                f"got {self.channels}"
            )
        check_batch_norm(self.batch_norm)

    @property
    def name(self) -> str:
        """Name of the space in records."""
        return "nasbench101"

    @property
    def num_choices(self) -> tuple[int, ...]:
        """Whether each of 21 edges is there, and one of three operations at each of 5 vertices."""
        return NUM_CHOICES

    @property
    def width_sites(self) -> tuple[int, ...]:
        """None: channels follow from the graph."""
        return ()

    def sites(self) -> tuple[Site, ...]:
        """Whether each edge is there, then the operations of vertices that an edge leads to."""
        edges = [Site(f"{s}→{t}", ("no", "yes"), is_operation=False) for s, t in PAIRS]
        into = [
            tuple(at for at, (_, target) in enumerate(PAIRS) if target == vertex)
            for vertex in range(1, MAX_INNER + 1)
        ]
        inner = [
            Site(str(vertex), OPERATIONS, needs=needs) for vertex, needs in enumerate(into, start=1)
        ]
        return (*edges, *inner)

    def sample(self, generator: Generator) -> Arch:
        """An architecture, uniform over the graphs and operations that the space has.

        Not over isomorphism classes: a cell that can be written in more ways, dead vertices
        among them, comes up more often.
        """
        while not self.contains(arch := uniform_arch(NUM_CHOICES, generator)):
            pass
        return arch

    def contains(self, arch: Arch) -> bool:
        """Whether it has at most nine edges, and a path from input to output."""
        if not in_range(arch, NUM_CHOICES) or sum(arch[: len(PAIRS)]) > MAX_EDGES:
            return False
        return live(cell_of(arch)) is not None

    def extremes(self) -> tuple[Arch, Arch]:
        """Four poolings that share the channels, of one projection; five 3×3 convolutions."""
        least = Cell((MAXPOOL,) * 4, ((0,), (1,), (1,), (1,), (1, 2, 3, 4)))
        chain = ((0,), (0, 1), (0, 2), (0, 3), (4,), (5,))
        return arch_of(least), arch_of(Cell((CONV3X3,) * MAX_INNER, chain))

    def canonical(self, arch: Arch) -> Arch:
        """The same for all architectures whose live graphs are isomorphic, and one of them."""
        return arch_of(canonical(self._cell(arch)))

    def is_valid(self, arch: Arch) -> bool:
        """Whether a path leads from input to output; every architecture of the space has one."""
        return live(self._cell(arch)) is not None

    def num_convolutions(self, arch: Arch) -> int:
        """Number of live vertices, 0..5, with a convolution."""
        return sum(operation != MAXPOOL for operation in self._live(arch).operations)

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one image in convolutions and in the classifier."""
        return float(self._cost(arch)[0])

    def params(self, arch: Arch) -> int:
        """Trainable scalars of the stand-alone network."""
        return self._cost(arch)[1]

    def _cost(self, arch: Arch) -> tuple[int, int]:
        """Multiply-adds and scalars."""
        cell, size = self._live(arch), self.image_size
        before = self.channels
        weights = 9 * self.image_channels * before
        flops, params = weights * size**2, weights + 2 * before
        for number in range(NUM_STACKS * self.cells):
            outputs = self.channels * 2 ** (number // self.cells)
            if number and number % self.cells == 0:
                size = -(-size // 2)
            widths = channels(cell, outputs)
            # A batch-norm has a scale and a shift for each output.
            made = [outputs] if 0 in cell.sources[-1] else []
            made += [w for w, read in zip(widths, cell.sources, strict=False) if 0 in read]
            weights, normed = before * sum(made), sum(made)
            for width, operation in zip(widths, cell.operations, strict=True):
                if operation != MAXPOOL:
                    weights += (9 if operation == CONV3X3 else 1) * width**2
                    normed += width
            flops += weights * size**2
            params += weights + 2 * normed
            before = outputs
        return flops + before * self.num_classes, params + (before + 1) * self.num_classes

    def to_string(self, arch: Arch) -> str:
        """Operation and sources of each vertex: ``conv3x3~0|maxpool3x3~0+1|output~1+2``."""
        return text.written(self._cell(arch))

    def from_string(self, text_: str) -> Arch:
        """Parse ``to_string``'s text, or the benchmark's matrix and operations.

        Raises:
            ValueError: it is neither, or no cell of the benchmark; the message says what is wrong.
        """
        return arch_of(text.read(text_))

    def _cell(self, arch: Arch) -> Cell:
        return cell_of(check_arch(arch, NUM_CHOICES))

    def _live(self, arch: Arch) -> Cell:
        cell = live(self._cell(arch))
        if cell is None:
            raise ValueError(f"no path leads from the input to the output of {arch}")
        return cell

    def parameter_group(self, name: str) -> str:
        """Group of a supernet parameter: those of one convolution of one vertex serve together."""
        parts = name.split(".")
        if parts[0] != "cells":
            return "fixed"
        # cells.3.vertices.1.choices.conv3x3.conv.weight, cells.3.project.norm.bias
        return "-".join(parts[:-2])

    def drawing(self, arch: Arch) -> tuple[Graph]:
        """The cell as it is written; what lies on no path is faint."""
        cell = self._cell(arch)
        path = on_path(cell)
        edges = [
            Edge(source, target, is_live={source, target} <= path)
            for target, sources in enumerate(cell.sources, start=1)
            for source in sources
        ]
        names = (OPERATIONS[operation] for operation in cell.operations)
        kinds = (operation + 1 for operation in cell.operations)
        return (Graph(("in", *names, "out"), tuple(edges), (0, *kinds, 0)),)

    def supernet(self) -> nn.Module:
        """The weight-sharing network of all architectures, called as ``supernet(images, arch)``."""
        return Supernet(self)

    def standalone(self, arch: Arch) -> nn.Module:
        """The network of one architecture alone, called as ``network(images)``."""
        return Standalone(self, self._live(arch))


class Supernet(Network):
    """All cells' weights."""

    def __init__(self, space: NASBench101) -> None:
        super().__init__(*_sizes(space), None)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        return self.compute(x, canonical(cell_of(check_arch(arch, NUM_CHOICES))))


class Standalone(Network):
    """One cell's own weights."""

    def __init__(self, space: NASBench101, cell: Cell) -> None:
        super().__init__(*_sizes(space), cell)
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        return self.compute(x, self.cell)


def _sizes(space: NASBench101) -> tuple[int, int, int, int, bool]:
    running = space.batch_norm == "running"
    return space.channels, space.cells, space.image_channels, space.num_classes, running
