"""Scatter of predicted against stand-alone accuracy, the raw material of every correlation."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.errors import UserError
from benchmark.figures._style import (
    COLOURS,
    FigureUnavailableError,
    panels,
    series_labels,
)
from benchmark.files import sha256
from benchmark.ground_truth import TruthTable, find_truth
from benchmark.groups import groups
from benchmark.load import load_predictions
from kshot_core.spaces.nasbench201 import NASBench201

SPACES_BY_NAME = {"nasbench201": NASBench201()}


def figure(records: pd.DataFrame) -> Figure:
    """Predicted against true accuracy in percent, a point per architecture, a panel per group.

    The first seed of each group is shown. The truth is read from the table that the record names
    and only if its bytes are still those of the run.

    Args:
        records: the result of ``benchmark.load.load_records``.

    Raises:
        FigureUnavailableError: no run has both its predictions and its truth table at hand.
        UserError: a file is damaged.
    """
    every = groups(records)
    shown, reason = [], ""
    for group, label in zip(every, series_labels(records, every, with_k=True), strict=True):
        run = group.runs.sort_values("config.seed").iloc[0]
        try:
            shown.append((group, label, run, *_points(run)))
        except FigureUnavailableError as error:
            reason = str(error)
    if not shown:
        raise FigureUnavailableError(reason)
    drawing, axes = panels(len(shown))
    for panel, (group, label, run, predicted, true) in zip(axes, shown, strict=True):
        # Thousands of points as vectors would make a PDF slow to open.
        panel.scatter(
            predicted, true, s=36 / np.log10(true.size + 10) ** 2, alpha=0.5, linewidths=0,
            color=COLOURS[0], rasterized=True,
        )  # fmt: skip
        recorded = run["metrics.kendall_tau_b"]
        tau = "undefined" if pd.isna(recorded) else f"{100 * recorded:.1f} %"
        panel.set_xlabel("predicted accuracy (%)")
        panel.set_ylabel("stand-alone accuracy (%)")
        panel.set_title(
            f"{group.setting.dataset}: {label}\n"
            f"{true.size:,} archs, seed {run['config.seed']}, tau {tau}",
            fontsize=10,
        )
    return drawing


def _points(run: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A run's predictions and truths (A,) in percent."""
    folder = Path(run["path"])
    if not (folder / "predictions.npy").is_file():
        raise FigureUnavailableError(f"{folder} has no predictions.npy")
    truths = TruthTable.load(_truth_file(run)).column(str(run["truth.column"])).dropna()
    scores = load_predictions(folder)
    space = SPACES_BY_NAME.get(str(run["space"]))
    if space is None:
        raise FigureUnavailableError(f"the space {run['space']} has no index of architectures")
    num_archs = len(space.archs())
    if scores["index"].max() >= num_archs:
        raise UserError(
            f"{folder / 'predictions.npy'} should hold indices below {num_archs}, "
            f"got {scores['index'].max()}; run again to rewrite it"
        )
    names = [space.to_string(space.from_index(int(index))) for index in scores["index"]]
    missing = sorted(set(names) - set(truths.index))
    if missing:
        raise UserError(
            f"the truth of {folder} has no value for {len(missing)} of its architectures, "
            f"such as {missing[0]}; run again against a complete table"
        )
    true: NDArray[np.float64] = np.asarray(truths.loc[names], dtype=np.float64)
    return scores["accuracy"].astype(np.float64), true


def _truth_file(run: pd.Series) -> Path:
    """The table the run was compared with: where it was then, or where it would be found now."""
    places = [Path(str(run.get("truth.file")))]
    # Finding none is no error here: a record may be read where no table is installed.
    with contextlib.suppress(UserError):
        places.append(find_truth(str(run["config.dataset"])))
    places = [place for place in places if place.is_file()]
    if not places:
        raise FigureUnavailableError(f"the truth table {run.get('truth.file')} is not at hand")
    for place in places:
        if sha256(place) == run.get("truth.sha256"):
            return place
    raise FigureUnavailableError(f"the truth table {places[0]} has changed since the run")
