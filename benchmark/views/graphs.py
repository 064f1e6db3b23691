"""Drawings of cells: nodes, the edges between them, and the operations on these."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from benchmark.views.style import KINDS
from kshot_core.drawing import Edge, Graph

Place = tuple[float, float]

PLAIN = "#666666"
DEAD = "#cccccc"
_CELL_INCHES = (3.4, 2.4)
_UNIT_INCHES = 0.95
_STEP = 1.2
"""Units between neighbouring nodes where the places are not the space's."""
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
        _draw_edge(axes, edge, places, 0.0 if graph.places else passing[edge])
    kinds = graph.kinds or (0,) * len(graph.nodes)
    for (x, y), name, kind in zip(places, graph.nodes, kinds, strict=True):
        shape = "circle,pad=0.3" if len(name) < 4 else "round,pad=0.3"
        axes.text(
            x, y, name, fontsize=8, ha="center", va="center",
            color=KINDS[kind - 1] if kind else "black",
            bbox={"boxstyle": shape, "facecolor": "#eeeeee", "edgecolor": "black"},
        )  # fmt: skip
    (left, low), (right, high) = extent(graph, places)
    axes.set_xlim(left - 0.5, right + 0.5)
    axes.set_ylim(low - 0.4, high + 0.3)
    if not graph.places:
        axes.set_aspect("equal")
    axes.set_axis_off()


def _draw_edge(axes: Axes, edge: Edge, places: Sequence[Place], bow: float) -> None:
    start, end = places[edge.source], places[edge.target]
    faint = not edge.is_live
    colour = KINDS[edge.kind - 1] if edge.kind else PLAIN
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=11, shrinkA=11, shrinkB=11,
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
    return [(_STEP * node, 0.0) for node in range(len(graph.nodes))]


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
