"""The table and the figure of a command's own runs, and of nothing else that lies in results."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from benchmark.cli.version import commit
from benchmark.records.origins import disagreements
from benchmark.views.ranks import (
    AGREEMENT,
    agreement,
    by_loss,
    controls,
    interval,
    score_name,
    steps,
    tau,
)
from benchmark.views.scatter import scatter
from benchmark.views.values import MISSING, Estimate

HEADINGS = ("sharing", "tau-b (%)", "by −loss (%)", "95 %", "steps", "n")


def own_table(runs: pd.DataFrame) -> Table:
    """Tau-b of these runs by sharing and K, what trains nothing below; what loses to it in red.

    Args:
        runs: of one data set and truth, from ``benchmark.records.load.read_runs``.
    """
    first = runs.iloc[0]
    table = Table(
        title=f"{first['config.dataset']}: {int(first['num_archs']):,} archs{_score(first)} "
        f"against {first['truth.column']}",
        title_justify="left",
        title_style="bold",
    )
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True)
    best = max(controls(runs).values(), default=-math.inf)
    for cells, value in _lines(runs):
        table.add_row(*map(Text, cells), style=None if value > best else "red")
    untrained = {**controls(runs), AGREEMENT: agreement(runs)}
    for name, value in untrained.items():
        if not math.isnan(value):
            table.add_row(*map(Text, (name, f"{100 * value:.1f}", *[MISSING] * 4)))
    return table


def own_figure(runs: pd.DataFrame) -> Figure:
    """Predicted against true score by sharing and K, of the first seed of each, eight at most.

    Args:
        runs: as for ``own_table``.

    Raises:
        UserError: the predictions of a run are damaged.
    """
    dataset = runs.iloc[0]["config.dataset"]
    groups = runs.groupby(["config.sharing", "config.K"], sort=False)
    return scatter([(f"{dataset}: {_name(*key)}", own.iloc[0]) for key, own in groups])


def notes(runs: pd.DataFrame, num: int) -> list[str]:
    """What is to be known of these runs before their table is read; [] if there is nothing.

    Args:
        runs: those that finished.
        num: how many there are with those that diverged.
    """
    lines = []
    if num > len(runs):
        lines.append(f"{num - len(runs)} of {num} runs diverged, and are in no mean")
    differ = disagreements([runs])
    if differ:
        lines.append(f"records disagree in {'; '.join(differ)}")
    commits = set(runs.get("environment.commit", pd.Series(dtype=object)).dropna())
    here = commit()
    if len(commits) == 1 and not {here, "unknown"} & commits and here != "unknown":
        lines.append(f"records of commit {commits.pop()}; this code is {here}")
    return lines


def _score(run: pd.Series) -> str:
    """What is predicted, where it is no accuracy."""
    if run.get("task.higher_is_better", True):
        return ""
    return f" by {score_name(run)}, lower is better,"


def _lines(runs: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], float]]:
    for (sharing, K), own in runs.groupby(["config.sharing", "config.K"], sort=False):
        value, (low, high) = tau(own), interval(own)
        ends = MISSING if math.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"
        cells = (_name(sharing, K), _percent(value), _percent(by_loss(own)), ends)
        yield (*cells, steps(own) or MISSING, str(len(own))), value.mean


def _name(sharing: object, K: object) -> str:
    return str(sharing) if str(sharing).startswith("scores-") else f"{sharing} K={K}"


def _percent(value: Estimate) -> str:
    if math.isnan(value.mean):
        return MISSING
    spread = "" if math.isnan(value.sd) else f" ± {100 * value.sd:.1f}"
    return f"{100 * value.mean:.1f}{spread}"
