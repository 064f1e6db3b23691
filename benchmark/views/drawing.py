"""Drawings of architectures (paper figures 10 and 11): a row of layers, or the graph of a cell."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle

from benchmark.cli.errors import UserError
from benchmark.config.space import SpaceSettings
from benchmark.views.pictures import own_style, save_figure
from kshot_core.spaces import MobileNetV2, NASBench201
from kshot_core.spaces.mobilenetv2.network import Operation
from kshot_core.spaces.nasbench201.many import EDGES
from kshot_core.spaces.nasbench201.space import NONE, OPERATIONS, canonical

__all__ = ["draw", "draw_all", "is_drawable", "save_figure"]

Entry = tuple[SpaceSettings, str, str]
"""A space's settings, a title, and an architecture of it as text."""

# Okabe & Ito's palette, which colour-blind readers can tell apart.
KERNELS = {3: "#0072B2", 5: "#009E73", 7: "#D55E00"}
FIXED = "#999999"
_FAINT = "#dddddd"
_SLOT_INCHES = 0.4
_ROW_INCHES = 1.75
# Boxes of few layers would be broad, and the legend would not fit.
_LEAST_SLOTS = 17
# A box's height by its expansion, and that of a layer that is one convolution.
HEIGHTS = {6: 1.0, 3: 0.62, 1: 0.34}
_CONVOLUTION = 0.34
_BOX = 0.36
_CAP = 0.09
_BAR_TOP, _BAR = -0.12, 0.46
# A cell's nodes, drawn so that no two edges cross.
NODES = ((0.0, 0.0), (2.0, 2.0), (2.0, 0.8), (4.0, 0.0))
NODE_NAMES = ("in", "1", "2", "out")
_CELL_INCHES = (3.4, 2.4)
_CELLS_IN_A_ROW = 3
DEAD = "#cccccc"
OPERATION_LOOKS = {
    "none": ("", DEAD),
    "skip_connect": ("skip", "#666666"),
    "nor_conv_1x1": ("1×1", "#0072B2"),
    "nor_conv_3x3": ("3×3", "#D55E00"),
    "avg_pool_3x3": ("pool", "#009E73"),
}


def is_drawable(space: str) -> bool:
    """Whether there is a way to draw the architectures of the space of this name."""
    return space in _DRAWN


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

    MobileNetV2: a row each, a box for every layer in order. Colour is the kernel's size, height the
    expansion, a black cap squeeze-and-excitation, a thin line the identity; the bar below is the
    width, where it is searched. NAS-Bench-201: the cell's four nodes and the operations on its
    edges; what does not reach the output is faint.

    Raises:
        UserError: no architecture, one that is not of its space, spaces of two kinds, or of a kind
            that is not drawn.
    """
    kinds = sorted({settings.space for settings, _, _ in entries})
    if len(kinds) != 1:
        raise UserError(f"one kind of space is drawn at a time, got {', '.join(kinds) or 'none'}")
    if not is_drawable(kinds[0]):
        raise UserError(f"drawn are {', '.join(_DRAWN)}, got {kinds[0]}")
    with own_style():
        return _DRAWN[kinds[0]](entries)


def _draw_rows(entries: Sequence[Entry]) -> Figure:
    spaces = [_mobilenetv2(settings) for settings, _, _ in entries]
    num_slots = max(_LEAST_SLOTS, *(space.num_layers + 3 for space in spaces))
    width = _SLOT_INCHES * num_slots + 0.9
    figure = Figure(
        figsize=(width, _ROW_INCHES * len(entries) + 0.75),
        layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06),
    )
    rows = figure.subplots(len(entries), 1, squeeze=False).flatten().tolist()
    for axes, space, (_, title, arch) in zip(rows, spaces, entries, strict=True):
        _draw_layers(axes, space, arch, num_slots)
        # About as many characters as fit between the axis' labels and the edge.
        axes.set_title(textwrap.fill(title, int(12.9 * (width - 0.7))), loc="left", fontsize=9)
    _explain(figure, any(len(space.factors) > 1 for space in spaces))
    return figure


def _draw_layers(axes: Axes, space: MobileNetV2, text: str, num_slots: int) -> None:
    """One architecture: operations above the zero line, widths below."""
    try:
        arch = space.from_string(text)
    except ValueError as error:
        raise UserError(f"cannot draw {text[:40]!r}: {error}") from None
    operations = space.operations(arch)
    strides = [stride if at == 0 else 1 for _, num, stride in space.stages for at in range(num)]
    head = space.num_layers + 2
    for slot, stride in enumerate([space.stem_stride, 1, *strides]):
        if stride > 1:
            axes.scatter([slot], [1.26], marker="v", s=16, color="black", linewidths=0)
    for slot, name in ((0, "3"), (head, "1")):
        _box(axes, slot, _CONVOLUTION, FIXED, name)
    for slot, operation in enumerate([Operation(3), *operations], start=1):
        _draw_operation(axes, slot, operation, fixed=slot == 1)
    start = 2
    for channels, num, _ in space.stages:
        axes.axvline(start - 0.5, color=_FAINT, linewidth=0.8, zorder=0)
        axes.text(start + num / 2 - 0.5, 1.45, str(channels), fontsize=7, ha="center", va="center")
        start += num
    axes.axvline(start - 0.5, color=_FAINT, linewidth=0.8, zorder=0)
    for slot, channels in ((0, space.stem), (1, space.first), (head, space.head)):
        axes.text(slot, 1.45, str(channels), fontsize=7, ha="center", va="center")
    searched = len(space.factors) > 1
    if searched:
        passed_on = {at + 2 for at, operation in enumerate(operations) if operation.kernel == 0}
        for slot, choice in enumerate(arch[space.num_layers :]):
            if slot not in passed_on:
                _draw_width(axes, slot, space.factors[choice])
    names = ["stem", "first", *(str(layer + 1) for layer in range(space.num_layers)), "head"]
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


def _draw_operation(axes: Axes, slot: int, operation: Operation, *, fixed: bool) -> None:
    if operation.kernel == 0:
        axes.plot([slot - 0.5, slot + 0.5], [0.17, 0.17], color="black", linewidth=1)
        return
    height = HEIGHTS[operation.expansion]
    colour = FIXED if fixed else KERNELS[operation.kernel]
    _box(axes, slot, height, colour, str(operation.kernel))
    if operation.excites:
        cap = Rectangle((slot - _BOX, height), 2 * _BOX, _CAP, facecolor="black", linewidth=0)
        axes.add_patch(cap)


def _box(axes: Axes, slot: int, height: float, colour: str, kernel: str) -> None:
    box = Rectangle((slot - _BOX, 0), 2 * _BOX, height, facecolor=colour, linewidth=0)
    axes.add_patch(box)
    axes.text(slot, height / 2, kernel, fontsize=7, ha="center", va="center", color="white")


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


def _explain(figure: Figure, widths: bool) -> None:
    """The legend of rows."""
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, label=f"kernel {size}×{size}") for size, colour in KERNELS.items()
    ]
    handles += [
        Patch(facecolor=FIXED, label="not searched"),
        Patch(facecolor="black", label="cap: squeeze-and-excitation"),
        Line2D([], [], color="black", linewidth=1, label="identity"),
        Line2D([], [], color="black", marker="v", linestyle="", markersize=4, label="stride 2"),
        Patch(facecolor="none", label="tall: expansion 6, low: 3"),
    ]
    if widths:
        handles.append(Patch(facecolor="#777777", label="width: share of the channels"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8,
        handlelength=1.2, columnspacing=1.0,
    )  # fmt: skip


def _mobilenetv2(settings: SpaceSettings) -> MobileNetV2:
    space = settings.without_images()
    assert isinstance(space, MobileNetV2)
    return space


def _draw_cells(entries: Sequence[Entry]) -> Figure:
    num_columns = min(len(entries), _CELLS_IN_A_ROW)
    num_rows = math.ceil(len(entries) / num_columns)
    figure = Figure(
        figsize=(_CELL_INCHES[0] * num_columns, _CELL_INCHES[1] * num_rows + 0.3),
        layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08),
    )
    panels = figure.subplots(num_rows, num_columns, squeeze=False).flatten().tolist()
    for spare in panels[len(entries) :]:
        spare.remove()
    for axes, (_, title, arch) in zip(panels, entries, strict=False):
        _draw_cell(axes, arch)
        axes.set_title(textwrap.fill(title, 46), fontsize=9)
    figure.legend(
        handles=[
            Line2D([], [], color=DEAD, label="does not reach the output"),
            Line2D([], [], color=DEAD, linestyle=":", label="none"),
        ],
        loc="outside lower center", ncols=2, frameon=False, fontsize=8,
    )  # fmt: skip
    return figure


def _draw_cell(axes: Axes, text: str) -> None:
    """A cell's nodes and edges."""
    try:
        arch = NASBench201().from_string(text)
    except ValueError as error:
        raise UserError(f"cannot draw {text[:40]!r}: {error}") from None
    live = canonical(arch)
    for (source, target), choice, alive in zip(EDGES, arch, live, strict=True):
        label, colour = OPERATION_LOOKS[OPERATIONS[choice]]
        faint = alive == NONE
        axes.add_patch(
            FancyArrowPatch(
                NODES[source], NODES[target], arrowstyle="-|>", mutation_scale=11,
                shrinkA=11, shrinkB=11, color=DEAD if faint else colour,
                linewidth=1.0 if faint else 1.8, linestyle=":" if choice == NONE else "-",
            )
        )  # fmt: skip
        (x, y), (to_x, to_y) = NODES[source], NODES[target]
        axes.text(
            0.5 * (x + to_x), 0.5 * (y + to_y), label, fontsize=8, ha="center", va="center",
            color="#aaaaaa" if faint else colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
    for (x, y), name in zip(NODES, NODE_NAMES, strict=True):
        axes.text(
            x, y, name, fontsize=8, ha="center", va="center",
            bbox={"boxstyle": "circle,pad=0.3", "facecolor": "#eeeeee", "edgecolor": "black"},
        )  # fmt: skip
    axes.set_xlim(-0.5, 4.5)
    axes.set_ylim(-0.4, 2.3)
    axes.set_axis_off()


_DRAWN: dict[str, Callable[[Sequence[Entry]], Figure]] = {
    "mobilenetv2": _draw_rows,
    "nasbench201": _draw_cells,
}
