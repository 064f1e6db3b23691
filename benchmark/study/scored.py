"""What runs of one row scored, as arrays: which architectures, predicted and true merit.

Shape letters: N runs (seeds), A architectures, T epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.cli.errors import UserError
from benchmark.config.space import SpaceSettings
from benchmark.records.load import load_predictions
from benchmark.records.load_details import load_archs, load_gradients, load_tracked
from benchmark.study.definition import Row, StudyData
from benchmark.study.ranked import NAMES, datasets, groups
from kshot_core.evaluation.traits import traits
from kshot_core.space import Arch, Listable, Space

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """The runs of one row on one data set, which all scored the same architectures.

    Attributes:
        row: of the study.
        dataset: what the supernets were trained on.
        paths: folders of the runs, by seed.
        space: the search space, at the size of images that it has by default.
        archs: A architectures.
        predicted: −loss, or the score where nothing has a loss, (N, A); higher is better.
        true: what each reaches alone (A,), or its negative where lower is better.
    """

    row: Row
    dataset: str
    paths: tuple[Path, ...]
    space: Space
    archs: tuple[Arch, ...]
    predicted: Values
    true: Values

    @cached_property
    def traits(self) -> dict[str, Values]:
        """What architectures are counted by, (A,) each; see ``kshot_core.evaluation.traits``."""
        return traits(self.space, self.archs)

    def tracked(self) -> tuple[NDArray[np.int64], Values, NDArray[np.int64]] | None:
        """Scores while training, of the epochs that every run has: None where there are none.

        Returns:
            epochs (T,), −loss (N, T, A') of the architectures that were looked at, and their
            places (A',) among all.

        Raises:
            UserError: a file is damaged, or runs looked at other architectures.
        """
        found = [load_tracked(path) for path in self.paths]
        if not found or any(one is None or not one.size for one in found):
            return None
        tables = [one for one in found if one is not None]
        common = sorted(set.intersection(*(set(one["epoch"][:, 0].tolist()) for one in tables)))
        places = tables[0]["place"][0].astype(np.int64)
        if any(not np.array_equal(one["place"][0], places) for one in tables):
            raise UserError(f"runs of {self.row.label} tracked different archs: {self.paths[0]}")
        if not common:
            return None
        chosen = np.stack([one[np.isin(one["epoch"][:, 0], common)] for one in tables])
        merit = -chosen["loss"].astype(np.float64)
        return np.array(common, dtype=np.int64), merit, places

    def gradients(self) -> NDArray[np.void] | None:
        """Gradients in pairs of all runs together, of ``GRADIENTS``; None where there are none.

        Raises:
            UserError: a file is damaged.
        """
        found = [one for one in map(load_gradients, self.paths) if one is not None]
        return np.concatenate(found) if found else None


def scored(data: StudyData, only: str = "") -> dict[str, Scored]:
    """Every data set and row of a study with runs whose architectures are known, by a label.

    Args:
        data: the study's.
        only: end of the names of its rows; others are left out.

    Raises:
        UserError: predictions are damaged, or runs of a row scored different architectures.
    """
    each = [
        found
        for dataset in datasets(data)
        for row, runs in groups(data, dataset)
        if row.name.endswith(only) and (found := of_runs(data, row, dataset, runs)) is not None
    ]
    rows = [one.row.name for one in each]
    return {
        one.row.label
        if rows.count(one.row.name) == 1
        else f"{NAMES.get(one.dataset, one.dataset)}: {one.row.label}": one
        for one in each
    }


def shown(label: str, only: str) -> str:
    """A row's label in a table, without its ranker where the table has one ranker alone."""
    return label.partition(":")[0] if only else label


def of_runs(data: StudyData, row: Row, dataset: str, runs: pd.DataFrame) -> Scored | None:
    """The runs of a row on a data set; None where it is not known what they scored.

    Predictions are read, and traits counted, once for all that is shown of the data.

    Raises:
        UserError: predictions are damaged, or the runs scored different architectures.
    """
    return data.once(("scored", row.name, *runs["path"]), lambda: _read(row, dataset, runs))


def _read(row: Row, dataset: str, runs: pd.DataFrame) -> Scored | None:
    runs = runs.sort_values("seed")
    first = {str(name): value for name, value in runs.iloc[0].items()}
    paths = tuple(Path(path) for path in runs["path"])
    tables = [load_predictions(path) for path in paths]
    if any(not np.array_equal(one["index"], tables[0]["index"]) for one in tables):
        raise UserError(f"runs of {row.label} scored different archs: {', '.join(map(str, paths))}")
    space = space_of(first)
    archs = archs_ranked(space, paths[0], tables[0]["index"])
    if archs is None:
        return None
    # numpy's False where every record says which way is better, which no `is` compares with.
    higher = first.get("task.higher_is_better")
    sign = -1.0 if _known(higher) and not higher else 1.0
    losses = np.stack([one["loss"] for one in tables]).astype(np.float64)
    scores = sign * np.stack([one["accuracy"] for one in tables]).astype(np.float64)
    predicted = scores if np.isnan(losses).any() else -losses
    true = sign * tables[0]["true"].astype(np.float64)
    return Scored(row, dataset, paths, space, tuple(archs), predicted, true)


def space_of(row: Mapping[str, Any]) -> Space:
    """The search space of a record's row, at the size of images that it has by default."""
    # A column of whole numbers with some missing is one of other numbers.
    given = {
        name: setting.kind(row[f"config.{name}"])
        for name, setting in SpaceSettings.settings(row["space"]).items()
        if _known(row.get(f"config.{name}"))
    }
    return SpaceSettings(row["space"], **given).without_images()


def archs_ranked(space: Space, run: Path, index: NDArray[np.uint32]) -> list[Arch] | None:
    """The architectures of a run, or None where neither space nor record says which they are.

    Args:
        space: of the run.
        run: its folder.
        index: of its predictions (A,).

    Raises:
        UserError: the run's list of architectures is damaged, or of another length.
    """
    if isinstance(space, Listable):
        return [space.from_index(int(one)) for one in index]
    texts = load_archs(run)
    if texts is None:
        return None
    if len(texts) != len(index):
        raise UserError(f"{run} names {len(texts)} archs for {len(index)} predictions")
    return [space.from_string(text) for text in texts]


def _known(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and np.isnan(value))
