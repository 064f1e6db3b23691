"""What a study's supernets prefer: rank errors, and scores beside others that are as good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.study.definition import StudyData
from benchmark.study.scored import Scored, Values, scored, shown
from benchmark.views.values import frame_of, interval_text
from kshot_core.evaluation.traits import CONVOLUTIONS, DEPTH, FLOPS, PARAMETERS, WIDTH
from kshot_core.metrics.biases import biases
from kshot_core.metrics.bootstrap import Finding, findings

TRAITS = (PARAMETERS, FLOPS, DEPTH, WIDTH, CONVOLUTIONS)
LABELS = {
    "name": "",
    "trait": "more",
    "errors": "errors",
    "errors_interval": "95 %",
    "preference": "preferred",
    "preference_interval": "95 %",
    "apart": "ranks",
    "apart_interval": "95 %",
}
FOR_PROGRAMS = ("errors_interval", "archs", "n")
NOTES = (
    (
        "Spearman's correlation in percent, by −loss. Errors: of predicted less true "
        "rank with the count; above 0, more of it is ranked too high. Any noise makes it "
        "negative where more is better, and so it proves no bias by itself."
    ),
    (
        "Preferred at equal truth: partial, of predicted rank and count with the true rank held "
        "fixed: what is preferred among architectures as good as each other. Mere noise gives 0; a "
        "truth with noise of its own lifts what goes with quality a little."
    ),
    (
        "Ranks at equal count: partial, of predicted and true rank with the count held fixed: "
        "what is left of the ranking when it may not count."
    ),
    "95 %: bootstrap over architectures and, where there are several, over the n seeds.",
)


@dataclass(frozen=True)
class OfTrait:
    """How a row's rankings go with a trait; see ``kshot_core.metrics.biases.Biases``."""

    errors: Finding
    preference: Finding
    apart: Finding


def of_traits(data: StudyData, one: Scored) -> dict[str, OfTrait]:
    """How a row's rankings go with each trait that varies among its architectures.

    Args:
        data: the study's, which keeps what is found for its other tables and figures.
        one: the row, on a data set.
    """
    return data.once(("traits", one.row.name, one.dataset), lambda: _of_traits(one))


def _of_traits(one: Scored) -> dict[str, OfTrait]:
    names = list(one.traits)
    if not names:
        return {}
    counted = np.stack([one.traits[name] for name in names])

    def statistic(scores: Values, places: NDArray[np.int64]) -> Values:
        found = biases(scores, one.true[places], counted[:, places])
        return np.concatenate([found.errors, found.preference, found.apart])

    found = findings(statistic, one.predicted)
    num = len(names)
    return {name: OfTrait(*found[at::num]) for at, name in enumerate(names)}


def table(data: StudyData, only: str = "") -> pd.DataFrame:
    """A line per row of the study and count, of ``TRAITS``.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown.

    Returns:
        Columns ``LABELS`` and ``n``, the number of seeds.
    """
    lines = []
    for label, one in scored(data, only).items():
        for trait, found in of_traits(data, one).items():
            if trait in TRAITS:
                line: dict[str, object] = {"name": shown(label, only), "trait": trait}
                for name in ("errors", "preference", "apart"):
                    value: Finding = getattr(found, name)
                    line |= {name: 100 * value.value, f"{name}_interval": interval_text(value, 100)}
                lines.append({**line, "archs": len(one.true), "n": len(one.predicted)})
    return frame_of(lines, [*LABELS, "n"])
