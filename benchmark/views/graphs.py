"""Drawings of cells: nodes, the edges between them, and the operations on these."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.textpath import TextPath

from benchmark.views.style import KINDS
from kshot_core.drawing import Edge, Graph

Place = tuple[float, float]

PLAIN = "#666666"
DEAD = "#cccccc"
_CELL_INCHES = (3.4, 2.4)
_UNIT_INCHES = 0.95
_STEP = 1.2
"""Units between neighbouring nodes where the places are not the space's; more for long names."""
_LETTER, _ARROW = 0.067, 0.58
"""Units of half a letter's width in ``benchmark.views.sketch``, and of an arrow between two names.
"""
_FONT, _PAD, _GAP = 8.0, 0.3, 2.0
"""Points of a node's name; its margin as a share of them; points between a node and an arrow."""
_LONG = 4
"""Letters of a name that has a box and no circle."""
_WIDEST_INCHES = 12.0
_BOW = 0.42
"""Height of an arc over nodes that an edge passes by, as a share of its length."""


def draw_graphs(titled: Sequence[tuple[str, tuple[Graph, ...]]]) -> Figure:
    """A panel for each cell of each architecture.

    Args:
        titled: an architecture's title and its cells, each.
    """
    cells = [
        (f"{title}: {graph.name}" if graph.name else title, graph)
        for title, graphs in titled
        for graph in graphs
    ]
    sizes = [_size(graph) for _, graph in cells]
    width, height = max(wide for wide, _ in sizes), max(high for _, high in sizes)
    num_columns = max(1, min(len(cells), int(_WIDEST_INCHES / width)))
    num_rows = math.ceil(len(cells) / num_columns)
    figure = Figure(
        figsize=(width * num_columns, height * num_rows + 0.3),
        layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08),
    )
    panels = figure.subplots(num_rows, num_columns, squeeze=False).flatten().tolist()
    for spare in panels[len(cells) :]:
        spare.remove()
    for axes, (title, graph) in zip(panels, cells, strict=False):
        _draw_graph(axes, graph)
        axes.set_title(textwrap.fill(title, int(13.5 * width)), fontsize=9)
    edges = [edge for _, graph in cells for edge in graph.edges]
    handles = []
    if any(not edge.is_live for edge in edges):
        handles.append(Line2D([], [], color=DEAD, label="does not reach the output"))
    if any(not edge.is_there for edge in edges):
        handles.append(Line2D([], [], color=DEAD, linestyle=":", label="none"))
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8
        )
    return figure


def _draw_graph(axes: Axes, graph: Graph) -> None:
    places = graph.places or laid_out(graph)
    passing = bows_of(graph)
    for edge in graph.edges:
        bow = 0.0 if graph.places else passing[edge]
        rims = [
            _rim(graph.nodes[node], *_direction(places[node], places[other], sign * bow))
            for node, other, sign in ((edge.source, edge.target, 1), (edge.target, edge.source, -1))
        ]
        _draw_edge(axes, edge, places, bow, (rims[0], rims[1]))
    kinds = graph.kinds or (0,) * len(graph.nodes)
    for (x, y), name, kind in zip(places, graph.nodes, kinds, strict=True):
        shape = "circle" if len(name) < _LONG else "round"
        axes.text(
            x, y, name, fontsize=_FONT, ha="center", va="center",
            color=KINDS[kind - 1] if kind else "black",
            bbox={"boxstyle": f"{shape},pad={_PAD}", "facecolor": "#eeeeee", "edgecolor": "black"},
        )  # fmt: skip
    (left, low), (right, high) = extent(graph, places)
    axes.set_xlim(left - 0.5, right + 0.5)
    axes.set_ylim(low - 0.4, high + 0.3)
    if not graph.places:
        axes.set_aspect("equal")
    axes.set_axis_off()


def _direction(start: Place, end: Place, bow: float) -> Place:
    """Where an arc leaves its start for, as a vector of length 1."""
    (x, y), (to_x, to_y) = start, middle(start, end, 2 * bow)
    length = math.hypot(to_x - x, to_y - y)
    return (to_x - x) / length, (to_y - y) / length


def _rim(name: str, x: float, y: float) -> float:
    """Points from a node's middle to where an arrow that goes into a direction may begin."""
    half = _FONT * (0.5 + _PAD)
    if len(name) < _LONG:
        return 11.0
    wide = TextPath((0, 0), name, size=_FONT).get_extents().width / 2 + _FONT * _PAD
    return min(wide / max(abs(x), 1e-9), half / max(abs(y), 1e-9)) + _GAP


def _draw_edge(
    axes: Axes, edge: Edge, places: Sequence[Place], bow: float, rims: tuple[float, float]
) -> None:
    start, end = places[edge.source], places[edge.target]
    faint = not edge.is_live
    colour = KINDS[edge.kind - 1] if edge.kind else PLAIN
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=11, shrinkA=rims[0], shrinkB=rims[1],
            color=DEAD if faint else colour, linewidth=1.0 if faint else 1.8,
            linestyle="-" if edge.is_there else ":", connectionstyle=f"arc3,rad={-bow}",
        )
    )  # fmt: skip
    x, y = middle(start, end, bow)
    axes.text(
        x, y, edge.label, fontsize=8, ha="center", va="center",
        color="#aaaaaa" if faint else colour,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


def middle(start: Place, end: Place, bow: float) -> Place:
    """Of the arc: matplotlib's has its control point ``bow`` times the length beside the middle."""
    (x, y), (to_x, to_y) = start, end
    return (
        0.5 * (x + to_x) - 0.5 * bow * (to_y - y),
        0.5 * (y + to_y) + 0.5 * bow * (to_x - x),
    )


def laid_out(graph: Graph) -> list[Place]:
    """Nodes in a line, so that arcs above and below it pass by all others."""
    places = [(0.0, 0.0)]
    for before, after in pairwise(graph.nodes):
        places.append((places[-1][0] + room(before, after), 0.0))
    return places


def room(before: str, after: str) -> float:
    """Units between two neighbours, so that an arrow fits between their names."""
    return max(_STEP, _ARROW + _LETTER * (len(before) + len(after)))


def bows_of(graph: Graph) -> dict[Edge, float]:
    """How far each edge bows out: not at all between neighbours, else up and down in turns."""
    sides, bows = [_BOW, -_BOW], {}
    for edge in graph.edges:
        far = edge.target - edge.source > 1
        bows[edge] = sides[0] if far else 0.0
        if far:
            sides.reverse()
    return bows


def extent(graph: Graph, places: Sequence[Place]) -> tuple[Place, Place]:
    """Lower left and upper right of nodes and arcs."""
    points = list(places)
    if not graph.places:
        bows = bows_of(graph)
        points += [middle(places[e.source], places[e.target], bows[e]) for e in graph.edges]
    xs, ys = zip(*points, strict=True)
    return (min(xs), min(ys)), (max(xs), max(ys))


def _size(graph: Graph) -> Place:
    """Inches of a panel."""
    if graph.places:
        return _CELL_INCHES
    (left, low), (right, high) = extent(graph, laid_out(graph))
    return _UNIT_INCHES * (right - left + 1.2), _UNIT_INCHES * (high - low + 0.7) + 0.4
