"""Studies of searches: the paper's rows, at most ten columns, and what has no run yet."""

from __future__ import annotations

import dataclasses
import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.study.definition import Study, StudyData, Table
from benchmark.study.jobs import jobs_of
from benchmark.study.paired import Difference
from benchmark.study.render import as_text, to_latex, to_markdown
from benchmark.study.site.cells import table_grid
from benchmark.views.style import FigureUnavailableError

NAMES = (
    "table1",
    "table2",
    "table3",
    "table5",
    "table6",
    "table8",
    "figure7",
    "figure8",
    "figure9",
)
NUM_ROWS = {
    "table1": 12, "table2": 27, "table3": 10, "table5": 6, "table6": 4, "table8": 6,
    "figure7": 4, "figure8": 3, "figure9": 2,
}  # fmt: skip


def study(name: str) -> Study:
    found: Study = importlib.import_module(f"benchmark.study.studies.{name}").STUDY
    return found


def _judged(column: str, found: float, best: float) -> dict[str, float]:
    true = {"found": found, "best": best, "mean": best - 30, "largest": best - 1}
    return {f"judged.{column}.{name}": value for name, value in true.items()}


def made_up(name: str, folder: Path, without: tuple[str, ...] = ()) -> StudyData:
    """Two seeds of every row but ``without``: searches, supernets, retrainings of known values."""
    what = study(name)
    frames: dict[str, list[dict[str, Any]]] = {"supernets": [], "searches": [], "retrained": []}
    for place, row in enumerate(what.rows):
        if row.name in without:
            continue
        for seed in (0, 1):
            path = folder / f"{row.name}-{seed}"
            path.mkdir(parents=True)
            K = int(row.settings.get("K", 4))
            codes = np.random.default_rng(seed).dirichlet(np.ones(K), 60).astype(np.float32)
            np.save(path / "codes.npy", codes)
            (path / "record.json").write_text('{"schema": 1}')
            dataset = what.sizes["cpu"].dataset
            shared = {"row": row.name, "seed": seed, "path": str(path), "config.dataset": dataset}
            frames["supernets"].append(
                shared | {"seconds_per_epoch": 2.0 + place, "peak_memory_bytes": 2.0**20}
            )
            frames["searches"].append(
                shared
                | {
                    "seconds_per_arch": 0.5, "peak_memory_bytes": 2.0**21 * (1 + place),
                    "seconds.supernets": 10.0 * (1 + place), "best.true": 80.0 + place + seed,
                    **_judged("cifar10/test/200ep/mean", 80.0 + place + seed, 99.0),
                    **_judged("cifar100/test/200ep/mean", 60.0 + place + seed, 79.0),
                    "truth.column": "cifar10/test/200ep/mean",
                }
            )  # fmt: skip
            for again in (0, 2):  # two retrainings of one search count as their mean
                top = 70.0 + place + seed + again
                frames["retrained"].append(
                    shared | {"search": str(path), "top1": top, "top5": top + 20}
                )
    empty = pd.DataFrame(columns=pd.Index(["row", "seed"]))
    made = {kind: pd.DataFrame(rows) if rows else empty.copy() for kind, rows in frames.items()}
    return StudyData(what, "cpu", folder, {}, empty, **made)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("full", [True, False])
def test_tables_have_the_papers_rows_and_can_be_read(name: str, full: bool, tmp_path: Path) -> None:
    what = study(name)
    without = () if full else tuple(row.name for row in what.rows)
    data = made_up(name, tmp_path, without)
    for table in what.tables:
        values = table.build(data)
        shown = as_text(table, values)
        assert len(values) == NUM_ROWS[name]
        assert len(shown.columns) <= 10
        text = to_markdown(table, values)
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert max(map(len, lines)) <= 100
        assert to_latex(table, values).count(r" \\") == len(values) + 1
        said = (shown == "no run").to_numpy().sum() + text.count("0, 0")
        assert (said == 0) if full else (said > 0)
    assert what.question.endswith("?")
    assert what.answer(data).endswith(".")


def test_columns_of_the_same_heading_are_all_shown() -> None:
    values = pd.DataFrame({"one": [1.0], "two": [2.0], "two_sd": [0.5]}, index=[7])
    table = Table("t", "Two", lambda data: values, labels={"one": "same", "two": "same"})
    shown = as_text(table, values)
    assert list(shown.columns) == ["same", "same"]
    assert shown.to_numpy().tolist() == [["1.00", "2.00 ± 0.50"]]
    assert "| 1.00 | 2.00 ± 0.50 |" in to_markdown(table, values)
    assert r"1.00 & 2.00 $\pm$ 0.50 \\" in to_latex(table, values)
    (row,) = table_grid(table, values).rows
    assert [cell.value for cell in row] == [1.0, 2.0]


def test_table_5_by_hand(tmp_path: Path) -> None:
    data = made_up("table5", tmp_path, without=("fixed",))
    values = data.study.tables[0].build(data)
    assert values["#"].tolist() == ["1", "2", "3", "4", "5", "6"]
    # Row 1: seeds 0 and 1 reached 70, 72 and 71, 73: means 71 and 72.
    assert values.loc[0, "top1"] == pytest.approx(71.5)
    assert values.loc[0, "top1_sd"] == pytest.approx(math.sqrt(0.5))
    assert values["n"].tolist() == ["2", "2", "0", "2", "2", "2"]
    assert values["K-shot"].tolist() == ["", "", "yes", "yes", "yes", "yes"]
    assert values["channel"].tolist() == ["", "yes", "", "", "yes", "yes"]
    assert values["r_c"].tolist() == ["", "", "", "", "", "yes"]
    assert values["paper"].tolist()[5] == "77.9, 93.8"
    assert "less one-shot: +5.00 points" in data.study.answer(data)


def test_table_8_is_relative_to_one_copy(tmp_path: Path) -> None:
    data = made_up("table8", tmp_path)
    values = data.study.tables[0].build(data)
    assert values["relative_cost"].tolist() == pytest.approx([1, 2, 3, 4, 5, 6])
    assert values["memory"].tolist() == pytest.approx([2, 4, 6, 8, 10, 12])
    assert values.loc[1, "paper_cost"] == pytest.approx(2.0)


def test_table_6_has_both_limits_beside_each_other(tmp_path: Path) -> None:
    data = made_up("table6", tmp_path, without=("random-wide",))
    values = data.study.tables[0].build(data)
    assert values["method"].tolist() == ["one-shot", "random K-shot", "fixed K-shot", "K-shot"]
    assert values["tight"].tolist() == pytest.approx([71.5, 72.5, 73.5, 74.5])
    assert math.isnan(values.loc[1, "wide"])
    assert (values.loc[1, "n_tight"], values.loc[1, "n"]) == ("2", "0")


def test_table_3_judges_what_was_found_on_every_data_set(tmp_path: Path) -> None:
    data = made_up("table3", tmp_path)
    values = data.study.tables[0].build(data)
    assert values["cifar10"].tolist()[:7] == pytest.approx([80.5, 81.5, 82.5, 83.5, 69, 98, 99])
    assert values["cifar100"].tolist()[:7] == pytest.approx([60.5, 61.5, 62.5, 63.5, 49, 78, 79])
    assert "imagenet16-120" not in values
    assert values["method"].tolist()[4:] == [
        "a random cell", "most parameters", "optimum", "GDAS", "DARTS-", "AngleNet",
    ]  # fmt: skip
    assert values.loc[1, "cifar10, paper"] == 94.19
    # K-shot's searches found 81 and 82, one-shot's 80 and 81.
    assert "K-shot finds less what one-shot does: cifar10: +1.00" in data.study.answer(data)
    assert "cifar10 98.00 against 81.50; cifar100 78.00 against 61.50 %" in data.study.answer(data)


def test_table_3_counts_the_searches_of_one_supernet_with_their_mean(tmp_path: Path) -> None:
    data = made_up("table3", tmp_path)
    again = data.searches.assign(**{"best.true": data.searches["best.true"] + 2})
    uneven = again["best.true"].where(
        again["row"] != "K-shot", again["best.true"] + data.searches["seed"]
    )
    both = pd.concat([data.searches, again.assign(**{"best.true": uneven})], ignore_index=True)
    data = dataclasses.replace(data, searches=both)
    # Of K-shot's two supernets less one-shot's: 1, and 1 + 1 / 2.
    assert "cifar10: +1.25 points" in data.study.answer(data)
    assert "n = 2 pairs" in data.study.answer(data)
    assert data.study.tables[0].build(data)["n"].tolist()[:4] == ["4"] * 4


def test_table_3_searched_on_each_data_set_shows_its_own(tmp_path: Path) -> None:
    data = made_up("table3", tmp_path)
    other = data.searches.assign(
        **{
            "config.dataset": "cifar100",
            "best.true": 70.0,
            "truth.column": "cifar100/test/200ep/mean",
        }
    )
    both = pd.concat([data.searches, other], ignore_index=True)
    values = data.study.tables[0].build(dataclasses.replace(data, scale="paper", searches=both))
    assert values["cifar100"].tolist()[:4] == [70.0] * 4
    assert values.loc[6, "cifar100"] == 79.0


def test_a_supernet_is_searched_with_several_seeds() -> None:
    jobs = [job for job in jobs_of(study("table3"), "cpu") if job.row == "K-shot"]
    assert [job.seed for job in jobs] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [job.config.search_seed for job in jobs] == [0, 1] * 5
    assert len({job.config.place() for job in jobs}) == 10
    assert len({job.supernets()[0].supernet_place() for job in jobs}) == 5
    size = dataclasses.replace(study("table9").sizes["cpu"], search_seeds=(0, 1))
    with pytest.raises(ValueError, match="no search_seeds"):
        dataclasses.replace(study("table9"), sizes={"cpu": size})


@pytest.mark.parametrize("name", NAMES)
def test_figures_fit_a_page(name: str, tmp_path: Path) -> None:
    data = made_up(name, tmp_path)
    for picture in data.study.figures:
        figure = picture.build(data)
        assert figure.get_figheight() * 200 <= 1600
        for axes in figure.axes:
            assert len(axes.get_legend_handles_labels()[0]) <= 8
            assert axes.get_xlabel()
            assert axes.get_ylabel() or len(axes.get_yticklabels()) == len(data.rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_study_without_runs_has_no_figure(name: str, tmp_path: Path) -> None:
    data = made_up(name, tmp_path, tuple(row.name for row in study(name).rows))
    for picture in data.study.figures:
        with pytest.raises(FigureUnavailableError):
            picture.build(data)


@pytest.mark.parametrize("name", NAMES)
def test_every_scale_has_its_jobs(name: str) -> None:
    what = study(name)
    for scale in ("tiny", "cpu", "paper"):
        jobs = jobs_of(what, scale)
        assert {job.row for job in jobs} == {row.name for row in what.rows}
        assert len({(job.row, job.config) for job in jobs}) == len(jobs)


def test_differences_are_of_pairs() -> None:
    found = Difference.of([3.0, 5.0, 8.0], [2.0, 3.0, 5.0])
    assert found.mean == pytest.approx(2.0)
    # Student's t of (1, 2, 3): 2 / (1 / sqrt 3) with two degrees of freedom.
    assert found.p == pytest.approx(0.0742, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((-0.484, 4.484), abs=1e-3)
    one = Difference.of([1.0], [0.5])
    assert math.isnan(one.p)
    assert one.text("points") == "+0.50 points (one seed: no finding)"
    assert Difference.of([2.0, 3.0], [1.0, 2.0]).text("points") == "+1.00 points in each of 2 pairs"
