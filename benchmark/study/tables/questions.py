"""The questions of *How Does Supernet Help in NAS?* (arXiv 2010.08219), each with an interval."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.study.definition import StudyData, of_row
from benchmark.study.scored import Scored, Values, scored, shown
from benchmark.study.tables.biases import TRAITS
from benchmark.study.watched import Watched, seeds_spread, watched
from benchmark.views.ranks import agreement
from benchmark.views.values import MISSING, frame_of, interval_text
from kshot_core.metrics.bootstrap import Finding, finding
from kshot_core.metrics.correlation import Metric, kendall_tau_b
from kshot_core.metrics.retrieval import (
    Retrieval,
    best_of,
    pruning_gain,
    retrieval,
    surer_of_the_worst,
)
from kshot_core.metrics.ties import group_size

TOPS = (0.1, 0.01)
SHARE = 0.1
"""Of the architectures, that are called the best or the worst."""
KEPT = 0.5
"""Of the architectures, that a pruned space keeps."""
DRAWS = 10
"""Architectures that a random search trains alone."""

FINDING_LABELS = {
    "name": "",
    "found_10": "top 10 %",
    "p_10": "p",
    "found_1": "top 1 %",
    "p_1": "p",
    "surer": "surer",
    "surer_interval": "95 %",
    "pruned": "pruned",
    "pruned_interval": "95 %",
}
FINDING_FOR_PROGRAMS = ("p_1", "random", "archs", "n")
FINDING_NOTES = (
    (
        "Top 10 %: percent of the predicted best 10 % that truly are, mean over seeds; by chance "
        "as many as the top has. p: that random drawing finds as many in the seed that finds "
        "most, times the number of seeds (hypergeometric, Bonferroni). Top 1 % likewise, "
        "where there are 100 architectures or more."
    ),
    (
        "Surer of the worst: precision among the worst 10 % less precision among the best 10 %, in "
        "points."
    ),
    (
        "Pruned gains: what the best of 10 architectures drawn at random gains in true score, "
        "if they are drawn from the half that the supernet ranks higher; exact, drawn with "
        "replacement. In the truth's unit (accuracy in points; perplexity lost)."
    ),
    "95 %: bootstrap over architectures and, where there are several, over seeds.",
)


def finding_table(data: StudyData, only: str = "") -> pd.DataFrame:
    """What each row's ranking is good for: ``FINDING_LABELS`` and ``FINDING_FOR_PROGRAMS``.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown.
    """
    lines = []
    for label, one in scored(data, only).items():
        line: dict[str, object] = {"name": shown(label, only)}
        for share in TOPS:
            each = [_found(scores, one.true, share) for scores in one.predicted]
            known = [found for found in each if found is not None]
            least = min((found.p for found in known), default=math.nan)
            key = f"{100 * share:.0f}"
            line[f"found_{key}"] = (
                100 * float(np.mean([found.found for found in known])) if known else math.nan
            )
            line[f"p_{key}"] = min(1.0, least * len(known)) if known else math.nan
        surer = mean_over_runs(one, partial(surer_of_the_worst, share=SHARE))
        pruned = mean_over_runs(one, partial(pruning_gain, num_draws=DRAWS, share=KEPT))
        lines.append(
            {
                **line,
                "surer": 100 * surer.value,
                "surer_interval": interval_text(surer, 100),
                "pruned": pruned.value,
                "pruned_interval": interval_text(pruned, decimals=2),
                "random": abs(best_of(one.true, DRAWS)),
                "archs": len(one.true),
                "n": len(one.predicted),
            }
        )
    return frame_of(lines, dict.fromkeys([*FINDING_LABELS, *FINDING_FOR_PROGRAMS]))


def _found(scores: Values, true: Values, share: float) -> Retrieval | None:
    """What a ranking finds of the top; None where so few architectures have no such top."""
    return retrieval(scores, true, share) if group_size(share, len(true)) else None


def mean_over_runs(one: Scored, metric: Metric) -> Finding:
    """A metric averaged over a row's runs, with an interval over architectures and runs."""

    def statistic(scores: Values, places: NDArray[np.int64]) -> float:
        return float(np.mean([metric(each, one.true[places]) for each in scores]))

    return finding(statistic, one.predicted)


TRAINING_LABELS = {
    "name": "",
    "epochs": "epochs",
    "first": "tau, first",
    "last": "tau, last",
    "stays": "stays",
    "better": "better",
    "better_interval": "95 %",
    "checkpoints": "epochs",
    "seeds": "seeds",
    "cosine": "cosine",
    "in_common": "shared",
}
TRAINING_FOR_PROGRAMS = ("epochs", "better_interval", "n")
TRAINING_NOTES = (
    (
        "Tau-b in percent with the truth after the first and the last epoch that was looked at "
        "and, stays, of these two rankings with each other, on the tracked architectures; by "
        "−loss, mean over seeds."
    ),
    (
        "Better: does a better trained one rank better? Spearman's correlation, over epochs, of "
        "the supernet's own mean −loss with its tau; mean over seeds."
    ),
    (
        "Epochs, seeds: of the variance of one architecture's −loss the percentage that is not "
        "the architecture's but the epoch's, over the last half of the epochs looked at, or the "
        "seed's. What moves all scores alike is no noise."
    ),
    (
        "Cosine: of the gradients of two architectures, in the searched weights that both use; "
        "shared: the percentage of the searched weights of either that both use. Means over "
        "pairs and seeds."
    ),
)


def training_table(data: StudyData, only: str = "") -> pd.DataFrame:
    """What training does to each row's ranking: columns ``TRAINING_LABELS`` and ``n``.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown.
    """
    lines = []
    for label, one in scored(data, only).items():
        lines.append(
            {
                "name": shown(label, only),
                **_while_trained(watched(one)),
                "seeds": _percent(seeds_spread(one)),
                **_gradients(one),
                "n": len(one.predicted),
            }
        )
    return frame_of(lines, [*TRAINING_LABELS, "n"])


def _while_trained(seen: Watched | None) -> dict[str, object]:
    if seen is None:
        blank: dict[str, object] = dict.fromkeys(TRAINING_LABELS, math.nan)
        blank |= {"epochs": MISSING, "better_interval": MISSING}
        return {name: blank[name] for name in list(TRAINING_LABELS)[1:8]}
    better, taus = seen.better_trained_ranks_better(), seen.with_truth()
    return {
        "epochs": ", ".join(map(str, (seen.epochs[0], seen.epochs[-1]))),
        "first": 100 * float(taus[:, 0].mean()),
        "last": 100 * float(taus[:, -1].mean()),
        "stays": 100 * float(seen.with_last()[:, 0].mean()),
        "better": better.value,
        "better_interval": interval_text(better, decimals=2),
        "checkpoints": _percent(seen.checkpoints_spread()),
    }


def _gradients(one: Scored) -> dict[str, object]:
    found = one.gradients()
    if found is None:
        return {"cosine": math.nan, "in_common": math.nan}
    known = found["cosine"][np.isfinite(found["cosine"])]
    return {
        "cosine": float(known.mean()) if known.size else math.nan,
        "in_common": 100 * float(found["in_common"].mean()),
    }


def _percent(value: float | None) -> float:
    return math.nan if value is None else 100 * value


SPACE_LABELS = {
    "name": "",
    "mean": "mean, alone",
    "chosen": "first",
    "best": "best",
    "tau": "tau-b",
    "count": "best count",
    "apart": "more",
    "apart_interval": "95 %",
}
SPACE_FOR_PROGRAMS = ("drawn", "count_tau", "agreement", "archs", "n")
SPACE_NOTES = (
    (
        "How much is the space and how much the supernet. Mean ± sd and best: of what "
        "architectures reach alone (accuracy in percent, or perplexity); drawing one at random "
        "reaches the mean. First: of the predicted best one, mean over seeds."
    ),
    (
        "Best count: which of parameters, FLOPs, depth, width and convolutions ranks best, "
        "chosen by the truth itself. More: the supernet's tau-b less that one's, in points."
    ),
    "95 %: bootstrap over architectures and, where there are several, over the n seeds.",
)


def space_table(data: StudyData, only: str = "") -> pd.DataFrame:
    """What architectures reach without a ranking, and what counting does: ``SPACE_LABELS``.

    Args:
        data: the study's.
        only: end of the names of the rows that are shown.
    """
    lines = []
    for label, one in scored(data, only).items():
        chosen = [one.true[scores == scores.max()].mean() for scores in one.predicted]
        runs = of_row(data.runs, one.row)
        lines.append(
            {
                "name": shown(label, only),
                "mean": abs(float(one.true.mean())),
                "mean_sd": float(one.true.std(ddof=1)),
                "drawn": abs(best_of(one.true, DRAWS)),
                "chosen": abs(float(np.mean(chosen))),
                "best": abs(float(one.true.max())),
                "tau": 100 * mean_tau(one.predicted, one.true),
                **_beside_counting(one),
                "agreement": 100 * agreement(runs),
                "archs": len(one.true),
                "n": len(one.predicted),
            }
        )
    return frame_of(lines, ["name", "mean", "mean_sd", *SPACE_LABELS, *SPACE_FOR_PROGRAMS])


def mean_tau(scores: Values, true: Values) -> float:
    """Tau-b averaged over rankings (N, A)."""
    return float(np.mean([kendall_tau_b(each, true) for each in scores]))


def _beside_counting(one: Scored) -> dict[str, object]:
    counts = {name: values for name, values in one.traits.items() if name in TRAITS}
    if not counts:
        return {"count": MISSING, "count_tau": math.nan, "apart": math.nan,
                "apart_interval": MISSING}  # fmt: skip
    best = max(counts, key=lambda name: kendall_tau_b(counts[name], one.true))

    def above(scores: Values, places: NDArray[np.int64]) -> float:
        true = one.true[places]
        return mean_tau(scores, true) - kendall_tau_b(counts[best][places], true)

    found = finding(above, one.predicted)
    return {
        "count": best,
        "count_tau": 100 * kendall_tau_b(counts[best], one.true),
        "apart": 100 * found.value,
        "apart_interval": interval_text(found, 100),
    }
