"""Small drawings put together from parts, so that a page can show any of thousands of archs.

``benchmark.views.drawing`` draws one architecture as a figure; here a space has a fragment of SVG
for each state of each site, and an architecture is a letter per site that picks them. A page holds
the fragments once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from benchmark.views.drawing import (
    DEAD,
    FIXED,
    HEIGHTS,
    KERNELS,
    NODE_NAMES,
    NODES,
    OPERATION_LOOKS,
)
from benchmark.views.style import COLOURS, NEUTRAL
from kshot_core.space import Arch, Space
from kshot_core.spaces import MobileNetV2, NASBench201
from kshot_core.spaces.mobilenetv2.space import OPERATIONS as LAYERS
from kshot_core.spaces.nasbench201.many import EDGES
from kshot_core.spaces.nasbench201.space import NONE, OPERATIONS

_FIRST = 48
"""The letter of state 0 is "0"; those of the states after it follow."""
_FONT = 'font-family="sans-serif" text-anchor="middle" dominant-baseline="central"'


@dataclass(frozen=True)
class Sketch:
    """How the architectures of a space are drawn.

    Args:
        width: of the drawing, in pixels.
        height: likewise.
        base: SVG that every architecture has, on top of the rest.
        sites: for each site the SVG of each of its states.
        states: the state of each site, of an architecture.
    """

    width: float
    height: float
    base: str
    sites: tuple[tuple[str, ...], ...]
    states: Callable[[Arch], tuple[int, ...]]

    def letters(self, arch: Arch) -> str:
        """An architecture as a letter per site."""
        return "".join(chr(_FIRST + state) for state in self.states(arch))

    def svg(self, arch: Arch, label: str) -> str:
        """The drawing as an SVG element, which says ``label`` to those who cannot see it."""
        parts = [self.sites[site][state] for site, state in enumerate(self.states(arch))]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" '
            f'aria-label="{escape(label)}">{"".join(parts)}{self.base}</svg>'
        )

    def to_dict(self) -> dict[str, Any]:
        """All but ``states`` as JSON values, for a page's script."""
        return {
            "width": self.width,
            "height": self.height,
            "base": self.base,
            "sites": [list(states) for states in self.sites],
            "first": _FIRST,
        }


def sketch_of(space: Space) -> Sketch:
    """How a space is drawn; one that has no way of its own as a row of numbered boxes."""
    return _SKETCHES.get(space.name, _boxes)(space)


def _text(x: float, y: float, text: str, colour: str, size: float = 11) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}" {_FONT}>{text}</text>'


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="1.5" '
        f'fill="{colour}"/>'
    )


def _boxes(space: Space) -> Sketch:
    """A box per site with the number of its choice, of which each has a colour."""
    side, in_a_row = 20, 16
    rows = (len(space.num_choices) - 1) // in_a_row + 1
    sites = []
    for site, num in enumerate(space.num_choices):
        x, y = 2 + side * (site % in_a_row), 2 + side * (site // in_a_row)
        sites.append(
            tuple(
                _rectangle(x, y, side - 2, side - 2, COLOURS[choice % len(COLOURS)])
                + _text(x + side / 2 - 1, y + side / 2 - 1, str(choice), "white")
                for choice in range(num)
            )
        )
    width = side * min(in_a_row, len(space.num_choices)) + 2
    return Sketch(width, side * rows + 2, "", tuple(sites), lambda arch: arch)


def _cell(space: Space) -> Sketch:
    """NAS-Bench-201's four nodes; the states are the operations, then those that are not live."""
    places = [(24 + 50 * x, 128 - 50 * y) for x, y in NODES]
    sites = []
    for source, target in EDGES:
        (x, y), (to_x, to_y) = places[source], places[target]
        length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
        # From rim to rim of the nodes' circles.
        dx, dy = 15 * (to_x - x) / length, 15 * (to_y - y) / length
        line = f'x1="{x + dx:g}" y1="{y + dy:g}" x2="{to_x - dx:g}" y2="{to_y - dy:g}"'
        tip = _arrow(to_x - dx, to_y - dy, dx / 15, dy / 15)
        middle = ((x + to_x) / 2, (y + to_y) / 2)
        states = []
        for live in (True, False):
            for name in OPERATIONS:
                label, colour = OPERATION_LOOKS[name]
                colour = colour if live else DEAD
                dashes = ' stroke-dasharray="2 4"' if name == "none" else ""
                states.append(
                    f'<line {line} stroke="{colour}" stroke-width="{2.4 if live else 1.4}"'
                    f'{dashes}/><path d="{tip}" fill="{colour}"/>'
                    + (_on_white(*middle, label, colour if live else "#999999") if label else "")
                )
        sites.append(tuple(states))
    base = "".join(
        f'<circle cx="{x:g}" cy="{y:g}" r="13" fill="#eeeeee" stroke="black"/>'
        + _text(x, y, name, "black")
        for (x, y), name in zip(places, NODE_NAMES, strict=True)
    )

    def states_of(arch: Arch) -> tuple[int, ...]:
        live = space.canonical(arch)
        return tuple(
            choice if alive != NONE or choice == NONE else choice + len(OPERATIONS)
            for choice, alive in zip(arch, live, strict=True)
        )

    return Sketch(248, 146, base, tuple(sites), states_of)


def _arrow(x: float, y: float, dx: float, dy: float) -> str:
    """A triangle whose tip is at a point, pointing along a direction of length 1."""
    back_x, back_y = x - 8 * dx, y - 8 * dy
    return (
        f"M{x:g} {y:g}L{back_x - 4 * dy:g} {back_y + 4 * dx:g}"
        f"L{back_x + 4 * dy:g} {back_y - 4 * dx:g}Z"
    )


def _on_white(x: float, y: float, label: str, colour: str) -> str:
    width = 7 * len(label) + 4
    return _rectangle(x - width / 2, y - 8, width, 16, "white") + _text(x, y, label, colour)


def _layers(space: Space) -> Sketch:
    """A box per layer of MobileNetV2: colour the kernel, height the expansion, cap excitation.

    The layers that are not searched are grey; below each is its width where widths are searched.
    """
    assert isinstance(space, MobileNetV2)
    slot, side, foot, tall, longest = 20.0, 14.0, 54.0, 44.0, 26.0
    last = space.num_layers + 2
    sites = []
    for layer in range(space.num_layers):
        left, states = slot * (layer + 2) + 3, []
        for one in LAYERS[: space.num_choices[layer]]:
            if one.kernel == 0:
                states.append(_rectangle(left - 3, foot - 10, slot, 1.5, "black"))
                continue
            height = tall * HEIGHTS[one.expansion]
            box = _rectangle(left, foot - height, side, height, KERNELS[one.kernel])
            cap = _rectangle(left, foot - height - 5, side, 4, "black") if one.excites else ""
            states.append(box + cap + _text(left + side / 2, foot - 9, str(one.kernel), "white"))
        sites.append(tuple(states))
    widths = len(space.factors) > 1
    for at in range(last + 1):
        outline = _rectangle(slot * at + 3, foot + 4, side, longest, "#e0e0e0")
        sites.append(
            tuple(
                outline + _rectangle(slot * at + 3, foot + 4, side, longest * factor, NEUTRAL)
                if widths
                else ""
                for factor in space.factors
            )
        )
    base = _rectangle(0, foot, slot * (last + 1), 1, NEUTRAL)
    for at, kernel in ((0, "3"), (1, "3"), (last, "1")):
        box = _rectangle(slot * at + 3, foot - 16, side, 16, FIXED)
        base += box + _text(slot * at + 3 + side / 2, foot - 9, kernel, "white")
    height = foot + (longest + 6 if widths else 3)
    return Sketch(slot * (last + 1), height, base, tuple(sites), lambda arch: arch)


_SKETCHES: Mapping[str, Callable[[Space], Sketch]] = {
    NASBench201().name: _cell,
    MobileNetV2().name: _layers,
}
