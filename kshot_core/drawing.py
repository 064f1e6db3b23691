"""What an architecture looks like, as plain data: a row of layers, or graphs of cells.

A space that is ``Drawable`` says what there is; ``benchmark.views.drawing`` puts it on paper. A
*kind* is a number for what should have one colour: 0 is plain, others are a space's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from kshot_core.space import Arch


@dataclass(frozen=True)
class Edge:
    """An arrow from one node to another.

    Args:
        source: number of a node.
        target: number of a later node.
        label: the operation on it, a few letters.
        kind: of the operation, for its colour.
        is_there: False for a place where an edge could be and is not.
        is_live: whether it reaches the output; False is drawn faint.
    """

    source: int
    target: int
    label: str = ""
    kind: int = 0
    is_there: bool = True
    is_live: bool = True


@dataclass(frozen=True)
class Graph:
    """A cell: nodes, and edges between them.

    Args:
        nodes: a short text each, in an order in which every edge leads onwards.
        edges: between them.
        kinds: of each node, for its colour; all plain if there are none.
        places: of each node, about one unit apart; laid out by the drawing if there are none.
        name: where a network has several cells, which one this is.
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    kinds: tuple[int, ...] = ()
    places: tuple[tuple[float, float], ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Block:
    """One layer of a row.

    Args:
        name: below it, e.g. its number.
        label: in its box, e.g. the kernel's size.
        kind: for its colour; 0 is a layer that is not searched.
        height: of its box, 0 to 1; 0 is the identity, a thin line.
        stage: the channels, say: layers next to each other with the same text are one stage.
        has_cap: with squeeze-and-excitation.
        is_strided: makes the image smaller.
        width: its share of the full width; None where that is not searched or means nothing.
    """

    name: str
    label: str
    kind: int
    height: float
    stage: str
    has_cap: bool = False
    is_strided: bool = False
    width: float | None = None


@dataclass(frozen=True)
class Row:
    """Layers from the image to the output.

    Args:
        blocks: the layers.
        kinds: what the kinds from 1 on mean, for the legend.
        note: what else the legend should say.
    """

    blocks: tuple[Block, ...]
    kinds: tuple[str, ...]
    note: str = ""


Drawing = Row | tuple[Graph, ...]


@runtime_checkable
class Drawable(Protocol):
    """What a space can do besides whose architectures can be drawn."""

    def drawing(self, arch: Arch) -> Drawing:
        """A row of layers, or the graphs of its cells; of the same kind for all architectures."""
        ...
