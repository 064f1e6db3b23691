"""What a page knows of each architecture: text, drawing, scores, ranks and cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from benchmark.records.load import load_predictions
from benchmark.records.load_searches import load_evaluated
from benchmark.study.scored import archs_ranked, space_of
from benchmark.views.sketch import Sketches, sketches
from kshot_core.space import Arch, Priced, Space


@dataclass(frozen=True)
class Archs:
    """The architectures of a run or a search.

    Args:
        frame: a row each; ``arch``, ``accuracy`` (percent),
            ``minus_loss``, ``true`` (percent), ``rank_accuracy``, ``rank_loss`` and ``rank_true``
            (1 is the best, ties share the better rank), ``mflops``, ``mparams`` and
            ``convolutions``; of a search ``number`` and ``generation`` as well. NaN is unknown.
        sketches: their drawings in the same order; None where it is not known which they are.
        cost_of: which networks the costs are of, in words.
    """

    frame: pd.DataFrame
    sketches: Sketches | None
    cost_of: str


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, each by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def archs_of_run(row: Mapping[str, Any]) -> Archs:
    """The architectures that a run ranked.

    Args:
        row: of a frame of ``benchmark.records.load``.

    Raises:
        UserError: its predictions are absent or damaged.
    """
    scores = load_predictions(Path(row["path"]))
    space = space_of(row)
    frame = pd.DataFrame(
        {
            "accuracy": scores["accuracy"].astype(np.float64),
            "minus_loss": -scores["loss"].astype(np.float64),
            "true": scores["true"],
        }
    )
    archs = archs_ranked(space, Path(row["path"]), scores["index"])
    if archs is None:
        # The record is from before such a run named its architectures.
        frame["arch"] = [f"row {index} of the truth table" for index in scores["index"]]
        frame[["mflops", "mparams", "convolutions"]] = np.nan
        return Archs(_ranked(frame), None, "")
    return _described(frame, space, archs)


def archs_of_search(row: Mapping[str, Any]) -> Archs:
    """The architectures that a search scored, in that order.

    Args:
        row: of a frame of ``benchmark.records.load_searches``.

    Raises:
        UserError: its ``evaluated.csv`` is absent or damaged.
    """
    table = load_evaluated(Path(row["path"]), int(row["num_scored"]))
    space = space_of(row)
    frame = table[["number", "generation", "accuracy"]].astype(np.float64)
    frame["minus_loss"] = -table["loss"].astype(np.float64)
    frame["true"] = table["true"].astype(np.float64) if "true" in table else np.nan
    described = _described(frame, space, [space.from_string(text) for text in table["arch"]])
    # What the search itself counted, at the size of its images.
    described.frame["mflops"] = table["flops"].astype(np.float64) / 1e6
    described.frame["mparams"] = table["params"].astype(np.float64) / 1e6
    return dataclasses.replace(described, cost_of="as the search counted them")


def _described(frame: pd.DataFrame, space: Space, archs: Sequence[Arch]) -> Archs:
    live = [space.canonical(arch) for arch in archs]
    frame["arch"] = [space.to_string(arch) for arch in archs]
    frame[["mflops", "mparams"]] = np.nan
    cost_of = ""
    if isinstance(space, Priced):
        frame["mflops"] = [space.flops(arch) / 1e6 for arch in live]
        frame["mparams"] = [space.params(arch) / 1e6 for arch in live]
        cost_of = f"of what reaches the output, as {space.name} has them by default"
    frame["convolutions"] = [float(space.num_convolutions(arch)) for arch in archs]
    return Archs(_ranked(frame), sketches(space, archs), cost_of)


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    for rank, score in (
        ("rank_accuracy", "accuracy"),
        ("rank_loss", "minus_loss"),
        ("rank_true", "true"),
    ):
        frame[rank] = ranks(frame[score])
    return frame


def ranks(scores: ArrayLike) -> NDArray[np.float64]:
    """Ranks (A,) of scores (A,), 1 for the highest; ties share the better one, NaN has none."""
    values = np.asarray(scores, dtype=np.float64)
    places = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    places[known] = rankdata(-values[known], method="min")
    return places
