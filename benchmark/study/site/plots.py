"""The interactive plots of pages, by bokeh, as the JSON that its script draws them from."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from bokeh.embed import json_item
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    CustomJSHover,
    HoverTool,
    LinearColorMapper,
)
from bokeh.models.annotations import ColorBar, Span
from bokeh.models.renderers import GlyphRenderer
from bokeh.palettes import Viridis256, linear_palette
from bokeh.plotting import figure
from numpy.typing import NDArray

from benchmark.study.site.archs import Archs
from benchmark.views.style import COLOURS, NEUTRAL

SOURCE = "archs"
"""The name under which a page's script finds the architectures' columns."""
_TOOLS = "box_select,lasso_select,pan,wheel_zoom,tap,reset,save"
# The brightest colours would be lost on white paper.
_PALETTE = Viridis256[:220]
_DASHES = ("solid", "dashed", "dotted", "dotdash")
_HOVER = """
<div class="tip" style="max-width: 20rem">{drawing}
<div style="overflow-wrap: anywhere"><b>@arch</b></div>
<div>{rank}: <b>@rank{{0,0}}</b>{of} &nbsp; {true}</div>
<div>@mflops{{0,0.[00]}} M multiply-adds, @mparams{{0,0.[000]}} M parameters</div></div>"""


def scatter(archs: Archs) -> str:
    """Predicted score against stand-alone accuracy, a point per architecture, as JSON.

    The column ``x`` starts as the accuracy; a page's script puts another score into it.
    """
    columns = ["accuracy", "minus_loss", "true", "rank_accuracy", "rank_loss", "rank_true"]
    source = _source(archs, columns, x="accuracy", rank="rank_accuracy")
    plot = _plot("predicted accuracy (%)", "stand-alone accuracy (%)", height=460)
    points = _points(plot, source, archs, "x", "true")
    num = len(archs.frame)
    _hover(
        plot, points, archs, "predicted rank", f" of {num:,}", "true rank: <b>@rank_true{0,0}</b>"
    )
    return _json(plot)


def front(archs: Archs, members: Sequence[int], best: int, limits: Sequence[float]) -> str:
    """Accuracy against multiply-adds of all that a search scored, as JSON.

    Args:
        archs: of the search.
        members: their numbers that no other beats in both, by rising cost.
        best: the number of the one chosen.
        limits: on multiply-adds, in millions.
    """
    columns = ["accuracy", "minus_loss", "true", "rank_accuracy", "rank_loss", "rank_true"]
    source = _source(archs, [*columns, "generation"], x="mflops", rank="rank_accuracy")
    plot = _plot("million multiply-adds", "held-out accuracy (%)", height=460)
    frame = archs.frame
    for limit in limits:
        plot.add_layout(
            Span(location=limit, dimension="height", line_dash="dashed", line_color="black")
        )
    plot.step(
        frame["mflops"].to_numpy()[list(members)], frame["accuracy"].to_numpy()[list(members)],
        mode="after", line_width=2, color=COLOURS[1], legend_label="Pareto front",
    )  # fmt: skip
    points = _points(plot, source, archs, "x", "accuracy")
    plot.scatter(
        [frame["mflops"].iloc[best]], [frame["accuracy"].iloc[best]], marker="star", size=20,
        fill_color=COLOURS[1], line_color="black", legend_label="chosen",
    )  # fmt: skip
    plot.legend.location = "bottom_right"
    _hover(plot, points, archs, "rank", f" of {len(frame):,}", "generation @generation")
    return _json(plot)


def epochs(lines: pd.DataFrame, ylabel: str) -> str:
    """Columns against the epoch, a line each, as JSON.

    Args:
        lines: a row per epoch, which is the index; gaps are NaN.
        ylabel: what they have in common.
    """
    plot = _plot("epoch", ylabel, height=300, tools="pan,wheel_zoom,reset,save")
    for place, name in enumerate(lines.columns):
        known = lines[name].dropna()
        colour = COLOURS[place % len(COLOURS)]
        data = ColumnDataSource({"epoch": known.index.to_numpy(), "value": known.to_numpy()})
        label = str(name)
        plot.line(
            "epoch", "value", source=data, color=colour, line_width=2, legend_label=label,
            line_dash=_DASHES[place % len(_DASHES)],
        )  # fmt: skip
        dots = plot.scatter("epoch", "value", source=data, color=colour, size=6, legend_label=label)
        plot.add_tools(
            HoverTool(
                renderers=[dots],
                tooltips=[("epoch", "@epoch"), (label, "@value{0.000}")],
                description=label,
                visible=False,
            )
        )
    _legend_beside(plot)
    return _json(plot)


def codes(values: NDArray[np.float32]) -> str:
    """How often each copy has which coefficient, a line per copy, as JSON.

    Args:
        values: codes (A, K).
    """
    num_copies = values.shape[1]
    num_bins = min(40, max(10, len(values) // 10))
    edges = np.linspace(0.0, float(np.ceil(values.max() * 10) / 10), num_bins + 1)
    plot = _plot("coefficient λ", "archs per bin", height=300, tools="pan,wheel_zoom,reset,save")
    for copy in range(num_copies):
        heights = np.histogram(values[:, copy], bins=edges)[0].astype(np.float64)
        plot.step(
            edges, np.append(heights, heights[-1]), mode="after", line_width=2,
            color=COLOURS[copy % len(COLOURS)], legend_label=f"copy {copy + 1}",
            line_dash=_DASHES[copy // len(COLOURS) % len(_DASHES)],
        )  # fmt: skip
    plot.add_layout(
        Span(location=1 / num_copies, dimension="height", line_dash="dotted", line_width=2)
    )
    _legend_beside(plot)
    plot.legend.title = "dotted: 1/K"
    return _json(plot)


def _plot(xlabel: str, ylabel: str, height: int, tools: str = _TOOLS) -> figure:
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        tools=tools,
        active_drag="box_select" if tools == _TOOLS else None,
        active_scroll=None,
        toolbar_location="above",
        x_axis_label=xlabel,
        y_axis_label=ylabel,
        min_border_right=10,
    )
    plot.toolbar.logo = None
    for axis in plot.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "14px"
    return plot


def _legend_beside(plot: figure) -> None:
    """The legend to the right of the lines, which a click on it hides; none of a single line."""
    (legend,) = plot.legend
    legend.click_policy = "hide"
    legend.visible = len(legend.items) > 1
    plot.add_layout(legend, "right")


def _source(archs: Archs, columns: Sequence[str], x: str, rank: str) -> ColumnDataSource:
    """The columns, in 32 bits; whole numbers up to 16 million stay exact in them."""
    frame = archs.frame
    columns = [*columns, "mflops", "mparams", "convolutions"]
    data: dict[str, Any] = {name: frame[name].to_numpy(np.float32) for name in columns}
    data |= {"x": data[x], "rank": data[rank], "arch": frame["arch"].tolist()}
    if archs.sketches is not None:
        data["letters"] = list(archs.sketches.letters)
    return ColumnDataSource(data, name=SOURCE)


def _points(
    plot: figure, source: ColumnDataSource, archs: Archs, x: str, y: str
) -> GlyphRenderer[Any]:
    counts = archs.frame["convolutions"]
    colour: Any = COLOURS[0]
    if counts.notna().any():
        low, high = int(counts.min()), int(counts.max())
        mapper = LinearColorMapper(
            palette=list(linear_palette(_PALETTE, min(high - low + 1, len(_PALETTE)))),
            low=low - 0.5,
            high=high + 0.5,
        )
        colour = {"field": "convolutions", "transform": mapper}
        ticker = BasicTicker(min_interval=1, desired_num_ticks=min(high - low + 1, 8))
        plot.add_layout(
            ColorBar(color_mapper=mapper, title="convolutions", ticker=ticker, width=10), "right"
        )
    size = 4 if len(archs.frame) > 5000 else 6 if len(archs.frame) > 500 else 9
    return plot.scatter(
        x, y, source=source, size=size, fill_color=colour, line_color=None, fill_alpha=0.75,
        nonselection_fill_alpha=0.08, nonselection_fill_color=NEUTRAL, name="points",
    )  # fmt: skip


def _hover(
    plot: figure, points: GlyphRenderer[Any], archs: Archs, rank: str, of: str, true: str
) -> None:
    drawn = archs.sketches is not None
    drawing = '<img alt="" src="@letters{custom}">' if drawn else ""
    plot.add_tools(
        HoverTool(
            renderers=[points],
            tooltips=_HOVER.format(drawing=drawing, rank=rank, of=of, true=true),
            # The page's script puts the drawing together; see assets/site.js.
            formatters={"@letters": CustomJSHover(code="return kshot.image(value)")}
            if drawn
            else {},
            limit=1,
            attachment="horizontal",
        )
    )


def _json(plot: figure) -> str:
    """Bokeh's JSON with its ids counted from 1, so that equal plots have equal bytes."""
    # In the order given: a model is written out where it is met first.
    text = json.dumps(json_item(plot))
    seen: dict[str, str] = {}
    return re.sub(r'"p\d+"', lambda match: seen.setdefault(match[0], f'"p{len(seen) + 1}"'), text)
