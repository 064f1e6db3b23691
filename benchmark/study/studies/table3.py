"""Table 3: the true accuracy of the cells that searches of NAS-Bench-201 find."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from benchmark.study.definition import Picture, Row, Size, Study, StudyData, Table, of_row
from benchmark.study.dots import draw_dots
from benchmark.study.paired import Difference
from benchmark.views.style import FigureUnavailableError, panels, set_title
from benchmark.views.values import estimate, numbers

_DATASETS = ("cifar10", "cifar100", "imagenet16-120")
_BEST = "best.true"


def _paper(*values: float) -> dict[str, float]:
    return dict(zip(_DATASETS, values, strict=True))


_ROWS = (
    Row("one-shot", "one-shot (SPOS)", {"K": 1}, _paper(93.67, 69.83, 44.71)),
    Row("K-shot", "K-shot, K = 8", {"K": 8}, _paper(94.19, 73.45, 46.53)),
    Row("one-shot-random", "one-shot, random search", {"K": 1, "method": "random"}),
    Row("K-shot-random", "K-shot, random search", {"K": 8, "method": "random"}),
)
# Of the paper alone: other methods.
_OTHERS = {
    "GDAS": _paper(93.52, 67.52, 40.91),
    "DARTS-": _paper(93.80, 71.36, 45.12),
    "AngleNet": _paper(94.01, 72.96, 45.83),
}
_OPTIMUM = _paper(94.37, 73.51, 47.31)


def _table(data: StudyData) -> pd.DataFrame:
    found = data.searches.get("config.dataset", pd.Series(dtype=str))
    sizes = (data.size.dataset, *data.size.more_datasets)
    datasets = [name for name in sizes if name in set(found)] or [data.size.dataset]
    rows: list[dict[str, object]] = []
    for row in data.rows:
        own = of_row(data.searches, row)
        cells: dict[str, object] = {"method": row.label}
        nums = []
        for dataset in datasets:
            here = own[own["config.dataset"] == dataset] if len(own) else own
            value = estimate(here, _BEST)
            cells |= {dataset: value.mean, f"{dataset}_sd": value.sd}
            cells[f"paper {dataset}"] = row.paper.get(dataset, math.nan)
            nums.append(str(value.num))
        cells["n"] = nums[0] if len(set(nums)) == 1 else ", ".join(nums)
        rows.append(cells)
    optimum: dict[str, object] = {"method": "optimum of the table"}
    for dataset in datasets:
        here = data.searches[found == dataset] if len(found) else data.searches
        best = numbers(here, "optimum.true")
        optimum[dataset] = best[0] if len(best) else math.nan
        optimum[f"paper {dataset}"] = _OPTIMUM.get(dataset, math.nan)
    rows.append(optimum)
    if set(datasets) & set(_DATASETS):
        rows += [
            {"method": name, **{f"paper {dataset}": values.get(dataset) for dataset in datasets}}
            for name, values in _OTHERS.items()
        ]
    frame = pd.DataFrame(rows)
    # A data set that the paper has not has no column of its figures.
    return frame.drop(columns=[f"paper {name}" for name in datasets if name not in _DATASETS])


def _figure(data: StudyData) -> Figure:
    if data.searches.empty:
        raise FigureUnavailableError("no search of this study is finished yet")
    datasets = list(dict.fromkeys(data.searches["config.dataset"]))
    drawing, axes = panels(len(datasets))
    for panel, dataset in zip(axes, datasets, strict=True):
        here = data.searches[data.searches["config.dataset"] == dataset]
        values = {row.label: numbers(of_row(here, row), _BEST) for row in data.rows}
        draw_dots(panel, values, "true accuracy of the cell found (%), a dot a search")
        best = numbers(here, "optimum.true")
        panel.axvline(best[0], color="black", linewidth=1, linestyle=":", label="optimum")
        panel.legend(fontsize=8, frameon=False)
        set_title(panel, dataset)
    return drawing


def _answer(data: StudyData) -> str:
    said = []
    for dataset in (data.size.dataset, *data.size.more_datasets):
        values = []
        for row in data.rows[:2]:
            own = of_row(data.searches, row)
            own = own[own["config.dataset"] == dataset] if len(own) else own
            values.append(dict(zip(own["seed"], numbers(own, _BEST), strict=True)))
        seeds = sorted(values[0].keys() & values[1].keys())
        if seeds:
            one_shot, k_shot = ([one[seed] for seed in seeds] for one in values)
            found = Difference.of(k_shot, one_shot)
            said.append(f"{dataset}: {found.text('points')}")
    if not said:
        return "Not searched yet."
    return f"True accuracy of what K-shot finds less what one-shot does: {'; '.join(said)}."


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
                "epochs": 1,
                "train_images": 6400,
                "population": 4,
                "parents": 2,
                "generations": 2,
                "score_images": 250,
            },
        ),
        "cpu": Size(
            "quick", "digits", {"population": 10, "parents": 5, "generations": 6}, seeds=(0, 1, 2)
        ),
        "paper": Size("paper", "cifar10", {}, seeds=tuple(range(10)), more_datasets=_DATASETS[1:]),
    },
    answer=_answer,
    tables=(
        Table(
            "table3",
            "True accuracy of the cells found, percent",
            _table,
            notes=(
                "Mean ± sample standard deviation over n searches.",
                "The accuracy is the truth table's, of the cell that a search chose.",
                "The optimum is the best that the truth table has.",
            ),
        ),
    ),
    figures=(Picture("table3", "True accuracy of what was found; a dot is a search.", _figure),),
)
