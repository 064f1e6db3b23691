"""Names of series: what sets them apart, spelt out while it is short, else numbered."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend

from benchmark.views.clusters import field_label
from benchmark.views.groups import MISSING

# What fits above a panel and twice across a legend.
MAX_LABEL = 44
KEY_SIZE = 7.5
_KEY_LINE_INCHES = 0.155


@dataclass(frozen=True)
class Labels:
    """Names of series, in their order.

    Attributes:
        names: one for each series; equal for series of equal head and settings.
        key: what the numbers in names stand for, a line each; empty where names say it all.
    """

    names: tuple[str, ...]
    key: tuple[str, ...] = ()


def labels(
    heads: Sequence[str], protocols: Sequence[Mapping[str, str]], fields: Sequence[str]
) -> Labels:
    """Names of series from what they are and the settings they differ in.

    Args:
        heads: what each is, e.g. ``K = 8 simplex``.
        protocols: the settings of each as text; one without effect or not recorded is left out.
        fields: settings that differ between some of them.
    """
    values = [
        {
            field: value
            for field in fields
            if (value := protocol.get(field, "")) not in ("", MISSING)
        }
        for protocol in protocols
    ]
    spelt = [", ".join(f"{field_label(f)} {value}" for f, value in one.items()) for one in values]
    names = [
        ", ".join(filter(None, [head, words])) for head, words in zip(heads, spelt, strict=True)
    ]
    if max(map(len, names), default=0) <= MAX_LABEL:
        return Labels(tuple(names))
    numbers = {words: number for number, words in enumerate(dict.fromkeys(spelt), start=1)}
    return Labels(
        tuple(f"{head} [{numbers[words]}]" for head, words in zip(heads, spelt, strict=True)),
        tuple(f"[{number}] {words or 'no setting'}" for words, number in numbers.items()),
    )


def wrapped(text: str, inches: float, size: float = 10.0) -> str:
    """Text broken into lines that fit a width when written in this font size."""
    # Digits and capitals, of which there are many, are wider than half the font's size.
    characters = max(12, int(inches * 72 / (0.62 * size)))
    return textwrap.fill(text, characters, break_long_words=False)


def add_key(figure: Figure, key: Sequence[str], legend: Legend | None = None) -> None:
    """What the numbers in names stand for, below the panels and above a legend's entries.

    The figure grows to fit it.
    """
    if not key:
        return
    width, height = figure.get_size_inches()
    lines = [wrapped(line, width - 0.4, KEY_SIZE).replace("\n", "\n     ") for line in key]
    num_lines = sum(line.count("\n") + 1 for line in lines)
    figure.set_size_inches(width, height + _KEY_LINE_INCHES * (num_lines + 1))
    if legend is None:
        legend = figure.legend([], [], loc="outside lower center", frameon=False)
    legend.set_title("\n".join(lines), prop=FontProperties(size=KEY_SIZE))
    legend.set_alignment("left")
