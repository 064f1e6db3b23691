"""The paper's figures and a few more, each in a file of its own, redrawn from records."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
from matplotlib.figure import Figure

from benchmark.figures import (
    codes,
    high_low_tau,
    predicted_against_true,
    tau_against_k,
    tau_over_epochs,
)
from benchmark.figures._style import FigureUnavailableError

__all__ = ["FIGURES", "FigureUnavailableError"]

FIGURES: Mapping[str, Callable[[pd.DataFrame], Figure]] = {
    "tau_against_k": tau_against_k.figure,
    "predicted_against_true": predicted_against_true.figure,
    "high_low_tau": high_low_tau.figure,
    "codes": codes.figure,
    "tau_over_epochs": tau_over_epochs.figure,
}
