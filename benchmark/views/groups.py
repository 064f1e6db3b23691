"""Which runs may be averaged together, and what they are compared with.

Runs of one *group* differ in their seed alone: same setting, sharing, K and every other entry of
their config. A *setting* is what makes two rankings comparable at all: data set, space, truth
column (and the table's checksum) and number of architectures. The controls, which need no
training, and the ceiling, two training seeds of the truth, belong to a setting.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

# Columns of their own. Every other setting of a run decides its predictions, so it sets runs apart.
NOT_PROTOCOL = ("dataset", "K", "sharing", "seed")
ALWAYS_SHOWN = ("preset", "epochs", "sampler", "schedule")
# Without effect at K = 1, where every code is 1 and nothing trains a simplex-net: a baseline may
# differ in these.
ONLY_FOR_CODES = (
    "encoding",
    "hidden",
    "few_shot_edge",
    "warmup_epochs",
    "schedule",
    "simplex_every",
    "simplex_batches",
    "num_groups",
    "simplex_learning_rate",
    "simplex_weight_decay",
    "compensate",
)
DATASETS = ("cifar10", "cifar100", "imagenet16-120")
SHARINGS = ("one-shot", "fixed", "random", "few-shot", "simplex")
CONTROLS = {"params": "parameters", "flops": "FLOPs", "live_convolutions": "live convolutions"}
MISSING = "\N{EN DASH}"


@dataclass(frozen=True, order=True)
class Setting:
    """What two rankings must share to be compared."""

    dataset: str
    space: str
    truth: str
    sha256: str
    num_archs: int


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone.

    Attributes:
        setting: what they are measured against.
        sharing: the sharing strategy's name.
        K: number of copies.
        protocol: the other entries of the config, as text.
        runs: their rows of ``load_records``.
    """

    setting: Setting
    sharing: str
    K: int
    protocol: dict[str, str]
    runs: pd.DataFrame

    @property
    def num_seeds(self) -> int:
        """How many runs there are."""
        return len(self.runs)

    @property
    def num_weight_steps(self) -> str:
        """Weight steps of a run, a range where runs differ."""
        steps = self.runs["num_weight_steps"]
        low, high = int(steps.min()), int(steps.max())
        return str(low) if low == high else f"{low} to {high}"

    def values(self, metric: str) -> NDArray[np.float64]:
        """The runs' values of a metric, NaN where undefined."""
        return numbers(self.runs, f"metrics.{metric}")

    def interval(self, metric: str) -> tuple[float, float]:
        """Ends of the bootstrap interval over architectures, averaged over runs; NaN if unknown."""
        column = self.runs.get(f"intervals.{metric}")
        if column is None or column.isna().any():
            return math.nan, math.nan
        low, high = np.asarray([json.loads(pair) for pair in column], dtype=np.float64).mean(axis=0)
        return float(low), float(high)


@dataclass(frozen=True)
class Estimate:
    """Mean and sample standard deviation over runs; NaN where there is none."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Estimate:
        """Estimate from values; a single undefined one makes the mean undefined."""
        if not values.size:
            return cls(math.nan, math.nan)
        return cls(float(values.mean()), float(values.std(ddof=1)) if values.size > 1 else math.nan)


def groups(records: pd.DataFrame) -> list[Group]:
    """Split records into groups, sorted by setting, sharing, protocol and K.

    Args:
        records: the result of ``benchmark.records.load.load_records``.
    """
    fields = protocol_fields(records)
    found: dict[tuple[object, ...], list[int]] = {}
    parts: dict[tuple[object, ...], tuple[Setting, str, int, dict[str, str]]] = {}
    for position, (_, row) in enumerate(records.iterrows()):
        setting = setting_of(row)
        sharing, copies = str(row["config.sharing"]), int(row["config.K"])
        protocol = {field: text(row[f"config.{field}"]) for field in fields}
        key = (
            place(setting.dataset, DATASETS),
            setting,
            place(sharing, SHARINGS),
            tuple(protocol.values()),
            copies,
        )
        found.setdefault(key, []).append(position)
        parts[key] = (setting, sharing, copies, protocol)
    return [Group(*parts[key], runs=records.iloc[found[key]]) for key in sorted(found)]


def settings(records: pd.DataFrame) -> list[tuple[Setting, pd.DataFrame]]:
    """Split records by setting, in the order of ``groups``."""
    owners = [setting_of(row) for _, row in records.iterrows()]
    unique = sorted(set(owners), key=lambda one: (place(one.dataset, DATASETS), one))
    return [
        (one, records.iloc[[i for i, owner in enumerate(owners) if owner == one]]) for one in unique
    ]


def setting_of(row: pd.Series) -> Setting:
    """The setting of one record."""
    return Setting(
        dataset=str(row["config.dataset"]),
        space=str(row["space"]),
        truth=str(row["truth.column"]),
        sha256=text(row.get("truth.sha256")),
        num_archs=int(row["num_archs"]),
    )


def protocol_fields(records: pd.DataFrame) -> list[str]:
    """Every config entry that sets runs apart beside data set, sharing, K and seed."""
    names = [name.removeprefix("config.") for name in records.columns if name.startswith("config.")]
    names = [name for name in names if name not in NOT_PROTOCOL]
    return sorted(names, key=lambda name: place(name, ALWAYS_SHOWN))


def shown_fields(records: pd.DataFrame) -> list[str]:
    """The protocol fields worth a column: the usual ones, and any that differs between records."""
    return [
        field
        for field in protocol_fields(records)
        if field in ALWAYS_SHOWN or len(set(records[f"config.{field}"].map(text))) > 1
    ]


def baseline(group: Group, candidates: list[Group]) -> Group | None:
    """The K = 1 group to compare ``group`` with: same setting, same protocol.

    The sharing strategy has no meaning at K = 1 and may differ; what only shapes codes may differ
    too where no exact match exists. ``None`` without a match, or where it would be a choice.
    """
    singles = [one for one in candidates if one.K == 1 and one.setting == group.setting]
    for ignored in ((), ONLY_FOR_CODES):
        wanted = _without(group.protocol, ignored)
        matches = [one for one in singles if _without(one.protocol, ignored) == wanted]
        same_sharing = [one for one in matches if one.sharing == group.sharing]
        for chosen in (same_sharing, matches):
            if len(chosen) == 1:
                return chosen[0]
    return None


def p_value(group: Group, other: Group | None, metric: str) -> float:
    """Two-sided Welch t-test over seeds between two groups; NaN where either has fewer than two."""
    if other is None or other is group or min(group.num_seeds, other.num_seeds) < 2:
        return math.nan
    first, second = group.values(metric), other.values(metric)
    # Without any spread the test statistic divides by zero.
    if not first.std() + second.std() > 0:
        return math.nan
    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)


def controls(records: pd.DataFrame, metric: str) -> dict[str, Estimate]:
    """Each control's value over the records of one setting, keyed by its name in the records."""
    suffix = f".{metric}"
    names = {
        name.split(".")[1]
        for name in records.columns
        if name.startswith("controls.") and name.removeprefix("controls.").count(".") == 1
    }
    result = {
        name: _over_samples(numbers(records, f"controls.{name}{suffix}"))
        for name in sorted(names, key=lambda name: place(name, tuple(CONTROLS)))
    }
    return {name: value for name, value in result.items() if not math.isnan(value.mean)}


def ceiling(records: pd.DataFrame, metric: str) -> Estimate:
    """What two training seeds of the truth reach against each other; NaN where not known."""
    return _over_samples(numbers(records, f"ceiling.{metric}"))


def beats_controls(value: float, against: dict[str, Estimate]) -> str:
    """``yes``, or ``no:`` and the controls that a mean value does not exceed."""
    if math.isnan(value):
        return "no: undefined"
    if not against:
        return MISSING
    better = [CONTROLS.get(name, name) for name, one in against.items() if not value > one.mean]
    return "no: " + ", ".join(better) if better else "yes"


def numbers(records: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as float64, NaN where it or a value is missing."""
    if column not in records.columns:
        return np.full(len(records), np.nan)
    return np.asarray(pd.to_numeric(records[column]), dtype=np.float64)


def text(value: object) -> str:
    """A config value as a person would write it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    # A column with a gap turns its whole numbers into floats.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _over_samples(values: NDArray[np.float64]) -> Estimate:
    """Estimate over the distinct samples of architectures: runs on the same one agree exactly."""
    return Estimate.of(np.unique(values[~np.isnan(values)]))


def _without(protocol: dict[str, str], ignored: tuple[str, ...]) -> dict[str, str]:
    return {field: value for field, value in protocol.items() if field not in ignored}


def place(name: str, order: Sequence[str]) -> tuple[int, str]:
    """A sorting key: names in their order, then those it lacks."""
    return (order.index(name) if name in order else len(order), name)


def setting_rows(
    records: pd.DataFrame, every: list[Group] | None = None
) -> Iterator[tuple[Setting, pd.DataFrame, list[Group]]]:
    """Each setting with its records and its groups, which are those of ``every`` if given."""
    every = groups(records) if every is None else every
    for setting, own in settings(records):
        yield setting, own, [group for group in every if group.setting == setting]
