"""Drawings of architectures (paper figures 10 and 11): a row of layers, or the graphs of cells.

What there is to draw is the space's to say, see ``kshot_core.drawing``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from benchmark.cli.errors import UserError
from benchmark.config.space import SpaceSettings
from benchmark.views.graphs import draw_graphs
from benchmark.views.pictures import own_style, save_figure
from benchmark.views.style import KINDS
from kshot_core.drawing import Block, Drawable, Drawing, Row

__all__ = ["draw", "draw_all", "is_drawable", "save_figure"]

Entry = tuple[SpaceSettings, str, str]
"""A space's settings, a title, and an architecture of it as text."""

_FIXED = "#999999"
_FAINT = "#dddddd"
_SLOT_INCHES = 0.4
_ROW_INCHES = 1.75
# Boxes of few layers would be broad, and the legend would not fit.
_LEAST_SLOTS = 17
_BOX = 0.36
_CAP = 0.09
_BAR_TOP, _BAR = -0.12, 0.46
_IDENTITY = 0.17


def is_drawable(settings: SpaceSettings) -> bool:
    """Whether there is a way to draw the architectures of a space."""
    return isinstance(settings.without_images(), Drawable)


def draw(settings: SpaceSettings, archs: Sequence[tuple[str, str]]) -> Figure:
    """Draw architectures of one space.

    Args:
        settings: the space's.
        archs: a title and the architecture as text, each.

    Raises:
        UserError: no architecture, or one that is not of this space.
    """
    return draw_all([(settings, title, arch) for title, arch in archs])


def draw_all(entries: Sequence[Entry]) -> Figure:
    """Draw architectures of spaces of one kind, which may differ in their sizes.

    Rows: a row each, a box for every layer in order. Colour is the layer's kind (its kernel, say),
    a black cap squeeze-and-excitation, a thin line the identity; the bar below is the width, where
    it is searched. Graphs: nodes and the operations on the edges; what does not reach the output is
    faint.

    Raises:
        UserError: no architecture, one that is not of its space, spaces of two kinds, or of a kind
            that is not drawn.
    """
    kinds = sorted({settings.name for settings, _, _ in entries})
    if len(kinds) != 1:
        raise UserError(f"one kind of space is drawn at a time, got {', '.join(kinds) or 'none'}")
    titled = [(title, _drawing(settings, arch)) for settings, title, arch in entries]
    with own_style():
        rows = [(title, drawing) for title, drawing in titled if isinstance(drawing, Row)]
        if rows:
            return _draw_rows(rows)
        return draw_graphs([(title, d) for title, d in titled if not isinstance(d, Row)])


def _drawing(settings: SpaceSettings, text: str) -> Drawing:
    space = settings.without_images()
    if not isinstance(space, Drawable):
        raise UserError(f"architectures of {settings.name} cannot be drawn: it has no drawing()")
    try:
        return space.drawing(space.from_string(text))
    except ValueError as error:
        raise UserError(f"cannot draw {text[:40]!r}: {error}") from None


def _draw_rows(titled: Sequence[tuple[str, Row]]) -> Figure:
    num_slots = max(_LEAST_SLOTS, *(len(row.blocks) for _, row in titled))
    width = _SLOT_INCHES * num_slots + 0.9
    figure = Figure(
        figsize=(width, _ROW_INCHES * len(titled) + 0.75),
        layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06),
    )
    panels = figure.subplots(len(titled), 1, squeeze=False).flatten().tolist()
    for axes, (title, row) in zip(panels, titled, strict=True):
        _draw_row(axes, row, num_slots)
        # About as many characters as fit between the axis' labels and the edge.
        axes.set_title(textwrap.fill(title, int(12.9 * (width - 0.7))), loc="left", fontsize=9)
    _explain(figure, [row for _, row in titled])
    return figure


def _draw_row(axes: Axes, row: Row, num_slots: int) -> None:
    """One architecture: operations above the zero line, widths below."""
    for slot, block in enumerate(row.blocks):
        if block.is_strided:
            axes.scatter([slot], [1.26], marker="v", s=16, color="black", linewidths=0)
        _draw_block(axes, slot, block)
        if block.width is not None:
            _draw_width(axes, slot, block.width)
    _draw_stages(axes, [block.stage for block in row.blocks])
    searched = _has_widths(row)
    names = [block.name for block in row.blocks]
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.set_yticks(
        [1.45, 0.5, _BAR_TOP - _BAR / 2][: 2 + searched],
        ["channels", "operation", "width"][: 2 + searched],
        fontsize=7,
    )
    axes.tick_params(length=0)
    axes.set_xlim(-0.6, num_slots - 0.4)
    axes.set_ylim(_BAR_TOP - _BAR - 0.24 if searched else -0.08, 1.62)
    axes.spines[:].set_visible(False)


def _draw_stages(axes: Axes, stages: Sequence[str]) -> None:
    """What neighbouring layers have in common, between lines."""
    start = 0
    for slot in range(1, len(stages) + 1):
        if slot == len(stages) or stages[slot] != stages[start]:
            middle = (start + slot - 1) / 2
            axes.text(middle, 1.45, stages[start], fontsize=7, ha="center", va="center")
            if slot < len(stages):
                axes.axvline(slot - 0.5, color=_FAINT, linewidth=0.8, zorder=0)
            start = slot


def _draw_block(axes: Axes, slot: int, block: Block) -> None:
    if block.height == 0:
        ends = [slot - 0.5, slot + 0.5]
        axes.plot(ends, [_IDENTITY, _IDENTITY], color="black", linewidth=1)
        return
    colour = KINDS[block.kind - 1] if block.kind else _FIXED
    box = Rectangle((slot - _BOX, 0), 2 * _BOX, block.height, facecolor=colour, linewidth=0)
    axes.add_patch(box)
    axes.text(
        slot, block.height / 2, block.label, fontsize=7, ha="center", va="center", color="white"
    )
    if block.has_cap:
        foot = (slot - _BOX, block.height)
        axes.add_patch(Rectangle(foot, 2 * _BOX, _CAP, facecolor="black", linewidth=0))


def _draw_width(axes: Axes, slot: int, factor: float) -> None:
    """A bar as long as the factor, in the outline of the full width."""
    for share, colour in ((1.0, "#eeeeee"), (factor, "#777777")):
        foot = _BAR_TOP - share * _BAR
        axes.add_patch(
            Rectangle((slot - _BOX, foot), 2 * _BOX, share * _BAR, facecolor=colour, linewidth=0)
        )
    axes.text(
        slot, _BAR_TOP - _BAR - 0.1, f"{factor:.3g}".lstrip("0"), fontsize=6, ha="center",
        va="center", color="#444444",
    )  # fmt: skip


def _explain(figure: Figure, rows: Sequence[Row]) -> None:
    """The legend of rows: what occurs in them."""
    blocks = [block for row in rows for block in row.blocks]
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, label=name)
        for colour, name in zip(KINDS, rows[0].kinds, strict=False)
    ]
    if any(block.kind == 0 and block.height for block in blocks):
        handles.append(Patch(facecolor=_FIXED, label="not searched"))
    if any(block.has_cap for block in blocks):
        handles.append(Patch(facecolor="black", label="cap: squeeze-and-excitation"))
    if any(block.height == 0 for block in blocks):
        handles.append(Line2D([], [], color="black", linewidth=1, label="identity"))
    if any(block.is_strided for block in blocks):
        handles.append(
            Line2D([], [], color="black", marker="v", linestyle="", markersize=4, label="stride 2")
        )
    if rows[0].note:
        handles.append(Patch(facecolor="none", label=rows[0].note))
    if any(map(_has_widths, rows)):
        handles.append(Patch(facecolor="#777777", label="width: share of the channels"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8,
        handlelength=1.2, columnspacing=1.0,
    )  # fmt: skip


def _has_widths(row: Row) -> bool:
    return any(block.width is not None for block in row.blocks)
