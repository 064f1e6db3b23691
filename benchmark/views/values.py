"""Values of records for tables and figures: means with their spread, settings as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kshot_core.metrics.bootstrap import Finding

MISSING = "\N{EN DASH}"
NO_RUN = "no run"


def frame_of(lines: Sequence[Mapping[str, object]], columns: Iterable[str]) -> pd.DataFrame:
    """A row per line, with the lines' own columns; those given where there is no line."""
    return pd.DataFrame(lines, columns=None if lines else pd.Index(columns))


@dataclass(frozen=True)
class Estimate:
    """Mean and sample standard deviation over runs; NaN where there is none.

    Attributes:
        mean: the mean.
        sd: the spread; NaN for fewer than two.
        num: how many values.
    """

    mean: float
    sd: float
    num: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Estimate:
        """Estimate from values; a single undefined one makes the mean undefined."""
        if not values.size:
            return cls(math.nan, math.nan, 0)
        sd = float(values.std(ddof=1)) if values.size > 1 else math.nan
        return cls(float(values.mean()), sd, values.size)


def estimate(frame: pd.DataFrame, column: str) -> Estimate:
    """Mean and spread of a column over the records that have a value there."""
    values = numbers(frame, column)
    return Estimate.of(values[~np.isnan(values)])


def numbers(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as float64, NaN where it or a value is missing."""
    if column not in frame.columns:
        return np.full(len(frame), np.nan)
    return np.asarray(pd.to_numeric(frame[column]), dtype=np.float64)


def interval_text(found: Finding, scale: float = 1.0, decimals: int = 1) -> str:
    """The ends of a finding's interval, each times ``scale``, or a dash where there is none."""
    if math.isnan(found.low):
        return MISSING
    return f"{scale * found.low:.{decimals}f} to {scale * found.high:.{decimals}f}"


def text(value: object) -> str:
    """A setting's value as a person would write it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    # A column with a gap turns its whole numbers into floats.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
