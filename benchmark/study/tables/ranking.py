"""Kendall's tau of each row of a study on each data set: paper tables 4 and 9."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.study.definition import Row, StudyData, Table, of_row
from benchmark.study.ranked import NAMES, datasets, groups, on
from benchmark.views.ranks import (
    AGREEMENT,
    agreement,
    best_control,
    by_loss,
    controls,
    interval,
    p_value,
    steps,
    tau,
)
from benchmark.views.values import MISSING

LABELS = {
    "dataset": "data set",
    "name": "",
    "tau": "tau-b (%)",
    "tau_by_loss": "by −loss (%)",
    "paper": "paper",
    "interval": "95 %",
    "p_value": "p",
    "steps": "steps",
}
NOTES = (
    "Kendall's tau-b in percent, mean ± sample standard deviation over n seeds.",
    "By −loss: with the loss as the score instead of the accuracy. Steps: of the weights.",
    "95 %: bootstrap over the scored architectures, averaged over seeds.",
    "p: Welch's t-test over seeds against the first row.",
    "The last rows train nothing: counts of parameters, FLOPs and convolutions in use.",
    "Seed agreement: two training seeds of the truth, one as the prediction of the other.",
)
PAPER_NOTE = "The paper's figures are means of 10 runs over all 15,625 architectures."


def tau_table(name: str, title: str, *notes: str) -> Table:
    """The table, with its name and title in a study and what is to be said below it besides."""
    return Table(
        name,
        title,
        table,
        LABELS,
        (*NOTES, *notes),
        decimals=1,
        formats={"p_value": ".2g"},
    )


def table(data: StudyData) -> pd.DataFrame:
    """A row per data set and row of the study, controls and seed agreement below.

    Returns:
        Columns ``dataset`` (where there are several), ``name``, ``tau``, ``tau_by_loss`` and
        ``paper`` in percent with their ``_sd``, ``interval``, ``p_value`` (where there is any),
        ``steps`` and ``n``, the number of runs.
    """
    every = datasets(data)
    lines = [line for dataset in every for line in _block(data, dataset)]
    frame = pd.DataFrame(lines)
    for name in ("p_value", "paper"):
        if name in frame and frame[name].isna().all():
            frame = frame.drop(columns=[name, f"{name}_sd"], errors="ignore")
    return frame.drop(columns="dataset") if len(every) == 1 else frame


def _block(data: StudyData, dataset: str) -> list[dict[str, object]]:
    runs, head = on(data, dataset), {"dataset": NAMES.get(dataset, dataset)}
    own = [of_row(runs, row) for row in data.rows]
    lines = [
        {**head, **_line(row, dataset, one, own[0])}
        for row, one in zip(data.rows, own, strict=True)
    ]
    if not len(runs):
        return lines
    untrained = {**controls(runs), AGREEMENT: agreement(runs)}
    return lines + [
        {**head, **_values(name, 100 * value)}
        for name, value in untrained.items()
        if not math.isnan(value)
    ]


def _line(row: Row, dataset: str, runs: pd.DataFrame, first: pd.DataFrame) -> dict[str, object]:
    paper = {
        "paper": float(row.paper.get(dataset, math.nan)),
        "paper_sd": float(row.paper.get(f"{dataset}_sd", math.nan)),
    }
    if not len(runs):
        return _values(row.label) | paper | {"n": 0}
    value, loss = tau(runs), by_loss(runs)
    low, high = interval(runs)
    return {
        **_values(row.label, 100 * value.mean, 100 * value.sd),
        "tau_by_loss": 100 * loss.mean,
        "tau_by_loss_sd": 100 * loss.sd,
        **paper,
        "interval": MISSING if math.isnan(low) else f"{100 * low:.1f}–{100 * high:.1f}",
        "p_value": math.nan if runs is first else p_value(runs, first),
        "steps": steps(runs) or MISSING,
        "n": len(runs),
    }


def _values(name: str, mean: float = math.nan, sd: float = math.nan) -> dict[str, object]:
    """A line with nothing but a name and tau, every column in its place."""
    empty = dict.fromkeys(("tau_by_loss", "tau_by_loss_sd", "paper", "paper_sd"), math.nan)
    texts = {"interval": MISSING, "p_value": math.nan, "steps": MISSING, "n": MISSING}
    return {"name": name, "tau": mean, "tau_sd": sd, **empty, **texts}


def answer(data: StudyData) -> str:
    """Each row's tau on the first data set with runs, beside the best control."""
    for dataset in datasets(data):
        found = list(groups(data, dataset))
        if found:
            break
    else:
        return "No run yet."
    runs = on(data, dataset)
    told = []
    for row, own in found:
        value = tau(own)
        spread = "" if math.isnan(value.sd) else f" ± {100 * value.sd:.1f}"
        low, high = interval(own)
        ends = "" if math.isnan(low) else f", 95 % {100 * low:.1f} to {100 * high:.1f}"
        told.append(f"{100 * value.mean:.1f}{spread} % with {row.label} (n = {len(own)}{ends})")
    counted = best_control(runs)
    aside = "" if counted is None else f"; counting {counted[0]} gives {100 * counted[1]:.1f} %"
    agreed = agreement(runs)
    aside += "" if math.isnan(agreed) else f", two seeds of the truth {100 * agreed:.1f} %"
    num = ", ".join(sorted({f"{int(one):,}" for one in runs["num_archs"]}))
    names = NAMES.get(dataset, dataset)
    return f"On {names} ({num} architectures) tau-b is {'; '.join(told)}{aside}."
