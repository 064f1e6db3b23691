"""Rankings put together: what a supernet's loss adds to what costs no training, and the reverse.

The score of a combination is the mean of its parts' ranks among the architectures, so that no part
needs a scale, a weight or any stand-alone accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmark.config.run import RunConfig
from benchmark.records.load import load_config, load_predictions
from benchmark.study.definition import StudyData
from benchmark.study.paired import Difference
from benchmark.study.ranked import NAMES, datasets, groups
from benchmark.views.values import Estimate
from kshot_core.metrics.correlation import kendall_tau_b, p_at_top, regret
from kshot_core.space import Listable, Priced

Scores = NDArray[np.float64]

PARAMETERS = "parameters"

LABELS = {
    "name": "mean rank of",
    "tau": "tau-b (%)",
    "p_at_top": "P@top 5 % (%)",
    "regret": "regret (points)",
}
NOTES = (
    "Mean ± sample standard deviation over n seeds of the supernet; no seed where none is trained.",
    "P@top 5 %: share of the ranking's best 5 % that truly are among the best 5 %.",
    "Regret: true accuracy of the best architecture less that of the one ranked first.",
    "No part has seen a stand-alone accuracy. Parameters are those on live edges.",
)
_MEASURES: dict[str, Callable[[Scores, Scores], float]] = {
    "tau": lambda scores, true: 100 * kendall_tau_b(scores, true),
    "p_at_top": lambda scores, true: 100 * p_at_top(scores, true),
    "regret": regret,
}


class Combinations:
    """Builds the table and the answer of a study whose rows are supernets or scores.

    Args:
        rankers: label of a line -> its parts, names of the study's rows or ``PARAMETERS``. Parts
            that are rows of several seeds are taken seed by seed. A scale that leaves one of its
            rows out has no such line.
        best: the label that the answer is about, of those given the first that the scale has.
        without: the one it is compared with, seed by seed.
    """

    def __init__(
        self, rankers: dict[str, Sequence[str]], best: tuple[str, ...], without: str
    ) -> None:
        self.rankers, self.best, self.without = rankers, best, without

    def table(self, data: StudyData) -> pd.DataFrame:
        """A line per ranker: ``name``, ``tau`` and ``p_at_top`` in percent, ``regret``, ``n``."""
        lines = []
        for label, parts in self._of(data).items():
            ranked = _ranked(data, parts)
            line: dict[str, object] = {"name": label}
            for name, measure in _MEASURES.items():
                value = Estimate.of(np.array([measure(*pair) for pair in ranked]))
                line |= {name: value.mean, f"{name}_sd": value.sd}
            lines.append({**line, "n": len(ranked)})
        return pd.DataFrame(lines)

    def answer(self, data: StudyData) -> str:
        """What the best combination reaches, and what the supernet adds to it."""
        rankers = self._of(data)
        name = next(name for name in self.best if name in rankers)
        ranked = [_ranked(data, rankers[one]) for one in (name, self.without)]
        if not all(ranked):
            return "No run yet."
        best, without = ([_MEASURES["tau"](*pair) for pair in own] for own in ranked)
        value = Estimate.of(np.array(best))
        spread = "" if np.isnan(value.sd) else f" ± {value.sd:.1f}"
        others = without if len(without) == len(best) else without * len(best)
        gain = Difference.of(best, others).text("points")
        dataset = datasets(data)[0]
        return (
            f"On {NAMES.get(dataset, dataset)} the mean rank of {name} reaches "
            f"{value.mean:.1f}{spread} % tau-b (n = {value.num}); less that of {self.without}: "
            f"{gain}."
        )

    def _of(self, data: StudyData) -> dict[str, Sequence[str]]:
        known = {PARAMETERS, *(row.name for row in data.rows)}
        return {name: parts for name, parts in self.rankers.items() if known.issuperset(parts)}


def _ranked(data: StudyData, parts: Sequence[str]) -> list[tuple[Scores, Scores]]:
    """Scores and truth (A,) of a combination, a pair per seed; none where a part has no run."""
    dataset = datasets(data)[0]
    runs = {row.name: own.sort_values("seed") for row, own in groups(data, dataset)}
    own = [part for part in parts if part != PARAMETERS]
    if not runs or any(part not in runs for part in own):
        return []
    # A run says which space its architectures are of; a table of scores need not.
    trained = [row.name for row in data.rows if row.name in runs and "scores" not in row.settings]
    if PARAMETERS in parts and not trained:
        return []
    # Scores that nothing was trained for go with every seed.
    seeds = sorted(set.union(*(set(runs[part]["seed"]) for part in own)) if own else {0})
    carrier = own[0] if own else next(iter(runs))
    pairs = []
    for seed in seeds:
        chosen = {part: _of_seed(runs[part], seed) for part in {*own, carrier}}
        first = load_predictions(chosen[carrier])
        ranks = []
        for part in parts:
            if part == PARAMETERS:
                scores = _parameters(Path(runs[trained[0]]["path"].iloc[0]), first["index"])
            else:
                scores = _scores(load_predictions(chosen[part]), first["index"])
            ranks.append(rankdata(scores))
        pairs.append((np.mean(ranks, axis=0), first["true"].astype(np.float64)))
    return pairs


def _of_seed(runs: pd.DataFrame, seed: int) -> Path:
    own = runs[runs["seed"] == seed] if len(runs) > 1 else runs
    return Path(own["path"].iloc[0])


def _scores(predictions: NDArray[np.void], index: NDArray[np.uint32]) -> Scores:
    """−loss, or the score where there is no loss, of the architectures of an index (A,)."""
    loss = predictions["loss"].astype(np.float64)
    scores = predictions["accuracy"].astype(np.float64) if np.isnan(loss).any() else -loss
    values = dict(zip(predictions["index"].tolist(), scores.tolist(), strict=True))
    return np.array([values[one] for one in index.tolist()])


def _parameters(folder: Path, index: NDArray[np.uint32]) -> Scores:
    """Parameters on live edges (A,)."""
    space = RunConfig.from_dict(load_config(folder)).space.without_images()
    assert isinstance(space, Listable)
    assert isinstance(space, Priced)
    archs = [space.canonical(space.from_index(int(one))) for one in index]
    return np.array([space.params(arch) for arch in archs], dtype=np.float64)
