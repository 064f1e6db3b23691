"""Many NAS-Bench-201 paths in one pass: equal operations of different members run as one kernel.

Members' tensors are joined along the channels where an operation with weights takes several of
them: a convolution of n members is one convolution of n groups, and batch-norm's statistics per
channel are statistics per member. Whatever leaves a node by the same operation, to any target,
goes through it together. In between each member has tensors of its own, so a skip connection costs
nothing and a sum only its operands. All images are in channels-last memory.

Shapes: m members, n (member, edge) pairs of one operation, B images of a member, C channels,
H×W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from kshot_core.space import Arch
from kshot_core.spaces.nasbench201.pooling import average_3x3
from kshot_core.weights.many import Members, Weights

Sites = list[tuple[str, Members]]
"""Modules by name, and the members that go through each, in the order of the channels."""


@dataclass(frozen=True)
class Macro:
    """What of the network is not in the architecture.

    Args:
        cells: cells a stage.
        running: batch-norm keeps running statistics, and uses them in evaluation.
        affine: the batch-norms inside cells have scale and shift.
        training: as of ``nn.Module``.
    """

    cells: int
    running: bool
    affine: bool
    training: bool


def forward_many(macro: Macro, x: Tensor, lives: Sequence[Arch], weights: Weights) -> Tensor:
    """Logits (m, B, num_classes) along the live edges ``lives``; see ``ManyPaths``."""
    m = len(lives)
    everyone = tuple(range(m))
    layers = _Layers(macro, weights)
    routes = _routes(tuple(lives))
    # Expanded images are the same ones for every member, and one stem convolution's input.
    shared = x.stride(0) == 0
    joined = x[0] if shared else x.transpose(0, 1).flatten(1, 2)
    joined = joined.contiguous(memory_format=torch.channels_last)
    joined = layers.conv([("stem.conv", everyone)], joined, shared=shared)
    joined = layers.norm([("stem.norm", everyone)], joined, affine=True)
    members = joined.chunk(m, 1)
    for index in range(3 * macro.cells):
        if index > 0 and index % macro.cells == 0:
            joined = torch.cat(members, 1)
            joined = _reduction(layers, f"reductions.{index // macro.cells - 1}", everyone, joined)
            members = joined.chunk(m, 1)
        members = _cell(layers, f"cells.{index}", members, routes)
    joined = F.relu(layers.norm([("norm", everyone)], torch.cat(members, 1), affine=True))
    features = joined.mean((2, 3)).view(len(joined), m, -1).transpose(0, 1)
    matrix = weights.take("classifier.weight", everyone)
    bias = weights.take("classifier.bias", everyone)
    return torch.baddbmm(bias[:, None], features, matrix.transpose(1, 2))


class _Layers:
    """Layers with weights, of several members each."""

    def __init__(self, macro: Macro, weights: Weights) -> None:
        self.macro = macro
        self.weights = weights

    def conv(self, sites: Sites, x: Tensor, stride: int = 1, shared: bool = False) -> Tensor:
        """(B, n·C, H, W) to (B, n·C', H', W'); ``shared``: all members see (B, C, H, W)."""
        weight = self._stacked(sites, "weight").flatten(0, 1)
        groups = 1 if shared else sum(len(members) for _, members in sites)
        kernel = weight.shape[-1]
        if kernel == 1:
            # Rows as a batch: for few images PyTorch takes 1×1 convolutions out of oneDNN's hands,
            # and then runs one group after another.
            size, height = len(x), x.shape[2]
            rows = x.permute(0, 2, 3, 1).reshape(size * height, 1, -1, x.shape[1])
            y = F.conv2d(rows.permute(0, 3, 1, 2), weight, None, 1, 0, 1, groups)
            return y.permute(0, 2, 3, 1).reshape(size, height, -1, y.shape[1]).permute(0, 3, 1, 2)
        return F.conv2d(x, weight, None, stride, kernel // 2, 1, groups)

    def norm(self, sites: Sites, x: Tensor, affine: bool) -> Tensor:
        """Batch-norm (B, n·C, H, W), each member by its own statistics."""
        scale = self._stacked(sites, "weight").flatten() if affine else None
        shift = self._stacked(sites, "bias").flatten() if affine else None
        if not self.macro.running:
            return F.batch_norm(x, None, None, scale, shift, training=True)
        mean, variance = (self._stacked(sites, f"running_{name}") for name in ("mean", "var"))
        training = self.macro.training
        y = F.batch_norm(x, mean.view(-1), variance.view(-1), scale, shift, training)
        if training:
            start = 0
            for name, members in sites:
                part = slice(start, start + len(members))
                self.weights.store(f"{name}.running_mean", members, mean[part])
                self.weights.store(f"{name}.running_var", members, variance[part])
                start += len(members)
        return y

    def _stacked(self, sites: Sites, name: str) -> Tensor:
        """(n, *shape)."""
        # Always a copy: batch-norm writes to what it gets, and slices of a bank are no blocks.
        return torch.cat([self.weights.take(f"{site}.{name}", members) for site, members in sites])


def _reduction(layers: _Layers, name: str, everyone: Members, x: Tensor) -> Tensor:
    """``Reduction`` of all members."""

    def sites(part: str) -> Sites:
        return [(f"{name}.{part}", everyone)]

    y = layers.conv(sites("conv_a.conv"), F.relu(x), stride=2)
    y = F.relu(layers.norm(sites("conv_a.norm"), y, affine=True))
    y = layers.norm(sites("conv_b.norm"), layers.conv(sites("conv_b.conv"), y), affine=True)
    pooled = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    return y + layers.conv(sites("shortcut"), pooled)


def _cell(layers: _Layers, name: str, x: Sequence[Tensor], routes: _Routes) -> tuple[Tensor, ...]:
    """A cell of all members; m images (B, C, H, W) to as many of the same shape."""
    nodes: list[list[Tensor | None]] = [[*x], [], [], []]
    nodes[1:] = ([None] * len(x) for _ in range(3))
    for source, leaving in enumerate(routes):
        for choice, edges in leaving:
            taken = [(target, member) for _, target, members in edges for member in members]
            values = [value for _, member in taken if (value := nodes[source][member]) is not None]
            if choice != _SKIP:
                y = torch.cat(values, 1)
                if choice == _POOL:
                    y = average_3x3(y)
                else:
                    sites = [(f"{name}.edges.{edge}.{choice}", some) for edge, _, some in edges]
                    y = layers.conv([(f"{site}.conv", some) for site, some in sites], F.relu_(y))
                    norms = [(f"{site}.norm", some) for site, some in sites]
                    y = layers.norm(norms, y, layers.macro.affine)
                values = list(y.chunk(len(values), 1))
            for (target, member), value in zip(taken, values, strict=True):
                before = nodes[target][member]
                nodes[target][member] = value if before is None else before + value
    return tuple(
        torch.zeros_like(start) if end is None else end
        for start, end in zip(x, nodes[3], strict=True)
    )


_Routes = tuple[tuple[tuple[int, tuple[tuple[int, int, Members], ...]], ...], ...]
"""Of nodes 0, 1, 2: operations, and of each the edges as (index, target, members)."""


@lru_cache(maxsize=64)
def _routes(lives: tuple[Arch, ...]) -> _Routes:
    """What leaves which node by which operation."""
    leaving = []
    for source in range(3):
        operations = []
        for choice in (_SKIP, _CONV_1X1, _CONV_3X3, _POOL):
            edges = tuple(
                (edge, target, members)
                for edge, (start, target) in enumerate(EDGES)
                if start == source
                and (members := tuple(j for j, live in enumerate(lives) if live[edge] == choice))
            )
            if edges:
                operations.append((choice, edges))
        leaving.append(tuple(operations))
    return tuple(leaving)


EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_SKIP, _CONV_1X1, _CONV_3X3, _POOL = 1, 2, 3, 4
