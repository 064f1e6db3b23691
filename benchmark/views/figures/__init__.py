"""The paper's figures and a few more, each in a file of its own, redrawn from records."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from benchmark.views.figures import (
    architectures,
    cells,
    codes,
    codes_search,
    epochs_against_k,
    front,
    groups,
    high_low_tau,
    predicted_against_true,
    search_progress,
    tau_against_k,
    tau_over_epochs,
)
from benchmark.views.figures._style import FigureUnavailableError, Plot

__all__ = ["FIGURES", "FigureUnavailableError", "Plot"]

FIGURES: Mapping[str, Callable[..., Figure]] = {
    "tau_against_k": tau_against_k.figure,
    "predicted_against_true": predicted_against_true.figure,
    "high_low_tau": high_low_tau.figure,
    "codes": codes.figure,
    "tau_over_epochs": tau_over_epochs.figure,
    "search_progress": search_progress.PLOT,
    "front": front.PLOT,
    "codes_search": codes_search.PLOT,
    "architectures": architectures.PLOT,
    "cells": cells.PLOT,
    "epochs_against_k": epochs_against_k.PLOT,
    "groups": groups.PLOT,
}
