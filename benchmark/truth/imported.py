"""What an importer hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.truth.table import TruthTable

NUM_DECIMALS = 6
"""Of accuracies in percent: one image is at least .01."""


@dataclass(frozen=True, eq=False)
class Imported:
    """An imported table, and what of the source it does not hold, one line each."""

    table: TruthTable
    left_out: tuple[str, ...]


def sorted_table(
    frame: pd.DataFrame, source: Path, lines: Sequence[int] | None = None
) -> TruthTable:
    """Check the content, then put the rows in the space's order, if it has one."""
    table = TruthTable(source, frame, lines)
    order = np.argsort(table.index([table.space.from_string(arch) for arch in table.frame.index]))
    return TruthTable(table.path, table.frame.iloc[order])
