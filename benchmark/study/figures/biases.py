"""What supernets rank too high: by counts, and by each choice at each site."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from benchmark.study.definition import StudyData
from benchmark.study.scored import Scored, Values, scored
from benchmark.study.tables.biases import of_traits
from benchmark.views.style import (
    COLOURS,
    NEUTRAL,
    FigureUnavailableError,
    add_legend,
    panels,
    set_title,
)
from kshot_core.metrics.biases import ByChoice, by_choice, rank_errors, rank_residuals
from kshot_core.space import Named, Site

MOST_PANELS = 6
_MOST_COLUMNS = 10
_ROW_INCHES = 0.26
_MOST_INCHES = 15.0
"""Of a figure's height: below 1,600 pixels at the resolution that figures are written in."""
_UNKNOWN = "#eeeeee"
_FEWEST = 5
"""A mean of fewer architectures is not shown."""


def of_counts(data: StudyData, only: str = "") -> Figure:
    """How much of each count goes with rank errors and, at equal truth, with being preferred.

    A panel per row, a line per count; bars are 95 % intervals over architectures and seeds.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown, the first six.

    Raises:
        FigureUnavailableError: there is no run whose architectures are known.
    """
    shown = _shown(data, only)
    drawing, axes = panels(len(shown), max_columns=2)
    longest = 1
    for panel, (label, one) in zip(axes, shown.items(), strict=True):
        found = of_traits(data, one)
        names = list(found)
        longest = max(longest, len(names))
        for shift, (kind, colour, marker) in zip(
            (-0.15, 0.15),
            (("errors", COLOURS[1], "s"), ("preference", COLOURS[0], "o")),
            strict=True,
        ):
            values = [getattr(found[name], kind) for name in names]
            mean = np.array([100 * value.value for value in values])
            ends = 100 * np.array([[value.low, value.high] for value in values]).reshape(-1, 2)
            far = np.nan_to_num(np.abs(ends - mean[:, None])).T
            panel.errorbar(
                mean, np.arange(len(names)) + shift, xerr=far, fmt=marker, markersize=4.5,
                color=colour, linewidth=1.3,
                label="with rank errors" if kind == "errors" else "preferred at equal truth",
            )  # fmt: skip
        panel.axvline(0, color=NEUTRAL, linewidth=1)
        panel.set_yticks(range(len(names)), names, fontsize=8)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.set_xlabel("Spearman's correlation (%)")
        set_title(panel, label, _about(one))
    rows = -(-len(axes) // 2)
    drawing.set_figheight(min(_MOST_INCHES, rows * (1.3 + _ROW_INCHES * longest)))
    add_legend(drawing, axes, ["preferred at equal truth", "with rank errors"])
    return drawing


def of_choices(data: StudyData, only: str = "", at_equal_truth: bool = False) -> Figure:
    """Heat map of the mean rank error by each choice at each site, a panel per row.

    In percent of the number of architectures, mean over seeds; above 0 (red) is ranked too high.
    A number is bold where its 95 % interval over architectures leaves 0 out; a mean of fewer than
    five architectures is left out.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown, the first six.
        at_equal_truth: with the true rank held fixed, so that what is merely good or bad is not
            ranked too low or too high by noise alone.

    Raises:
        FigureUnavailableError: no run's architectures are known, or their space has no names.
    """
    shown = {label: one for label, one in _shown(data, only).items() if _has_names(one)}
    if not shown:
        raise FigureUnavailableError("the search space does not name its choices")
    drawing, axes = panels(len(shown), max_columns=2)
    tallest = 1
    for panel, (label, one) in zip(axes, shown.items(), strict=True):
        errors = (rank_residuals if at_equal_truth else rank_errors)(one.predicted, one.true)
        sites, found = _by_site(one, 100 * errors)
        tallest = max(tallest, len(sites))
        _draw(panel, sites, found)
        set_title(panel, label, f"{_about(one)}; percent of archs")
    rows = -(-len(axes) // 2)
    drawing.set_figheight(min(_MOST_INCHES, rows * (1.5 + _ROW_INCHES * tallest)))
    return drawing


def _by_site(one: Scored, errors: Values) -> tuple[list[Site], list[ByChoice]]:
    """The sites shown, and errors (N, A) by each of their choices."""
    space = one.space
    assert isinstance(space, Named)
    sites = space.sites()
    names = {name for site in sites for name in site.choices}
    places = [
        at for at, site in enumerate(sites) if site.is_operation or len(names) <= _MOST_COLUMNS
    ]
    live = [space.canonical(arch) for arch in one.archs]
    table = [tuple(arch[at] if sites[at].counts(arch) else -1 for at in places) for arch in live]
    own = [sites[at] for at in places]
    return own, by_choice(errors, table, [len(site.choices) for site in own])


def _draw(panel: Axes, sites: list[Site], found: list[ByChoice]) -> None:
    names = list(dict.fromkeys(name for site in sites for name in site.choices))
    values = np.full((len(sites), len(names)), np.nan)
    for row, (site, one) in enumerate(zip(sites, found, strict=True)):
        for name, mean, num in zip(site.choices, one.mean, one.num, strict=True):
            if num >= _FEWEST:
                values[row, names.index(name)] = mean
    most = max(1.0, float(np.nan_to_num(np.abs(values)).max()))
    panel.set_facecolor(_UNKNOWN)
    panel.grid(visible=False)
    panel.imshow(
        values, cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -most, most), aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    for row, (site, one) in enumerate(zip(sites, found, strict=True)):
        for name, low, high in zip(site.choices, one.low, one.high, strict=True):
            mean = values[row, names.index(name)]
            if np.isfinite(mean):
                sure = low > 0 or high < 0
                panel.text(
                    names.index(name), row, _whole(mean), ha="center", va="center", fontsize=7,
                    fontweight="bold" if sure else "normal",
                    color="white" if abs(mean) > 0.6 * most else "black",
                    alpha=1.0 if sure else 0.6,
                )  # fmt: skip
    panel.set_xticks(range(len(names)), [_short(name) for name in names], fontsize=7, rotation=35,
                     ha="right", rotation_mode="anchor")  # fmt: skip
    panel.set_yticks(range(len(sites)), [site.name for site in sites], fontsize=7)
    panel.set_ylabel("site")


def _whole(value: float) -> str:
    return f"{round(value):+d}" if round(value) else "0"


def _short(name: str) -> str:
    for long, short in (("nor_conv_", "conv "), ("_conv_", " "), ("_pool_", " "),
                        ("skip_connect", "skip")):  # fmt: skip
        name = name.replace(long, short)
    return name


def _shown(data: StudyData, only: str) -> dict[str, Scored]:
    found = scored(data, only)
    if not found:
        raise FigureUnavailableError("there is no run whose architectures are known")
    return dict(list(found.items())[:MOST_PANELS])


def _has_names(one: Scored) -> bool:
    return isinstance(one.space, Named)


def _about(one: Scored) -> str:
    seeds = len(one.predicted)
    return f"{len(one.true):,} archs, {seeds} seed{'s' * (seeds > 1)}"
