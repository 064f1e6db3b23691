"""The NAS-Bench-201 cell space (Dong & Yang, ICLR 2020): 4 nodes, 6 edges, 5 operations.

Sites are the six edges in the benchmark's order 0→1, 0→2, 1→2, 0→3, 1→3, 2→3. An edge is *live*
when it carries data from the cell's input to its output; the others can be left out of a forward
pass without changing it. Of the 15,625 cells 9,445 differ in their live edges and 341 have none.

Under batch-norm with a shift or running averages, a convolution of a node that no data reaches
would add a constant to each channel. It carries nothing of the input and is left out all the same.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from torch import nn

from kshot_core.checks import check_at_least
from kshot_core.drawing import Edge, Graph
from kshot_core.settings import setting
from kshot_core.space import Arch, Generator, Site, check_arch, compact, in_range, uniform_arch
from kshot_core.spaces._settings import batch_norm_setting, check_batch_norm
from kshot_core.spaces.nasbench201.many import EDGES
from kshot_core.spaces.nasbench201.network import Standalone, Supernet

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV_1X1, CONV_3X3, POOL = range(5)
_DRAWN = (("", 0), ("skip", 0), ("1×1", 1), ("3×3", 3), ("pool", 2))
"""Label and kind of each operation in drawings."""
NUM_ARCHS = len(OPERATIONS) ** len(EDGES)
# The benchmark's authors listed all cells in product order and shuffled the list with Python's
# generator seeded by this number; its index is a position in that shuffled list.
_SHUFFLE_SEED = 88


@dataclass(frozen=True)
class NASBench201:
    """The space with its macro structure: stem, three stages of ``cells`` cells, a classifier.

    Args:
        channels: width of the first stage; it doubles at each of the two reductions. 16 in the
            benchmark.
        cells: cells per stage (N). 5 in the benchmark.
        num_classes: outputs of the classifier.
        image_size: height and width of the images in pixels; enters FLOPs only.
        image_channels: channels of the images.
        batch_norm: ``"batch"`` normalises by the batch's own statistics always, ``"running"``
            keeps running averages and uses them in ``eval()``. The benchmark's stand-alone
            networks use running averages; supernets rank well with batch statistics only.
        affine: whether the batch-norms inside the cells have scale and shift. The published
            supernets have none there (stem, reductions and the last one always have).
    """

    channels: int = setting(
        16, "width of the network's first stage (16 in NAS-Bench-201)", often=True
    )
    cells: int = setting(5, "cells a stage (5 in NAS-Bench-201)", often=True)
    num_classes: int = 10
    image_size: int = 32
    image_channels: int = 3
    batch_norm: str = batch_norm_setting()
    affine: bool = setting(False, "scale and shift in the cells' batch-norms", alone=True)

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        positive = ("channels", "cells", "num_classes", "image_channels")
        check_at_least(self, dict.fromkeys(positive, 1))
        if self.image_size < 4:
            raise ValueError(f"image_size must be at least 4 pixels, got {self.image_size}")
        check_batch_norm(self.batch_norm)

    @property
    def name(self) -> str:
        """Name of the space in records."""
        return "nasbench201"

    @property
    def num_choices(self) -> tuple[int, ...]:
        """Five operations on each of six edges."""
        return (len(OPERATIONS),) * len(EDGES)

    @property
    def width_sites(self) -> tuple[int, ...]:
        """None: widths are fixed."""
        return ()

    def sites(self) -> tuple[Site, ...]:
        """The edges, by the nodes that they join."""
        return tuple(Site(f"{source}→{target}", OPERATIONS) for source, target in EDGES)

    def sample(self, generator: Generator) -> Arch:
        """An architecture, every site's choice uniform."""
        return uniform_arch(self.num_choices, generator)

    def contains(self, arch: Arch) -> bool:
        """Whether every site has one of its choices."""
        return in_range(arch, self.num_choices)

    def extremes(self) -> tuple[Arch, Arch]:
        """No operation anywhere; 3×3 convolutions everywhere."""
        return (NONE,) * len(EDGES), (CONV_3X3,) * len(EDGES)

    def canonical(self, arch: Arch) -> Arch:
        """``arch`` with every dead edge set to ``none``: equal for equal live cells."""
        return canonical(check_arch(arch, self.num_choices))

    def is_valid(self, arch: Arch) -> bool:
        """Whether a path of operations joins the cell's input to its output."""
        return any(self.canonical(arch))

    def num_convolutions(self, arch: Arch) -> int:
        """Number of live edges that carry a convolution, 0..6."""
        return sum(choice in (CONV_1X1, CONV_3X3) for choice in self.canonical(arch))

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one image as the benchmark counts them: every edge, live or not.

        Convolutions, the classifier and its bias are counted; batch-norm, pooling and additions
        are not. For channels 16, cells 5, 32×32 and 10 classes this is the benchmark's ``flops``
        column times 1e6.
        """
        return self._flops(check_arch(arch, self.num_choices))

    def live_flops(self, arch: Arch) -> float:
        """Multiply-adds of the live edges alone: what a forward pass really costs."""
        return self._flops(self.canonical(arch))

    def _flops(self, arch: Arch) -> float:
        kernels = sum({CONV_1X1: 1, CONV_3X3: 9}.get(choice, 0) for choice in arch)
        total, size, width = 0, self.image_size, self.channels
        total += 9 * self.image_channels * width * size**2
        for stage in range(3):
            if stage > 0:
                # A reduction is a basic residual block of stride 2: two 3×3 convolutions and a
                # 1×1 shortcut after 2×2 pooling. All of them round odd sizes up.
                size, width = (size + 1) // 2, width * 2
                total += (9 * width // 2 * width + 9 * width * width) * size**2
                total += width // 2 * width * size**2
            total += self.cells * kernels * width * width * size**2
        return float(total + width * self.num_classes + self.num_classes)

    def params(self, arch: Arch) -> int:
        """Trainable scalars of the stand-alone network, dead edges included as in the benchmark."""
        return self._params(check_arch(arch, self.num_choices))

    def live_params(self, arch: Arch) -> int:
        """Trainable scalars that the output depends on: the strongest training-free control."""
        return self._params(self.canonical(arch))

    def _params(self, arch: Arch) -> int:
        width = self.channels
        total = 9 * self.image_channels * width + 2 * width
        for stage in range(3):
            if stage > 0:
                width *= 2
                total += 9 * width // 2 * width + 9 * width * width + width // 2 * width + 4 * width
            for choice in arch:
                if choice in (CONV_1X1, CONV_3X3):
                    kernel = 9 if choice == CONV_3X3 else 1
                    total += self.cells * (kernel * width * width + 2 * width)
        return total + 2 * width + width * self.num_classes + self.num_classes

    def to_string(self, arch: Arch) -> str:
        """The benchmark's text, e.g. ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|``."""
        return to_string(check_arch(arch, self.num_choices))

    def from_string(self, text: str) -> Arch:
        """Parse the benchmark's text. Raises ``ValueError`` saying what is wrong with it."""
        return from_string(text)

    def archs(self) -> list[Arch]:
        """All 15,625 architectures in the benchmark's order."""
        return list(_archs_by_index())

    def index(self, arch: Arch) -> int:
        """The benchmark's index 0..15,624 of an architecture."""
        return _index_by_arch()[check_arch(arch, self.num_choices)]

    def from_index(self, index: int) -> Arch:
        """The architecture at the benchmark's index. Raises ``ValueError`` outside 0..15,624."""
        if not 0 <= index < NUM_ARCHS:
            raise ValueError(f"an index is 0..{NUM_ARCHS - 1}, got {index}")
        return _archs_by_index()[index]

    def parameter_group(self, name: str) -> str:
        """Group of a supernet parameter: those of one operation on one edge serve together."""
        parts = name.split(".")
        return "-".join(["edge", *parts[3:5]]) if parts[0] == "cells" else "fixed"

    def drawing(self, arch: Arch) -> tuple[Graph]:
        """The cell's four nodes, placed so that no two edges cross, and what is on its edges."""
        live = self.canonical(arch)
        edges = tuple(
            Edge(*ends, *_DRAWN[choice], is_there=choice != NONE, is_live=alive != NONE)
            for ends, choice, alive in zip(EDGES, arch, live, strict=True)
        )
        places = ((0.0, 0.0), (2.0, 2.0), (2.0, 0.8), (4.0, 0.0))
        return (Graph(("in", "1", "2", "out"), edges, places=places),)

    def supernet(self) -> Supernet:
        """The weight-sharing network of all architectures, called as ``supernet(images, arch)``."""
        return Supernet(self)

    def standalone(self, arch: Arch) -> nn.Module:
        """The network of one architecture alone, called as ``network(images)``."""
        return Standalone(self, check_arch(arch, self.num_choices))


@cache
def canonical(arch: Arch) -> Arch:
    """Replace the operations of dead edges by ``none``."""
    reached = {0}
    for (source, target), choice in zip(EDGES, arch, strict=True):
        if choice != NONE and source in reached:
            reached.add(target)
    needed = {3}
    for (source, target), choice in reversed(list(zip(EDGES, arch, strict=True))):
        if choice != NONE and target in needed:
            needed.add(source)
    return tuple(
        choice if source in reached and target in needed else NONE
        for (source, target), choice in zip(EDGES, arch, strict=True)
    )


def to_string(arch: Arch) -> str:
    """Write an architecture as the benchmark does."""
    choices = iter(arch)
    return "+".join(
        "|" + "|".join(f"{OPERATIONS[next(choices)]}~{node}" for node in range(num)) + "|"
        for num in (1, 2, 3)
    )


def from_string(text: str) -> Arch:
    """Read an architecture as the benchmark writes it; white space means nothing."""
    text = compact(text)
    choices = list(_parse(text))
    arch = tuple(choices)
    if len(arch) != len(EDGES) or to_string(arch) != text:
        raise ValueError(
            "a NAS-Bench-201 architecture reads |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, "
            f"got {text[:120]!r}"
        )
    return arch


def _parse(text: str) -> Iterator[int]:
    for field in text.replace("+", "|").split("|"):
        operation = field.partition("~")[0]
        if operation:
            if operation not in OPERATIONS:
                raise ValueError(f"an operation is one of {OPERATIONS}, got {operation[:60]!r}")
            yield OPERATIONS.index(operation)


@cache
def _archs_by_index() -> tuple[Arch, ...]:
    archs: list[Arch] = list(itertools.product(range(len(OPERATIONS)), repeat=len(EDGES)))
    random.Random(_SHUFFLE_SEED).shuffle(archs)
    return tuple(archs)


@cache
def _index_by_arch() -> dict[Arch, int]:
    return {arch: index for index, arch in enumerate(_archs_by_index())}
