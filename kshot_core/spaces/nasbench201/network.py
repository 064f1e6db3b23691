"""NAS-Bench-201's networks: the supernet of all cells, and the network of one cell.

Both compute a path the same way: dead edges and ``none`` are never computed, a skip connection is
the tensor itself, and the ReLU and the pooling of a node are computed once for all edges leaving
it. Shapes: B images, C channels, H×W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.space import check_arch
from kshot_core.spaces.nasbench201.many import EDGES, Macro, forward_many
from kshot_core.spaces.nasbench201.pooling import average_3x3
from kshot_core.weights.many import Weights

if TYPE_CHECKING:
    from kshot_core.space import Arch
    from kshot_core.spaces.nasbench201.space import NASBench201


class ConvBN(nn.Module):
    """Convolution without bias, then batch-norm. The ReLU before it belongs to the node."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, affine: bool, running: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine, track_running_stats=running)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H/stride, W/stride)."""
        normed: Tensor = self.norm(self.conv(x))
        return normed


class Reduction(nn.Module):
    """Basic residual block of stride 2 between stages."""

    def __init__(self, inputs: int, running: bool) -> None:
        super().__init__()
        outputs = 2 * inputs
        self.conv_a = ConvBN(inputs, outputs, 3, 2, True, running)
        self.conv_b = ConvBN(outputs, outputs, 3, 1, True, running)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2C, H/2, W/2)."""
        residual = self.conv_b(F.relu(self.conv_a(F.relu(x))))
        # ceil_mode keeps the shortcut as large as the strided convolution at odd sizes.
        shortcut = self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False))
        total: Tensor = residual + shortcut
        return total


class Cell(nn.Module):
    """The operations with weights of one cell; which of them run is said by the live arch."""

    def __init__(
        self, channels: int, choices: tuple[tuple[int, ...], ...], affine: bool, running: bool
    ) -> None:
        super().__init__()
        kernels = {2: 1, 3: 3}
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {
                    str(choice): ConvBN(channels, channels, kernels[choice], 1, affine, running)
                    for choice in edge
                    if choice in kernels
                }
            )
            for edge in choices
        )

    def forward(self, x: Tensor, live: Arch) -> Tensor:
        """Sum the live edges into each node; (B, C, H, W) to the same shape."""
        if not any(live):
            return x.new_zeros(()).expand_as(x)
        nodes: list[Tensor | None] = [x, None, None, None]
        rectified: dict[int, Tensor] = {}
        pooled: dict[int, Tensor] = {}
        for edge, choice in enumerate(live):
            if choice == 0:
                continue
            source, target = EDGES[edge]
            value = nodes[source]
            assert value is not None, "a live edge starts at a node that was reached"
            if choice == 4:
                if source not in pooled:
                    pooled[source] = average_3x3(value)
                value = pooled[source]
            elif choice != 1:
                if source not in rectified:
                    rectified[source] = F.relu(value)
                value = self.edges[edge][str(choice)](rectified[source])  # type: ignore[index]
            previous = nodes[target]
            nodes[target] = value if previous is None else previous + value
        output = nodes[3]
        assert output is not None, "a live cell reaches its output"
        return output


class _Macro(nn.Module):
    """Stem, three stages of cells with reductions between them, classifier."""

    def __init__(
        self, space: NASBench201, choices: tuple[tuple[int, ...], ...], affine: bool
    ) -> None:
        super().__init__()
        running = space.batch_norm == "running"
        self.running, self.affine = running, affine
        self.num_choices = space.num_choices
        self.canonical = space.canonical
        self.cells_per_stage = space.cells
        width = space.channels
        self.stem = ConvBN(space.image_channels, width, 3, 1, True, running)
        self.cells = nn.ModuleList()
        self.reductions = nn.ModuleList()
        for stage in range(3):
            if stage > 0:
                self.reductions.append(Reduction(width, running))
                width *= 2
            for _ in range(space.cells):
                self.cells.append(Cell(width, choices, affine, running))
        self.norm = nn.BatchNorm2d(width, track_running_stats=running)
        self.classifier = nn.Linear(width, space.num_classes)

    def compute(self, x: Tensor, live: Arch) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W) along the live edges."""
        x = self.stem(x)
        for index, cell in enumerate(self.cells):
            if index > 0 and index % self.cells_per_stage == 0:
                x = self.reductions[index // self.cells_per_stage - 1](x)
            x = cell(x, live)
        logits: Tensor = self.classifier(F.relu(self.norm(x)).mean((2, 3)))
        return logits

    def forward_many(self, x: Tensor, archs: Sequence[Arch], weights: Weights) -> Tensor:
        """Logits (m, B, num_classes) of m architectures in one pass; see ``ManyPaths``."""
        macro = Macro(self.cells_per_stage, self.running, self.affine, self.training)
        live = [self.canonical(check_arch(arch, self.num_choices)) for arch in archs]
        return forward_many(macro, x, live, weights)


class Supernet(_Macro):
    """Every operation on every edge; ``supernet(images, arch)`` runs one path.

    The architecture is an argument, never state, and the module knows nothing of K.
    """

    def __init__(self, space: NASBench201) -> None:
        super().__init__(space, (tuple(range(5)),) * 6, space.affine)

    @property
    def runs_many_paths(self) -> bool:
        """Not under running statistics, which the paths of a pass would have to update in turn."""
        return not self.running

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        return self.compute(x, self.canonical(check_arch(arch, self.num_choices)))


class Standalone(_Macro):
    """One architecture's own operations, as the benchmark trains it (affine batch-norms)."""

    def __init__(self, space: NASBench201, arch: Arch) -> None:
        super().__init__(space, tuple((choice,) for choice in arch), True)
        self.live = space.canonical(arch)

    @property
    def runs_many_paths(self) -> bool:
        """Always: every member has its own statistics."""
        return True

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        return self.compute(x, self.live)
