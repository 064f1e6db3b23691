"""DARTS's space for small images (Liu et al., ICLR 2019): a normal and a reduction cell.

The network is a stem, ``layers`` cells, pooling and a linear classifier. The cells at a third and
at two thirds of the depth are reduction cells, which halve the images and double the channels; all
others are normal ones. All cells of a kind are alike, so an architecture describes two cells, see
``kshot_core/spaces/darts/genotype.py``. In the supernet every cell has weights of its own for each
operation on each edge, as DARTS's search network has.

What differs from DARTS's search network: one path runs and not the weighted sum of all, so that
pooling needs no batch-norm after it. Without ``none`` the space is that of the stand-alone
accuracies of *How Does Supernet Help in NAS?* and of NAS-Bench-301.

At 36 channels and 20 layers parameters are the published ones (DARTS V2: 3,349,342), and the
multiply-adds those of all convolutions and of the classifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from kshot_core.checks import check_at_least, check_not_negative
from kshot_core.drawing import Edge, Graph
from kshot_core.settings import ALONE, setting
from kshot_core.space import Arch, Generator, Site, check_arch, in_range, uniform_arch
from kshot_core.spaces._settings import batch_norm_setting, check_batch_norm
from kshot_core.spaces.darts.genotype import (
    CELLS,
    EDGES,
    NODES,
    NONE,
    NUM_SITES,
    OPERATIONS,
    PAIRS,
    Cell,
    cell_of,
    choices_of,
    has_none,
    live,
    read,
    representative,
    written,
)
from kshot_core.spaces.darts.network import AUXILIARY_HIDDEN, Network, Place, Possible, has_weights

_MOST = OPERATIONS.index("sep_conv_5x5")
_LABELS = (
    ("max", 3), ("avg", 3), ("skip", 0), ("sep 3", 1), ("sep 5", 2), ("dil 3", 4), ("dil 5", 5),
    ("", 0),
)  # fmt: skip
"""Label and kind of each operation in drawings."""
_STEM = 3
"""Channels of the stem over those of the first cell."""
_AUXILIARY_SIZES = range(29, 41)
"""Heights and widths of images that the auxiliary head's layers fit."""


@dataclass(frozen=True)
class DARTS:
    """The space with its macro structure.

    Args:
        channels: of a node in the first cells; they double at each of the two reductions. 36 in
            the published networks, 16 in DARTS's search.
        layers: number of cells. 20 in the published networks, 8 in DARTS's search.
        num_classes: outputs of the classifier.
        image_size: height and width of the images in pixels; enters FLOPs only.
        image_channels: channels of the images.
        zero: whether ``none`` is among the operations to choose from: 8 of them, or 7 without.
        auxiliary: weight of the auxiliary head's loss where an architecture is trained alone (.4 as
            published); 0 for no such head. Supernets have none.
        batch_norm: ``"batch"`` normalises by the batch's own statistics always, ``"running"``
            keeps running averages and uses them in ``eval()``.
        affine: whether the batch-norms inside the supernet's cells have scale and shift. DARTS's
            search network has none there; stand-alone networks always have.
    """

    channels: int = setting(36, "of a node in the first cells (36 as published, 16 in its search)")
    layers: int = setting(20, "number of cells (20 as published, 8 in its search)")
    num_classes: int = 10
    image_size: int = 32
    image_channels: int = 3
    zero: bool = setting(True, "whether none is among the operations to choose from")
    auxiliary: float = setting(
        0.0,
        "weight of the auxiliary head's loss (.4 as published); 0 for no such head",
        needs=ALONE,
    )
    batch_norm: str = batch_norm_setting()
    affine: bool = setting(False, "scale and shift in the cells' batch-norms", alone=True)

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_at_least(self, {"channels": 1, "num_classes": 1, "image_channels": 1})
        # With fewer there is no normal cell, or one reduction.
        check_at_least(self, {"layers": 3, "image_size": 4})
        check_not_negative(self, "auxiliary")
        if self.auxiliary and self.image_size not in _AUXILIARY_SIZES:
            raise ValueError(
                f"the auxiliary head takes images of {_AUXILIARY_SIZES.start} to "
                f"{_AUXILIARY_SIZES[-1]} pixels, got image_size {self.image_size}; auxiliary 0 "
                "leaves it out"
            )
        check_batch_norm(self.batch_norm)

    @property
    def name(self) -> str:
        """Name of the space in records."""
        return "darts"

    @property
    def num_operations(self) -> int:
        """Operations to choose from on an edge."""
        return len(OPERATIONS) if self.zero else NONE

    @property
    def num_choices(self) -> tuple[int, ...]:
        """By cell and node the pair of earlier nodes, then an operation on each of the two."""
        cell: list[int] = []
        for node in NODES:
            cell += [len(PAIRS[node])] if len(PAIRS[node]) > 1 else []
            cell += [self.num_operations] * 2
        return tuple(cell * len(CELLS))

    @property
    def width_sites(self) -> tuple[int, ...]:
        """None: widths are fixed."""
        return ()

    def sites(self) -> tuple[Site, ...]:
        """By cell and node the pair of earlier nodes, then the operations on its two edges."""
        operations = OPERATIONS[: self.num_operations]
        sites: list[Site] = []
        for cell in CELLS:
            for node in NODES:
                pairs = tuple(f"{first} {second}" for first, second in PAIRS[node])
                if len(pairs) > 1:
                    sites.append(Site(f"{cell} {node} reads", pairs, is_operation=False))
                sites += [Site(f"{cell} {node} {which}", operations) for which in ("a", "b")]
        return tuple(sites)

    def sample(self, generator: Generator) -> Arch:
        """An architecture, every site's choice uniform."""
        return uniform_arch(self.num_choices, generator)

    def contains(self, arch: Arch) -> bool:
        """Whether every site has one of its choices."""
        return in_range(arch, self.num_choices)

    def extremes(self) -> tuple[Arch, Arch]:
        """Pooling everywhere; 5×5 separable convolutions everywhere."""
        cells = (
            choices_of(tuple(tuple((source, choice) for source in (0, 1)) for _ in NODES))
            for choice in (0, _MOST)
        )
        least, most = (cell * len(CELLS) for cell in cells)
        return least, most

    def cells(self, arch: Arch) -> tuple[Cell, Cell]:
        """The normal and the reduction cell of an architecture."""
        arch = check_arch(arch, self.num_choices)
        return cell_of(arch[:NUM_SITES]), cell_of(arch[NUM_SITES:])

    def canonical(self, arch: Arch) -> Arch:
        """``arch`` with ``none`` on every edge that carries nothing, from the earliest nodes."""
        normal, reduction = self.cells(arch)
        return choices_of(representative(normal)) + choices_of(representative(reduction))

    def is_valid(self, arch: Arch) -> bool:
        """Whether the last cell holds anything of the images; always without ``none``."""
        cells = self.cells(arch)
        before = last = True
        for place in self.places():
            nodes = live(cells[place.reduces], (before, last))
            before, last = last, any(nodes)
        return last

    def num_convolutions(self, arch: Arch) -> int:
        """Number of live edges of both cells that carry a convolution, 0..16."""
        edges = (edge for cell in self.cells(arch) for node in live(cell) for edge in node)
        return sum("conv" in OPERATIONS[choice] for _, choice in edges)

    def places(self) -> Iterator[Place]:
        """Where each cell stands."""
        before = last = _STEM * self.channels
        channels, after_reduction = self.channels, False
        for layer in range(self.layers):
            reduces = layer in (self.layers // 3, 2 * self.layers // 3)
            channels *= 2 if reduces else 1
            yield Place(before, last, channels, reduces, after_reduction)
            before, last, after_reduction = last, len(NODES) * channels, reduces

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one image in the convolutions of every edge and in the classifier.

        Edges count whether they carry anything or not, as in the published networks. The auxiliary
        head runs in training only, and does not count.
        """
        return float(self._cost(arch)[0])

    def params(self, arch: Arch) -> int:
        """Trainable scalars of the stand-alone network, the auxiliary head's among them."""
        return self._cost(arch)[1]

    def _cost(self, arch: Arch) -> tuple[int, int]:
        """Multiply-adds and scalars."""
        cells, size = self.cells(arch), self.image_size
        stem = _STEM * self.channels
        flops = 9 * self.image_channels * stem * size**2
        params = 9 * self.image_channels * stem + 2 * stem
        outputs = 0
        for place in self.places():
            width, outputs = place.channels, len(NODES) * place.channels
            joined = (place.before + place.last) * width
            flops, params = flops + joined * size**2, params + joined + 4 * width
            size = -(-size // 2) if place.reduces else size
            for node in cells[place.reduces]:
                for source, choice in node:
                    if has_weights(choice, 2 if place.reduces and source < 2 else 1):
                        weights, num_norms = _weights(choice, width)
                        flops += weights * size**2
                        params += weights + 2 * num_norms * width
        flops += outputs * self.num_classes
        params += (outputs + 1) * self.num_classes
        if self.auxiliary:
            hidden, features = AUXILIARY_HIDDEN
            params += outputs * hidden + 2 * hidden + 4 * hidden * features + 2 * features
            params += (features + 1) * self.num_classes
        return flops, params

    def to_string(self, arch: Arch) -> str:
        """The genotype as DARTS prints it, without spaces: ``Genotype(normal=[...],...)``."""
        return written(self.cells(arch))

    def from_string(self, text: str) -> Arch:
        """Parse a genotype. Raises ``ValueError`` saying what is wrong with it.

        The two edges of a node may stand in either order.
        """
        normal, reduction = read(text)
        if not self.zero and (has_none(normal) or has_none(reduction)):
            raise ValueError(f"a space without its zero operation has no none, got {text[:60]!r}")
        return choices_of(normal) + choices_of(reduction)

    def drawing(self, arch: Arch) -> tuple[Graph, Graph]:
        """Both cells: their two inputs, four nodes, and the output that joins these."""
        normal, reduction = (
            _drawn(name, cell, live(cell))
            for name, cell in zip(CELLS, self.cells(arch), strict=True)
        )
        return normal, reduction

    def parameter_group(self, name: str) -> str:
        """Group of a supernet parameter: those of one operation on one edge serve together.

        An edge is that of all cells of a kind.
        """
        parts = name.split(".")
        if parts[1] != "cells" or parts[3] != "edges":
            return "fixed"
        kinds = [CELLS[place.reduces] for place in self.places()]
        return "-".join([kinds[int(parts[2])], *parts[4:6]])

    def supernet(self) -> nn.Module:
        """The weight-sharing network, called as ``supernet(images, arch)``."""
        return Supernet(self)

    def standalone(self, arch: Arch) -> nn.Module:
        """The network of one architecture alone, called as ``network(images)``."""
        return Standalone(self, arch)

    def network(self, possible: tuple[Possible, Possible], *, alone: bool) -> Network:
        """A network with the edges that are possible in normal and in reduction cells."""
        return Network(
            list(self.places()),
            possible,
            _STEM * self.channels,
            self.image_channels,
            self.num_classes,
            alone or self.affine,
            self.batch_norm == "running",
            alone and self.auxiliary > 0,
        )


class Supernet(nn.Module):
    """Every operation on every edge; ``supernet(images, arch)`` runs one path."""

    def __init__(self, space: DARTS) -> None:
        super().__init__()
        self.space = space
        every = [(node, source, range(space.num_operations)) for node, source in EDGES]
        self.network = space.network((every, every), alone=False)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        cells = self.space.cells(arch)
        logits: Tensor = self.network(x, cells)[0]
        return logits


class Standalone(nn.Module):
    """Two cells' own operations."""

    def __init__(self, space: DARTS, arch: Arch) -> None:
        super().__init__()
        self.cells = space.cells(arch)
        normal, reduction = (_chosen(cell) for cell in self.cells)
        self.network = space.network((normal, reduction), alone=True)
        self.auxiliary_weight = space.auxiliary
        self.auxiliary_outputs: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W); see ``WithAuxiliary``."""
        logits: Tensor
        logits, self.auxiliary_outputs = self.network(x, self.cells)
        return logits


def _chosen(cell: Cell) -> Sequence[tuple[int, int, tuple[int]]]:
    return [
        (node, source, (choice,))
        for node, edges in zip(NODES, cell, strict=True)
        for source, choice in edges
    ]


def _drawn(name: str, cell: Cell, alive: Cell) -> Graph:
    edges = [
        Edge(
            source, node, *_LABELS[choice], is_there=choice != NONE,
            is_live=(source, choice) in reaching,
        )
        for node, ends, reaching in zip(NODES, cell, alive, strict=True)
        for source, choice in ends
    ]  # fmt: skip
    last = NODES[-1] + 1
    edges += [Edge(node, last, is_live=bool(alive[at])) for at, node in enumerate(NODES)]
    return Graph(("k-2", "k-1", "0", "1", "2", "3", "out"), tuple(edges), name=name)


def _weights(choice: int, width: int) -> tuple[int, int]:
    """Weights of an edge's convolutions, all at the cell's output size, and its batch-norms."""
    name = OPERATIONS[choice]
    if "conv" not in name:
        return width * width, 1
    once = int(name[-1]) ** 2 * width + width * width
    return (2 * once, 2) if name.startswith("sep") else (once, 1)
