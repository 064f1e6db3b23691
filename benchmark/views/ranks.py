"""How well finished runs rank: means, intervals, controls and seed agreement of their records."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from benchmark.records.load import BY_LOSS
from benchmark.views.values import Estimate, estimate, numbers

METRIC = "kendall_tau_b"
CONTROLS = {"params": "parameters", "flops": "FLOPs", "live_convolutions": "convolutions"}
AGREEMENT = "seed agreement"


def controls(runs: pd.DataFrame, metric: str = METRIC) -> dict[str, float]:
    """What counting reaches, by the name of what is counted; mean over samples of architectures."""
    parts = [str(name).split(".") for name in runs.columns]
    counted = {part[1] for part in parts if part[0] == "controls" and part[2:] == metric.split(".")}
    ordered = [*(name for name in CONTROLS if name in counted), *sorted(counted - {*CONTROLS})]
    values = {
        CONTROLS.get(name, name): _over_samples(runs, f"controls.{name}.{metric}")
        for name in ordered
    }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def best_control(runs: pd.DataFrame, metric: str = METRIC) -> tuple[str, float] | None:
    """What ranks best without training, and how well; None where nothing was counted."""
    return max(controls(runs, metric).items(), key=lambda pair: pair[1], default=None)


def agreement(runs: pd.DataFrame, metric: str = METRIC) -> float:
    """What two training seeds of the truth reach against each other; NaN where not known."""
    return _over_samples(runs, f"ceiling.{metric}")


def interval(runs: pd.DataFrame, metric: str = METRIC) -> tuple[float, float]:
    """Ends of the bootstrap interval over architectures, averaged over runs; NaN if unknown."""
    return _mean_ends(runs, f"intervals.{metric}")


def agreement_interval(runs: pd.DataFrame) -> tuple[float, float]:
    """The same of the seeds' agreement in tau-b."""
    return _mean_ends(runs, "ceiling.interval")


def by_loss(runs: pd.DataFrame, metric: str = METRIC) -> Estimate:
    """The metric with the negative loss as the score, over the runs; see ``each_by_loss``."""
    values = each_by_loss(runs, metric)
    return Estimate.of(np.empty(0) if np.isnan(values).any() else values)


def each_by_loss(runs: pd.DataFrame, metric: str = METRIC) -> NDArray[np.float64]:
    """The metric of each run (N,) with the negative loss as the score.

    NaN for a run without a loss, which scores from elsewhere are, and where it is undefined.
    """
    return numbers(runs, f"{BY_LOSS}.{metric}")


def p_value(first: pd.DataFrame, second: pd.DataFrame, metric: str = METRIC) -> float:
    """Two-sided Welch t-test over seeds between two rows; NaN where either has fewer than two."""
    pair = [_known(one, f"metrics.{metric}") for one in (first, second)]
    # Without any spread the test statistic divides by zero.
    if min(one.size for one in pair) < 2 or not pair[0].std() + pair[1].std() > 0:
        return math.nan
    return float(stats.ttest_ind(*pair, equal_var=False).pvalue)


def tau(runs: pd.DataFrame, metric: str = METRIC) -> Estimate:
    """Mean and spread of a metric by accuracy."""
    return estimate(runs, f"metrics.{metric}")


def score_name(run: pd.Series) -> str:
    """What a run's score is called, with its unit: of records that do not say so, accuracy."""
    name = run.get("task.score")
    return str(name).replace("(percent)", "(%)") if isinstance(name, str) else "accuracy (%)"


def steps(runs: pd.DataFrame) -> str:
    """Weight steps of a run, a range where runs differ."""
    known = runs["num_weight_steps"].dropna()
    if known.empty:
        return ""
    low, high = int(known.min()), int(known.max())
    return str(low) if low == high else f"{low} to {high}"


def _known(runs: pd.DataFrame, column: str) -> NDArray[np.float64]:
    values = numbers(runs, column)
    return values[~np.isnan(values)]


def _over_samples(runs: pd.DataFrame, column: str) -> float:
    """Mean over the distinct samples of architectures: runs on the same one agree exactly."""
    values = np.unique(_known(runs, column))
    return float(values.mean()) if values.size else math.nan


def _mean_ends(runs: pd.DataFrame, name: str) -> tuple[float, float]:
    column = runs.get(name)
    if column is None or column.isna().any() or not len(column):
        return math.nan, math.nan
    low, high = np.asarray([json.loads(pair) for pair in column], dtype=np.float64).mean(axis=0)
    return float(low), float(high)
