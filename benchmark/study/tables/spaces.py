"""How well supernets rank on each search space: beside counts and seed agreement."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from textwrap import wrap

import numpy as np
import pandas as pd

from benchmark.study.definition import StudyData, Table, of_row
from benchmark.study.scored import Scored
from benchmark.study.spaces import OfSpace, by_space, ranker_of
from benchmark.study.tables.questions import mean_over_runs
from benchmark.views.ranks import AGREEMENT, agreement, agreement_interval, steps, tau
from benchmark.views.values import MISSING, Estimate, frame_of, interval_text, numbers, text
from kshot_core.metrics.bootstrap import Finding, bootstrap_interval
from kshot_core.metrics.correlation import Metric, UndefinedMetricError, kendall_tau_b, spearman

PAPER = "spearman"
"""Key of the paper's figure in a row: Spearman's rank correlation, as a share."""
_LABELS = {
    "space": "space",
    "name": "",
    "tau": "tau-b (%)",
    "interval": "95 %",
    "tau_by_score": "by score (%)",
    "spearman": "ρ (%)",
    "paper": "paper ρ",
}
_FOR_PROGRAMS = ("tau_by_score", "archs")
_NOTES = (
    "Tau-b, ρ (Spearman): by −loss, mean ± sample standard deviation over n seeds.",
    "95 %: of tau-b, bootstrap over architectures and, where there are several, over seeds.",
    "Parameters, FLOPs, depth, convolutions: of the truth's own networks, not of narrow paths.",
    "Seed agreement: one seed of the truth as the prediction of another.",
)


def main_table(name: str, title: str, *notes: str) -> Table:
    """Rank correlations by space, with the study's own notes below."""
    return Table(name, title, table, _LABELS, (*_NOTES, *notes), 1, {}, _FOR_PROGRAMS)


def table(data: StudyData) -> pd.DataFrame:
    """A line per space and ranker, below them what trains nothing and the seeds' agreement.

    Returns:
        Columns ``space``, ``name``, ``tau``, ``tau_by_score``, ``spearman`` with their ``_sd``, and
        ``paper``, in percent; ``interval`` of tau; ``n`` seeds, and ``archs``.
    """
    lines = [line for one in by_space(data) for line in _lines(one)]
    columns = [*_LABELS, "archs", "tau_sd", "tau_by_score_sd", "spearman_sd", "n"]
    frame = frame_of(lines, columns)
    return frame.drop(columns="paper") if frame["paper"].isna().all() else frame


def _lines(space: OfSpace) -> Iterator[dict[str, object]]:
    ranked = {one.row.name: one for one in space.ranked}
    for row in space.rows:
        paper = 100 * row.paper.get(PAPER, math.nan)
        head = {"space": space.label, "name": ranker_of(row)}
        one = ranked.get(row.name)
        if one is None:
            yield {**head, **_empty(), "paper": paper, "n": 0}
            continue
        taus = _each(one, kendall_tau_b)
        rhos = _each(one, spearman)
        score = tau(of_row(space.runs, row))
        yield {
            **head,
            **_empty(),
            "tau": 100 * taus.mean,
            "tau_sd": 100 * taus.sd,
            "interval": interval_text(mean_over_runs(one, kendall_tau_b), 100),
            "tau_by_score": 100 * score.mean,
            "tau_by_score_sd": 100 * score.sd,
            "spearman": 100 * rhos.mean,
            "spearman_sd": 100 * rhos.sd,
            "paper": paper,
            "n": len(one.predicted),
            "archs": len(one.true),
        }
    true = space.ranked[0].true
    for name, count in space.counts.items():
        yield {
            "space": space.label,
            "name": name,
            **_empty(),
            "tau": 100 * kendall_tau_b(count, true),
            "interval": interval_text(
                Finding(0.0, *bootstrap_interval(kendall_tau_b, count, true), 1), 100
            ),
            "spearman": 100 * spearman(count, true),
            "archs": len(true),
        }
    yield {"space": space.label, "name": AGREEMENT, **_empty(), **_agreement(space.runs)}


def _empty() -> dict[str, object]:
    """Every column of numbers, in order."""
    names = ("tau", "tau_sd", "interval", "tau_by_score", "tau_by_score_sd", "spearman",
             "spearman_sd", "paper")  # fmt: skip
    blank: dict[str, object] = dict.fromkeys(names, math.nan)
    return {**blank, "interval": MISSING, "n": MISSING, "archs": MISSING}


def _each(one: Scored, metric: Metric) -> Estimate:
    return Estimate.of(np.array([metric(scores, one.true) for scores in one.predicted]))


def _agreement(runs: pd.DataFrame) -> dict[str, object]:
    """What the records say of two seeds of the truth."""
    known = runs[~np.isnan(numbers(runs, "ceiling.kendall_tau_b"))]
    if known.empty:
        return {}
    low, high = agreement_interval(known)
    return {
        "tau": 100 * agreement(known),
        "interval": interval_text(Finding(0.0, low, high, 1), 100),
        "spearman": 100 * agreement(known, "spearman"),
        "archs": int(known["ceiling.num_archs"].iloc[0]),
    }


SUPERNETS_LABELS = {"settings": "of its own", "steps": "weight steps"}
SUPERNETS_NOTES = (
    "Of its own: settings that not all spaces have in common, and the column of the truth.",
    "Weight steps: of its rows, in order.",
)
_NOT_SHOWN = {"space", "K", "epochs", "truth_column"}
_LINE = 58
"""Most characters of a line of settings."""


def supernets(data: StudyData) -> pd.DataFrame:
    """What was trained on each space: its settings, in as many lines as they take.

    Returns:
        Columns ``space``, ``settings``, and ``steps`` of its rows; the first and the last are blank
        but in a space's first line.
    """
    lines: list[dict[str, str]] = []
    for one in by_space(data):
        known = data.study.settings_of(one.ranked[0].row, data.scale)
        own = {name: value for name, value in known.items() if name not in _NOT_SHOWN}
        shared = {*data.size.settings.items()} if data.scale in data.study.sizes else set()
        told = [f"{k.replace('_', ' ')} {text(v)}" for k, v in own.items() if (k, v) not in shared]
        told.append(f"against {one.runs.iloc[0]['truth.column']}")
        first = {
            "space": one.label,
            "steps": ", ".join(steps(of_row(one.runs, row.row)) for row in one.ranked),
        }
        for line in wrap(", ".join(told), _LINE, break_long_words=False, break_on_hyphens=False):
            lines.append({"settings": line, **(first or {"space": " ", "steps": " "})})
            first = {}
    return pd.DataFrame(lines, columns=["space", *SUPERNETS_LABELS])


def answer(data: StudyData) -> str:
    """On how many spaces a supernet helped, then a sentence per space."""
    spaces = by_space(data)
    if not spaces:
        return "No run yet."
    helped = [
        one.label
        for one in spaces
        if any(_helps(found) for found in one.gains.values() if found.num > 1)
    ]
    count = f"on {', '.join(helped)}" if helped else "on none"
    told = " ".join(sentence(one) for one in spaces)
    return (
        f"Of {len(spaces)} spaces a supernet ranks better than the best count, beyond its interval "
        f"and with more than one seed, {count}. Tau-b in percent of the best supernet of each and "
        f"of the best count: {told}"
    )


def sentence(space: OfSpace) -> str:
    """What the best supernet reaches on one space, the best count, and the former less that."""
    taus = list(_taus(space))
    nums = sorted({len(one.predicted) for one in space.ranked})
    head = f"{space.label} (n = {', '.join(map(str, nums))}): "
    if not taus:
        return f"{head}undefined for every supernet."
    ranked, tau_b = max(taus, key=lambda pair: pair[1])
    head += f"{ranker_of(ranked.row)} {100 * tau_b:.1f}"
    best = space.best_count()
    if best is None:
        return f"{head}; no count varies."
    counted = 100 * kendall_tau_b(best[1], ranked.true)
    head += f", {best[0]} {counted:.1f}"
    found = space.gains.get(ranked.row.name)
    return f"{head}, less that {_told(found)}." if found else f"{head}."


def _taus(space: OfSpace) -> Iterator[tuple[Scored, float]]:
    """Each supernet's mean tau-b over its seeds, where it has one."""
    for one in space.ranked:
        with suppress(UndefinedMetricError):
            yield one, _each(one, kendall_tau_b).mean


def _helps(found: Finding) -> bool:
    return found.is_sure and found.value > 0


def _told(found: Finding) -> str:
    text = f"{100 * found.value:+.1f}"
    if not math.isnan(found.low):
        text += f" ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
    if found.num < 2:
        return f"{text}, one seed: no finding"
    if not found.is_sure:
        return f"{text}, not told apart"
    return f"{text}, {'better' if _helps(found) else 'worse'}"
