"""Drawings of architectures: what is drawn is what the text says, and text does not overlap."""

from __future__ import annotations

import math
import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.text import Text

from benchmark.cli.errors import UserError
from benchmark.config.space import SpaceSettings
from benchmark.views.drawing import draw, draw_all, is_drawable, save_figure
from benchmark.views.graphs import draw_graphs
from benchmark.views.sketch import sketches
from kshot_core.drawing import Drawable, Edge, Graph
from kshot_core.space import Space

BLUE, GREEN, ORANGE, GREY = "#0072b2", "#009e73", "#d55e00", "#999999"
SMALL = SpaceSettings(
    "mobilenetv2", stages="8x2/2,16x3/1", stem=8, first=4, head=32, factors="0.5,1.0"
)
ARCH = "k3e3,id,k5e6,k7e3s,k3e6s|0.5,1.0,1.0,0.5,0.5,1.0,0.5,1.0"
CELLS = SpaceSettings("nasbench201")
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"


def boxes(axes: Axes, colour: str) -> list[tuple[float, float]]:
    """Middle and height of the boxes above the line that have a colour."""
    found = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [
        (round(box.get_x() + box.get_width() / 2, 6), box.get_height())
        for box in found
        if box.get_y() == 0 and to_hex(box.get_facecolor()) == colour
    ]


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def random_arch(space: Space, seed: int) -> str:
    draws = random.Random(seed)
    return space.to_string(tuple(draws.randrange(num) for num in space.num_choices))


def test_boxes_say_kernel_expansion_excitation_and_identity() -> None:
    [axes] = draw(SMALL, [("title", ARCH)]).axes
    # Slots 0 and 1 are the stem and the first block, 7 is the head.
    assert [slot for slot, _ in boxes(axes, BLUE)] == [2, 6]
    assert [slot for slot, _ in boxes(axes, GREEN)] == [4]
    assert [slot for slot, _ in boxes(axes, ORANGE)] == [5]
    assert [slot for slot, _ in boxes(axes, GREY)] == [0, 1, 7]
    heights = {
        slot: height for colour in (BLUE, GREEN, ORANGE) for slot, height in boxes(axes, colour)
    }
    assert heights[2] == heights[5] < heights[4] == heights[6]
    caps = [
        patch
        for patch in axes.patches
        if isinstance(patch, Rectangle) and to_hex(patch.get_facecolor()) == "#000000"
    ]
    assert sorted(round(cap.get_x() + cap.get_width() / 2) for cap in caps) == [5, 6]
    assert [cap.get_y() for cap in caps] == [heights[5], heights[6]]
    identity = [line for line in axes.lines if len(set(line.get_ydata())) == 1]
    assert [list(line.get_xdata()) for line in identity] == [[2.5, 3.5]]
    assert axes.get_title(loc="left") == "title"


def test_widths_strides_and_stages_are_shown() -> None:
    [axes] = draw(SMALL, [("title", ARCH)]).axes
    # The identity's own width means nothing and is not shown.
    assert [word for word in words(axes) if word in (".5", "1")].count(".5") == 3
    below = [p for p in axes.patches if isinstance(p, Rectangle) and p.get_y() < 0]
    bars = {
        round(bar.get_x() + bar.get_width() / 2): bar.get_height()
        for bar in below
        if to_hex(bar.get_facecolor()) == "#777777"
    }
    assert sorted(bars) == [0, 1, 2, 4, 5, 6, 7]
    assert bars[0] == bars[4] == bars[6] == pytest.approx(bars[1] / 2)
    strided = [tuple(points.get_offsets()[0]) for points in axes.collections]
    # The stem and the first stage; the second stage has stride 1.
    assert [x for x, _ in strided] == [0, 2]
    assert {"8", "4", "16", "32"} <= set(words(axes))
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["stem", "first", "1", "2", "3", "4", "5", "head"]


def test_fixed_widths_are_left_out() -> None:
    settings = SpaceSettings("mobilenetv2", stages="8x2/2", factors="1.0")
    drawing = draw(settings, [("", random_arch(settings.without_images(), 0))])
    assert not [p for p in drawing.axes[0].patches if isinstance(p, Rectangle) and p.get_y() < 0]
    legend = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert not any("width" in text for text in legend)


def overlapping(drawing: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of one panel that run into one another."""
    drawing.draw_without_rendering()
    found = []
    for axes in drawing.axes:
        texts = [*axes.texts, *axes.get_xticklabels(), axes.title, axes._left_title]
        texts = [text for text in texts if text.get_text()]
        extents = [text.get_window_extent() for text in texts]
        found += [
            (texts[i].get_text(), texts[j].get_text())
            for i in range(len(texts))
            for j in range(i)
            if extents[i].overlaps(extents[j])
        ]
    return found


def test_full_size_networks_are_legible() -> None:
    settings = SpaceSettings("mobilenetv2")
    space = settings.without_images()
    title = "K = 8 simplex: 123.45 MFLOPs, 0.0123 M parameters, " * 5
    drawing = draw(settings, [(title, random_arch(space, seed)) for seed in range(2)])
    assert overlapping(drawing) == []
    assert len(drawing.axes[0].get_xticklabels()) == 24
    assert drawing.axes[0].get_title(loc="left").count("\n") >= 1
    drawn = drawing.axes[0]._left_title.get_window_extent()
    assert drawn.x1 <= drawing.bbox.x1


def test_spaces_of_one_kind_share_a_figure() -> None:
    other = SpaceSettings("mobilenetv2", stages="8x1/1", factors="1.0")
    drawing = draw_all([(SMALL, "a", ARCH), (other, "b", random_arch(other.without_images(), 0))])
    assert [axes.get_title(loc="left") for axes in drawing.axes] == ["a", "b"]


def test_cells_are_graphs_with_their_operations() -> None:
    drawing = draw(CELLS, [("one", CELL), ("two", CELL.replace("skip_connect", "none"))])
    first, second = drawing.axes
    assert words(first) == ["3×3", "", "skip", "1×1", "", "pool", "in", "1", "2", "out"]
    arrows = [patch for patch in first.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 6
    faint = [to_hex(arrow.get_edgecolor()) == "#cccccc" for arrow in arrows]
    assert faint == [False, True, False, False, True, False]
    # Without the skip, the 3×3 and the pool lead nowhere.
    arrows = [patch for patch in second.patches if isinstance(patch, FancyArrowPatch)]
    faint = [to_hex(arrow.get_edgecolor()) == "#cccccc" for arrow in arrows]
    assert faint == [True, True, True, False, True, True]
    assert overlapping(drawing) == []


def test_rows_of_a_space_without_widths_and_caps_explain_what_they_have() -> None:
    drawing = draw(SpaceSettings("nasbench_macro"), [("one", "01200000")])
    [axes] = drawing.axes
    # A strided layer's identity is a 1×1 convolution: a grey box.
    assert [slot for slot, _ in boxes(axes, GREY)] == [0, 1, 6, 9]
    assert [slot for slot, _ in boxes(axes, BLUE)] == [2]
    legend = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert legend[:3] == ["kernel 3×3", "kernel 5×5", "not searched"]
    assert not any("width" in text or "cap" in text for text in legend)
    assert overlapping(drawing) == []


def test_a_graph_without_places_is_laid_out_so_that_arcs_pass_by_its_nodes() -> None:
    ends = [(0, 1), (0, 2), (0, 6), (1, 3), (1, 5), (2, 4), (3, 5), (4, 6), (5, 6)]
    edges = tuple(Edge(*pair, f"op {at}", at % 4) for at, pair in enumerate(ends))
    graph = Graph(("in", "conv3×3", "pool", "1×1", "conv3×3", "pool", "out"), edges, name="normal")
    drawing = draw_graphs([("a", (graph, graph))])
    assert [axes.get_title() for axes in drawing.axes] == ["a: normal"] * 2
    assert overlapping(drawing) == []
    assert not drawing.legends


def inside(node: Text, x: float, y: float) -> bool:
    """Whether a point lies in a node, which short names have as a circle."""
    box = node.get_bbox_patch().get_window_extent()
    if len(node.get_text()) > 3:
        return bool(box.contains(x, y))
    middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return math.dist(middle, (x, y)) < box.width / 2


@pytest.mark.parametrize("name", ["darts", "darts_ptb", "nasbench101", "nasbench201"])
def test_no_arrow_ends_below_a_node(name: str) -> None:
    settings = SpaceSettings(name)
    space = settings.without_images()
    archs = [space.sample(torch.Generator().manual_seed(seed)) for seed in range(3)]
    drawing = draw(settings, [("", space.to_string(arch)) for arch in archs])
    assert overlapping(drawing) == []
    assert isinstance(space, Drawable)
    graphs = [graph for arch in archs for graph in space.drawing(arch)]
    for axes, graph in zip(drawing.axes, graphs, strict=True):
        assert isinstance(graph, Graph)
        nodes = axes.texts[-len(graph.nodes) :]
        arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
        for edge, arrow in zip(graph.edges, arrows, strict=True):
            points = axes.transData.transform(arrow.get_path().vertices)
            for node in (edge.source, edge.target):
                assert not any(inside(nodes[node], *point) for point in points), (name, edge)


@pytest.mark.parametrize("name", ["darts_ptb", "nasbench101"])
def test_no_arrow_of_a_small_drawing_ends_below_a_node(name: str) -> None:
    space = SpaceSettings(name).without_images()
    found = sketches(space, [space.sample(torch.Generator().manual_seed(1))]).svg(0, "")
    nodes = [
        tuple(float(value) for value in match)
        for match in re.findall(
            r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" rx="13"', found
        )
    ]
    tips = re.findall(r'<path d="M([\d.]+) ([\d.]+)L', found)
    assert len(nodes) > 4
    assert len(tips) > 4
    for x, y in ((float(x), float(y)) for x, y in tips):
        assert not any(a < x < a + wide and b < y < b + high for a, b, wide, high in nodes)
    for (x, _, wide, _), (after, *_) in pairwise(nodes):
        # Room for an arrow between neighbours.
        assert after - (x + wide) > 15


def test_a_space_without_a_drawing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SpaceSettings("nasbench_macro")
    assert is_drawable(settings)
    monkeypatch.setattr(SpaceSettings, "without_images", lambda self: object())
    assert not is_drawable(settings)
    with pytest.raises(UserError, match="nasbench_macro cannot be drawn"):
        draw(settings, [("", "01201201")])


@pytest.mark.parametrize(
    ("settings", "arch"),
    [(SMALL, "k3e3,id"), (SMALL, CELL), (CELLS, ARCH), (SMALL, "id," + ARCH[5:]), (CELLS, "")],
)
def test_text_of_another_space_is_one_clear_line(settings: SpaceSettings, arch: str) -> None:
    with pytest.raises(UserError, match="cannot draw") as error:
        draw(settings, [("", arch)])
    assert "\n" not in str(error.value)


def test_nothing_or_two_kinds_of_space_cannot_be_drawn() -> None:
    with pytest.raises(UserError, match="one kind of space is drawn at a time, got none"):
        draw(SMALL, [])
    with pytest.raises(UserError, match="got mobilenetv2, nasbench201"):
        draw_all([(SMALL, "", ARCH), (CELLS, "", CELL)])


def test_a_saved_drawing_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        save_figure(draw(CELLS, [("title", CELL)]), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot write"):
        save_figure(draw(CELLS, [("title", CELL)]), tmp_path / "file" / "one.png")
