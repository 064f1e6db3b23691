"""What an architecture is counted by without training: parameters, depth, width, operations.

A ranking may prefer architectures for what they are and not for how good they are; each of these
is something it may prefer. All are of what reaches the output. Shape letter: A architectures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kshot_core.drawing import Drawable, Drawing, Graph, Row
from kshot_core.space import Arch, Named, Priced, Space

Values = NDArray[np.float64]
PARAMETERS, FLOPS, DEPTH, WIDTH, CONVOLUTIONS = (
    "parameters", "FLOPs", "depth", "width", "convolutions",
)  # fmt: skip


def traits(space: Space, archs: Sequence[Arch]) -> dict[str, Values]:
    """Each trait that varies among these architectures, (A,), by its name.

    ``parameters`` and ``FLOPs`` of a ``Priced`` space; ``depth`` and ``width`` of a ``Drawable``
    one, see ``depth`` and ``width``; ``convolutions``; of a ``Named`` space how many sites have
    each operation, ``number of max_pool_3x3`` say.

    Args:
        space: the search space.
        archs: A architectures.
    """
    live = [space.canonical(arch) for arch in archs]
    found: dict[str, list[float]] = {}
    if isinstance(space, Priced):
        found[PARAMETERS] = [float(space.params(arch)) for arch in live]
        found[FLOPS] = [space.flops(arch) for arch in live]
    if isinstance(space, Drawable):
        drawings = [space.drawing(arch) for arch in live]
        found[DEPTH] = [float(depth(one)) for one in drawings]
        found[WIDTH] = [float(width(one)) for one in drawings]
    found[CONVOLUTIONS] = [float(space.num_convolutions(arch)) for arch in archs]
    if isinstance(space, Named):
        sites = space.sites()
        numbers = [
            Counter(
                site.choices[choice]
                for site, choice in zip(sites, arch, strict=True)
                if site.is_operation and site.counts(arch)
            )
            for arch in live
        ]
        names = dict.fromkeys(name for site in sites if site.is_operation for name in site.choices)
        found |= {f"number of {name}": [float(one[name]) for one in numbers] for name in names}
    values = {name: np.array(each, dtype=np.float64) for name, each in found.items()}
    return {name: one for name, one in values.items() if len(one) and np.ptp(one) > 0}


def depth(drawing: Drawing) -> int:
    """Operations on the longest way through each cell, added up over cells; of a row its layers.

    What a drawing has in the plain colour, such as skipping, is no operation.
    """
    if isinstance(drawing, Row):
        return sum(block.kind > 0 for block in drawing.blocks)
    return sum(_longest(graph) for graph in drawing)


def width(drawing: Drawing) -> float:
    """Edges that leave a cell's inputs, added up over cells (Shu et al., ICLR 2020, less channels).

    Of a row of layers the heights of its searched blocks added up, which grow with hidden channels
    and, where those are searched, times the layer's share of the full width.
    """
    if isinstance(drawing, Row):
        return sum(
            one.height * (1.0 if one.width is None else one.width)
            for one in drawing.blocks
            if one.kind > 0
        )
    return float(sum(_leaving(graph) for graph in drawing))


def _longest(graph: Graph) -> int:
    kinds = graph.kinds or (0,) * len(graph.nodes)
    longest = [0] * len(graph.nodes)
    # Every edge leads onwards, so that a node is done before any edge that leaves it.
    for node, kind in enumerate(kinds):
        ways = [
            longest[edge.source] + (edge.kind > 0)
            for edge in graph.edges
            if edge.target == node and edge.is_there and edge.is_live
        ]
        longest[node] = max(ways, default=0) + (kind > 0)
    return max(longest)


def _leaving(graph: Graph) -> int:
    targets = {edge.target for edge in graph.edges}
    return sum(
        edge.is_there and edge.is_live and edge.source not in targets for edge in graph.edges
    )
