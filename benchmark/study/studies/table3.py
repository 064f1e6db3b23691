"""Table 3: the true accuracy of the cells that searches of NAS-Bench-201 find."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmark.study.definition import Picture, Row, Size, Study, StudyData, Table, of_row
from benchmark.study.dots import draw_dots
from benchmark.study.paired import Difference
from benchmark.study.studies._digits import BALANCED
from benchmark.study.studies.table9 import SIZES as TABLE9
from benchmark.views.style import FigureUnavailableError, add_legend, panels, set_title
from benchmark.views.values import Estimate

_DATASETS = ("cifar10", "cifar100", "imagenet16-120")


def _paper(*values: float) -> dict[str, float]:
    return dict(zip(_DATASETS, values, strict=True))


_ROWS = (
    Row("one-shot", "one-shot (SPOS)", {"K": 1}, _paper(93.67, 69.83, 44.71)),
    Row("K-shot", "K-shot, K = 8", {"K": 8}, _paper(94.19, 73.45, 46.53)),
    Row("one-shot-random", "one-shot, random", {"K": 1, "method": "random"}),
    Row("K-shot-random", "K-shot, random", {"K": 8, "method": "random"}),
)
# Of the paper alone: other methods.
_OTHERS = {
    "GDAS": _paper(93.52, 67.52, 40.91),
    "DARTS-": _paper(93.80, 71.36, 45.12),
    "AngleNet": _paper(94.01, 72.96, 45.83),
}
_OPTIMUM = _paper(94.37, 73.51, 47.31)
# What takes no search: a key of a record's ``judged`` -> its label.
_UNSEARCHED = {
    "mean": "a random cell",
    "largest": "most parameters",
    "best": "optimum",
}
_PAPER = {name: f"{name}, paper" for name in _DATASETS}


def _found(searches: pd.DataFrame, dataset: str, what: str = "found") -> pd.Series[float]:
    """True accuracy of what each search found, percent, or of what takes none; by its job.

    Where nothing was searched on a data set, the cells found on another are judged on it.
    """
    own = searches[searches["config.dataset"] == dataset] if len(searches) else searches
    if len(own):
        if what == "found":
            return own["best.true"].astype(float)
        if "truth.column" in own:
            names = [f"judged.{column}.{what}" for column in own["truth.column"]]
            values = [
                own[name].iloc[at] if name in own else math.nan for at, name in enumerate(names)
            ]
            return pd.Series(values, own.index, dtype=float)
        return pd.Series(math.nan, own.index)
    for name in searches.columns:
        if str(name).startswith(f"judged.{dataset}/") and str(name).endswith(f".{what}"):
            return searches[name].astype(float)
    return pd.Series(dtype=float)


def _datasets(data: StudyData) -> list[str]:
    """What cells are judged on: where the study searches, then where the truth has it as well."""
    searched = [data.size.dataset, *data.size.more_datasets]
    others = [name for name in _DATASETS if len(_found(data.searches, name))]
    return list(dict.fromkeys((*searched, *others)))


def _table(data: StudyData) -> pd.DataFrame:
    datasets = _datasets(data)
    lines: list[dict[str, object]] = []
    for row in data.rows:
        own = of_row(data.searches, row)
        line: dict[str, object] = {"method": row.label}
        nums = []
        for dataset in datasets:
            value = Estimate.of(np.asarray(_found(own, dataset).dropna(), dtype=np.float64))
            line |= {dataset: value.mean, f"{dataset}_sd": value.sd}
            if dataset in _PAPER:
                line[_PAPER[dataset]] = row.paper.get(dataset, math.nan)
            nums.append(str(value.num))
        line["n"] = nums[0] if len(set(nums)) == 1 else ", ".join(nums)
        lines.append(line)
    for what, label in _UNSEARCHED.items():
        line = {"method": label}
        for dataset in datasets:
            values = _found(data.searches, dataset, what).dropna()
            line[dataset] = values.iloc[0] if len(values) else math.nan
        if what == "best":
            line |= {_PAPER[name]: _OPTIMUM[name] for name in datasets if name in _PAPER}
        lines.append(line)
    if set(datasets) & set(_DATASETS):
        lines += [
            {"method": name, **{_PAPER[one]: values[one] for one in datasets if one in _PAPER}}
            for name, values in _OTHERS.items()
        ]
    return pd.DataFrame(lines)


def _figure(data: StudyData) -> Figure:
    if data.searches.empty:
        raise FigureUnavailableError("no search of this study is finished yet")
    datasets = _datasets(data)
    drawing, axes = panels(len(datasets))
    for panel, dataset in zip(axes, datasets, strict=True):
        values = {
            row.label: np.asarray(_found(of_row(data.searches, row), dataset), dtype=np.float64)
            for row in data.rows
        }
        draw_dots(panel, values, "true accuracy (%), a dot a search")
        for what, style in {"best": ":", "largest": "--"}.items():
            known = _found(data.searches, dataset, what).dropna()
            if len(known):
                panel.axvline(
                    known.iloc[0], color="black", linewidth=1, linestyle=style,
                    label=_UNSEARCHED[what],
                )  # fmt: skip
        set_title(panel, dataset)
    add_legend(drawing, axes, _UNSEARCHED.values())
    return drawing


def _answer(data: StudyData) -> str:
    said = []
    for dataset in _datasets(data):
        # The searches of one supernet are no independent pairs: they count with their mean.
        one_shot, k_shot = (
            _found(own, dataset).groupby(own["seed"]).mean()
            for own in (of_row(data.searches, row) for row in data.rows[:2])
        )
        seeds = sorted({*one_shot.dropna().index} & {*k_shot.dropna().index})
        if seeds:
            found = Difference.of(k_shot[seeds], one_shot[seeds])
            verdict = "" if found.is_sure or found.num < 2 else ", not told apart"
            said.append(f"{dataset}: {found.text('points')}{verdict}")
    if not said:
        return "Not searched yet."
    answer = f"True accuracy of what K-shot finds less what one-shot does: {'; '.join(said)}."
    k_shot_row, beside = of_row(data.searches, data.rows[1]), []
    for dataset in _datasets(data):
        largest = _found(data.searches, dataset, "largest").dropna()
        mean = _found(k_shot_row, dataset).mean()
        if len(largest) and not math.isnan(mean):
            beside.append(f"{dataset} {largest.iloc[0]:.2f} against {mean:.2f}")
    if beside:
        answer += f" Most parameters, no search, against K-shot's mean: {'; '.join(beside)} %."
    return answer


STUDY = Study(
    name="table3",
    title="Cells that searches of NAS-Bench-201 find (paper table 3)",
    question="Does a K-shot supernet lead the search to truly better cells than a one-shot one?",
    kind="search",
    rows=_ROWS,
    sizes={
        "tiny": Size(
            "quick",
            "digits",
            {
                **BALANCED,
                "epochs": 1,
                "train_images": 6400,
                "population": 4,
                "parents": 2,
                "generations": 2,
                "score_images": 250,
            },
        ),
        # On table 9's supernets, which are trained once for both.
        "cpu": Size(
            TABLE9["cpu"].preset,
            TABLE9["cpu"].dataset,
            {
                **{
                    name: value for name, value in TABLE9["cpu"].settings.items() if name != "archs"
                },
                "population": 20,
                "parents": 10,
                "generations": 10,
            },
            seeds=TABLE9["cpu"].seeds,
            search_seeds=(0, 1),
        ),
        "paper": Size("paper", "cifar10", {}, seeds=tuple(range(10)), more_datasets=_DATASETS[1:]),
    },
    answer=_answer,
    tables=(
        Table(
            "table3",
            "True accuracy of the cells found, percent",
            _table,
            labels={
                "cifar10": "CIFAR-10",
                "cifar100": "CIFAR-100",
                "imagenet16-120": "IN16-120",
                **dict.fromkeys(_PAPER.values(), "paper"),
            },
            notes=(
                "Mean ± sample standard deviation over n searches.",
                "The accuracy is the truth table's, of the cell that a search chose.",
                "Random: as many cells drawn at random, and the one that the supernet puts first.",
                "A random cell: the mean of the table. The optimum is the best that it has.",
                "Where the study searches one data set, the others judge the cells found there.",
            ),
        ),
    ),
    figures=(Picture("table3", "True accuracy of what was found; a dot is a search.", _figure),),
)
