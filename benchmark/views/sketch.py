"""Small drawings put together from parts, so that a page can show any of thousands of archs.

``benchmark.views.drawing`` draws one architecture as a figure; here the same drawings become
fragments of SVG, each kept once, and an architecture is a letter for each fragment that it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from benchmark.views.graphs import DEAD, PLAIN, Place, bows_of, extent, middle, room
from benchmark.views.style import COLOURS, KINDS, NEUTRAL
from kshot_core.drawing import Block, Drawable, Drawing, Edge, Graph, Row
from kshot_core.space import Arch, Space

_FIRST = 48
"""The letter of fragment 0 is "0"; those of the fragments after it follow."""
_FONT = 'font-family="sans-serif" text-anchor="middle" dominant-baseline="central"'
_UNIT, _EDGE, _RADIUS = 52.0, 24.0, 13.0
"""Of graphs, in pixels: between two nodes, around all of them, and of a node."""
_SLOT, _SIDE, _TALL, _BAR = 20.0, 14.0, 44.0, 26.0
"""Of rows: from box to box, a box's width, its height and that of a bar of full width."""
_IN_A_ROW = 16
_FIXED, _UNUSED = "#999999", "#e0e0e0"
_FAINT = "#767676"


@dataclass(frozen=True)
class Sketches:
    """Drawings of architectures of one space.

    Args:
        width: of each, in pixels.
        height: likewise.
        fragments: of SVG; those with a smaller number lie below.
        letters: of each architecture, one for each of its fragments.
    """

    width: float
    height: float
    fragments: tuple[str, ...]
    letters: tuple[str, ...]

    def svg(self, at: int, label: str) -> str:
        """An architecture's drawing, which says ``label`` to those who cannot see it."""
        parts = [self.fragments[ord(letter) - _FIRST] for letter in self.letters[at]]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" '
            f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
        )

    def to_dict(self) -> dict[str, Any]:
        """All but the letters as JSON values, for a page's script."""
        return {
            "width": self.width,
            "height": self.height,
            "fragments": list(self.fragments),
            "first": _FIRST,
        }


def sketches(space: Space, archs: Sequence[Arch]) -> Sketches:
    """Drawings of architectures; of a space that has none, a row of boxes with their choices.

    Args:
        space: theirs.
        archs: A of them, at least one.
    """
    numbers: dict[str, int] = {}
    letters, width, height = [], 0.0, 0.0
    found: Iterator[tuple[list[str], float, float]]
    if isinstance(space, Drawable):
        drawings = [space.drawing(arch) for arch in archs]
        # One distance for all, so that they have fragments in common.
        step = max(map(_step, drawings))
        found = (_fragments(drawing, step) for drawing in drawings)
    else:
        found = map(_boxes, archs)
    for parts, wide, high in found:
        # Without a limit: letters go on beyond ASCII.
        own = [numbers.setdefault(part, len(numbers)) for part in parts]
        letters.append("".join(chr(_FIRST + number) for number in own))
        width, height = max(width, wide), max(height, high)
    return Sketches(width, height, tuple(numbers), tuple(letters))


def _step(drawing: Drawing) -> float:
    """Units between two neighbours that a drawing's longest names need."""
    graphs = () if isinstance(drawing, Row) else drawing
    return max((room(*pair) for graph in graphs for pair in pairwise(graph.nodes)), default=0.0)


def _fragments(drawing: Drawing, step: float) -> tuple[list[str], float, float]:
    """The fragments of a drawing in the order they lie, its width and its height."""
    if isinstance(drawing, Row):
        return _row(drawing)
    parts, left, height = list[str](), 0.0, 0.0
    for graph in drawing:
        own, wide, high = _graph(graph, left, step)
        parts += own
        left, height = left + wide, max(height, high)
    return parts, left, height


def _graph(graph: Graph, left: float, step: float) -> tuple[list[str], float, float]:
    """A cell: edges, then nodes on top of them."""
    places = graph.places or [(step * node, 0.0) for node in range(len(graph.nodes))]
    bows = bows_of(graph)
    (low_x, low_y), (high_x, high_y) = extent(graph, places)
    height = _UNIT * (high_y - low_y) + 2 * _EDGE

    def pixel(place: Place) -> Place:
        return left + _EDGE + _UNIT * (place[0] - low_x), height - _EDGE - _UNIT * (
            place[1] - low_y
        )

    parts = [
        _edge(edge, graph.nodes, places, 0.0 if graph.places else bows[edge], pixel)
        for edge in graph.edges
    ]
    kinds = graph.kinds or (0,) * len(graph.nodes)
    for place, name, kind in zip(places, graph.nodes, kinds, strict=True):
        x, y = pixel(place)
        half = _half(name)
        colour = KINDS[kind - 1] if kind else "black"
        parts.append(
            f'<rect x="{x - half:g}" y="{y - _RADIUS:g}" width="{2 * half:g}" '
            f'height="{2 * _RADIUS:g}" rx="{_RADIUS:g}" fill="#eeeeee" stroke="black"/>'
            + _text(x, y, name, colour)
        )
    return parts, _UNIT * (high_x - low_x) + 2 * _EDGE, height


def _half(name: str) -> float:
    """Half a node's width."""
    return max(_RADIUS, 3.5 * len(name) + 4)


def _rim(name: str, x: float, y: float) -> float:
    """From a node's middle to where a line begins that leaves it for (x, y) beside it."""
    half = _half(name)
    length: float = max((x**2 + y**2) ** 0.5, 1e-9)
    if half == _RADIUS:
        return _RADIUS + 2
    return length * min(half / max(abs(x), 1e-9), _RADIUS / max(abs(y), 1e-9)) + 2


def _edge(
    edge: Edge,
    names: Sequence[str],
    places: Sequence[Place],
    bow: float,
    pixel: Callable[[Place], Place],
) -> str:
    """A curve between two nodes' rims, its tip, and its label."""
    start, end = places[edge.source], places[edge.target]
    (x, y), (to_x, to_y), (at_x, at_y) = pixel(start), pixel(end), pixel(middle(start, end, bow))
    # Of a quadratic curve that passes through its middle.
    bend_x, bend_y = 2 * at_x - (x + to_x) / 2, 2 * at_y - (y + to_y) / 2
    rim = _rim(names[edge.source], bend_x - x, bend_y - y)
    end_rim = _rim(names[edge.target], bend_x - to_x, bend_y - to_y)
    x, y = _towards(x, y, bend_x, bend_y, rim)
    to_x, to_y = _towards(to_x, to_y, bend_x, bend_y, end_rim)
    colour = KINDS[edge.kind - 1] if edge.kind else PLAIN
    line = colour if edge.is_live else DEAD
    dashes = "" if edge.is_there else ' stroke-dasharray="2 4"'
    back_x, back_y = _towards(to_x, to_y, bend_x, bend_y, 8)
    side_x, side_y = (to_y - back_y) / 2, (back_x - to_x) / 2
    part = (
        f'<path d="M{x:.1f} {y:.1f}Q{bend_x:.1f} {bend_y:.1f} {to_x:.1f} {to_y:.1f}" fill="none" '
        f'stroke="{line}" stroke-width="{2.4 if edge.is_live else 1.4}"{dashes}/>'
        f'<path d="M{to_x:.1f} {to_y:.1f}L{back_x + side_x:.1f} {back_y + side_y:.1f}'
        f'L{back_x - side_x:.1f} {back_y - side_y:.1f}Z" fill="{line}"/>'
    )
    if not edge.label:
        return part
    wide = 6.4 * len(edge.label) + 4
    return (
        part
        + _rectangle(at_x - wide / 2, at_y - 8, wide, 16, "white")
        + _text(at_x, at_y, edge.label, colour if edge.is_live else _FAINT)
    )


def _towards(x: float, y: float, to_x: float, to_y: float, by: float) -> Place:
    length = max(((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5, 1e-9)
    return x + by * (to_x - x) / length, y + by * (to_y - y) / length


def _row(row: Row) -> tuple[list[str], float, float]:
    """A box per layer on a line, and a bar of its width below it where widths are searched."""
    foot = _TALL + 10
    parts = [_block(block, _SLOT * slot, foot) for slot, block in enumerate(row.blocks)]
    width = _SLOT * len(row.blocks)
    searched = any(block.width is not None for block in row.blocks)
    return (
        [*parts, _rectangle(0, foot, width, 1, NEUTRAL)],
        width,
        foot + (_BAR + 8 if searched else 4),
    )


def _block(block: Block, left: float, foot: float) -> str:
    if block.height == 0:
        return _rectangle(left, foot - 10, _SLOT, 1.5, "black")
    left, height = left + (_SLOT - _SIDE) / 2, max(_TALL * block.height, 14)
    colour = KINDS[block.kind - 1] if block.kind else _FIXED
    part = _rectangle(left, foot - height, _SIDE, height, colour)
    part += _text(left + _SIDE / 2, foot - 8, block.label, "white")
    if block.has_cap:
        part += _rectangle(left, foot - height - 5, _SIDE, 4, "black")
    if block.width is not None:
        part += _rectangle(left, foot + 5, _SIDE, _BAR, _UNUSED)
        part += _rectangle(left, foot + 5, _SIDE, _BAR * block.width, NEUTRAL)
    return part


def _boxes(arch: Arch) -> tuple[list[str], float, float]:
    """A box per site with the number of its choice, of which each has a colour."""
    parts = []
    for site, choice in enumerate(arch):
        x, y = 2 + _SLOT * (site % _IN_A_ROW), 2 + _SLOT * (site // _IN_A_ROW)
        parts.append(
            _rectangle(x, y, _SLOT - 2, _SLOT - 2, COLOURS[choice % len(COLOURS)])
            + _text(x + _SLOT / 2 - 1, y + _SLOT / 2 - 1, str(choice), "white")
        )
    rows = -(-len(arch) // _IN_A_ROW)
    return parts, _SLOT * min(_IN_A_ROW, len(arch)) + 2, _SLOT * rows + 2


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="11" fill="{colour}" {_FONT}>{escape(text)}</text>'


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'rx="1.5" fill="{colour}"/>'
    )
