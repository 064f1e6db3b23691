"""Rows of methods, columns of data sets: the layout of the paper's tables 4 and 7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from benchmark.views.groups import (
    CONTROLS,
    DATASETS,
    MISSING,
    SHARINGS,
    Estimate,
    Setting,
    beats_controls,
    ceiling,
    controls,
    setting_rows,
    shown_fields,
)

METRIC_NAMES = {
    "kendall_tau_b": "Kendall tau-b",
    "spearman": "Spearman rho",
    "pearson": "Pearson",
}
Row = dict[str, object]


def wide_table(
    records: pd.DataFrame,
    metrics: Sequence[str],
    paper: Sequence[tuple[str, str, str, Sequence[float]]],
    scale: float,
) -> pd.DataFrame:
    """Methods by data sets, the paper's rows first, controls and ceiling below ours.

    A row holds one protocol, number of architectures and kind of truth; a second group of runs
    that would fall into a filled cell gets a row of its own.

    Args:
        records: the result of ``benchmark.records.load.load_records``.
        metrics: names of correlations in ``METRIC_NAMES``.
        paper: rows of (metric, method, K, values in ``DATASETS``' order, as shown).
        scale: what our values are multiplied with (100 for percent).
    """
    fields = shown_fields(records)
    rows: list[Row] = []
    for metric, method, copies, values in paper:
        published: Row = {"source": "paper", "metric": METRIC_NAMES[metric], "method": method}
        published |= {"K": copies, "num_archs": "15625"}
        rows.append(published | dict(zip(DATASETS, values, strict=True)))
    found = set(records["config.dataset"].map(str))
    datasets = [*DATASETS, *sorted(found - set(DATASETS))]
    trained: list[Row] = []
    untrained: list[Row] = []
    for metric in metrics:
        for setting, own, groups in setting_rows(records):
            against = controls(own, metric)
            for group in groups:
                value = Estimate.of(group.values(metric))
                key = _key(metric, setting) | {
                    "source": "this work",
                    "method": group.sharing,
                    "K": str(group.K),
                    **{field: group.protocol[field] for field in fields},
                }
                row = fill(trained, key, setting.dataset, value, scale)
                append(row, "beats_controls", beats_controls(value.mean, against), setting.dataset)
                append(row, "num_seeds", str(group.num_seeds), setting.dataset)
                append(row, "num_weight_steps", group.num_weight_steps, setting.dataset)
            for name, value in against.items():
                key = {"source": "no training", "method": f"control: {CONTROLS.get(name, name)}"}
                fill(untrained, _key(metric, setting) | key, setting.dataset, value, scale)
            key = {"source": "ceiling", "method": "two truth seeds"}
            fill(
                untrained, _key(metric, setting) | key, setting.dataset, ceiling(own, metric), scale
            )
    # Data sets fill rows in their own order; methods come in the usual one.
    trained.sort(key=lambda row: _order(row, fields))
    for row in trained:
        for name in ("beats_controls", "num_seeds", "num_weight_steps"):
            row[name] = joined(row[name])
    columns = ["metric", "source", "method", "K"]
    columns += [name for dataset in datasets for name in (dataset, f"{dataset}_sd")]
    measured = {name for dataset in datasets for name in (dataset, f"{dataset}_sd")}
    columns += ["beats_controls", "num_seeds", "num_archs", "num_weight_steps", *fields, "truth"]
    frame = pd.DataFrame(rows + trained + untrained).reindex(columns=columns)
    texts = [name for name in columns if name not in measured]
    frame[texts] = frame[texts].astype(object).fillna(MISSING)
    return frame.astype(dict.fromkeys(measured, float))


def _order(row: Row, fields: Sequence[str]) -> tuple[object, ...]:
    sharing = str(row["method"])
    place = SHARINGS.index(sharing) if sharing in SHARINGS else len(SHARINGS)
    return (place, sharing, [str(row[field]) for field in fields], int(str(row["K"])))


def _key(metric: str, setting: Setting) -> Row:
    """What a row's cells share. The truth's name loses its data set, which the column says."""
    return {
        "metric": METRIC_NAMES[metric],
        "truth": setting.truth.removeprefix(f"{setting.dataset}/"),
        "num_archs": str(setting.num_archs),
    }


def fill(rows: list[Row], key: Row, dataset: str, value: Estimate, scale: float) -> Row:
    """Put a value into the first row of this key whose cell is free, or into a new row."""
    cell: Row = {dataset: scale * value.mean, f"{dataset}_sd": scale * value.sd}
    for row in rows:
        if all(row.get(name) == wanted for name, wanted in key.items()) and dataset not in row:
            row.update(cell)
            return row
    rows.append(key | cell)
    return rows[-1]


def append(row: Row, name: str, value: str, dataset: str) -> None:
    """Keep a text of one data set for ``joined``."""
    values = row.setdefault(name, {})
    if not isinstance(values, dict):
        raise TypeError(f"{name} is already joined")
    values[dataset] = value


def joined(values: object) -> str:
    """One text where all data sets agree, else one per data set."""
    if not isinstance(values, Mapping):
        raise TypeError(f"expected a mapping, got {values!r}")
    if len(set(values.values())) == 1:
        return str(next(iter(values.values())))
    return "; ".join(f"{dataset}: {value}" for dataset, value in values.items())
