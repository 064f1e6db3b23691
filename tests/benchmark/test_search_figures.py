"""Figures of searches and retrainings: what they show is what the records hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic_searches import write_retrained, write_search

from benchmark.cli.errors import UserError
from benchmark.records.load_searches import load_evaluated, load_retrained, load_searches
from benchmark.views.figures import FIGURES, FigureUnavailableError, Plot
from benchmark.views.figures.front import front_figure
from benchmark.views.figures.search_progress import best_so_far
from benchmark.views.found import arch_id
from kshot_core.search.limits import Limits
from kshot_core.search.methods import Evaluated

LOADERS = {"searches": load_searches, "retrained": load_retrained}
OF_SEARCHES = {name: plot for name, plot in FIGURES.items() if isinstance(plot, Plot)}
LIMIT = 3e7
CELL = {"space": "nasbench201", "channels": 8, "cells": 1}


def draw(name: str, results: Path) -> Figure:
    plot = OF_SEARCHES[name]
    return plot(*(LOADERS[kind](results) for kind in plot.reads))


def legend(drawing: Figure) -> list[str]:
    return [text.get_text() for text in drawing.legends[0].get_texts()]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Searches with two K, epochs, m and methods, some of them retrained."""
    folder = tmp_path_factory.mktemp("results")
    for K in (1, 2, 8):
        for epochs in (10, 20):
            for seed in (0, 1):
                search = write_search(folder, K=K, epochs=epochs, seed=seed, max_flops=LIMIT)
                write_retrained(folder, search, 70.0 + epochs / 10 + seed + K)
    for m in (1, 4):
        for schedule in ("alternate", "joint"):
            search = write_search(folder, num_groups=m, schedule=schedule, max_flops=LIMIT)
            write_retrained(folder, search, 70.0 + m)
    write_search(folder, K=2, ensemble="max", max_flops=LIMIT)
    for method in ("nsga2", "random"):
        write_search(folder, K=8, method=method, **CELL)
    return folder


@pytest.mark.parametrize("name", OF_SEARCHES)
def test_everything_is_labelled_and_inside(name: str, results: Path) -> None:
    drawing = draw(name, results)
    drawing.draw_without_rendering()
    assert drawing.axes
    titles = []
    for panel in drawing.axes:
        title = panel.title if panel.get_title() else panel._left_title
        assert "digits" in title.get_text()
        titles.append(title.get_window_extent())
        assert titles[-1].x0 >= 0
        assert titles[-1].x1 <= drawing.bbox.x1
        if name not in ("architectures", "cells"):
            assert panel.get_xlabel()
            assert panel.get_ylabel()
            assert panel.has_data()
    frames = [panel.get_window_extent() for panel in drawing.axes]
    assert not any(title.overlaps(frame) for title in titles for frame in frames)
    for box in drawing.legends:
        extent = box.get_window_extent()
        assert extent.x0 >= 0
        assert extent.x1 <= drawing.bbox.x1
        assert not any(extent.overlaps(frame) for frame in frames)


@pytest.mark.parametrize("name", OF_SEARCHES)
def test_nothing_to_show_is_said(name: str, tmp_path: Path) -> None:
    write_search(tmp_path, K=1, **CELL) if name == "architectures" else write_search(tmp_path, K=1)
    for path in tmp_path.glob("searches/*/*/*/*/*.csv"):
        path.unlink()
    with pytest.raises(FigureUnavailableError):
        draw(name, tmp_path)


def test_best_so_far_by_hand() -> None:
    evaluated = pd.DataFrame(
        {
            "accuracy": [50.0, 60.0, 55.0, 60.0, 60.0, 61.0],
            "loss": [2.0, 1.5, 1.6, 1.4, 1.4, 1.9],
            "flops": [1.0, 2.0, 3.0, 4.0, 3.0, 9.0],
        }
    )
    assert best_so_far(evaluated).tolist() == [50, 60, 60, 60, 60, 61]
    true = evaluated.assign(true=[10.0, 20.0, 90.0, 30.0, 40.0, 5.0])
    # Equal accuracy: less loss wins, then fewer multiply-adds.
    assert best_so_far(true).tolist() == [10, 20, 20, 30, 40, 5]


def test_progress_ends_at_what_was_chosen(tmp_path: Path) -> None:
    folder = write_search(tmp_path, K=8, **CELL)
    record = load_searches(tmp_path).iloc[0]
    assert best_so_far(load_evaluated(folder))[-1] == record["best.true"]
    [panel] = draw("search_progress", tmp_path).axes
    curve, optimum = panel.lines
    assert curve.get_ydata()[-1] == record["best.true"]
    assert list(curve.get_xdata()[[0, -1]]) == [1, 60]
    assert set(optimum.get_ydata()) == {record["optimum.true"]}
    assert "true accuracy" in panel.get_ylabel()


def test_progress_is_a_mean_over_searches_that_may_end_early(tmp_path: Path) -> None:
    curves = []
    for seed, generations in ((0, 6), (1, 3)):
        folder = write_search(tmp_path, {}, K=1, seed=seed, max_flops=LIMIT)
        num = 10 * generations
        rows = (folder / "evaluated.csv").read_text().splitlines(keepends=True)
        (folder / "evaluated.csv").write_text("".join(rows[: num + 1]))
        record = (folder / "record.json").read_text()
        (folder / "record.json").write_text(
            record.replace('"num_scored": 60', f'"num_scored": {num}')
        )
        curves.append(best_so_far(load_evaluated(folder)))
    [panel] = draw("search_progress", tmp_path).axes
    mean = panel.lines[-1].get_ydata()
    assert len(mean) == 60
    assert mean[9] == pytest.approx((curves[0][9] + curves[1][9]) / 2)
    assert mean[59] == pytest.approx((curves[0][59] + curves[1][29]) / 2)
    # The seeds are thin lines beside it.
    assert len(panel.lines) == 3


def test_spaces_and_limits_have_panels_of_their_own(results: Path) -> None:
    titles = [panel.get_title() for panel in draw("search_progress", results).axes]
    assert len(titles) == 2
    assert titles[0].startswith("digits, mobilenetv2, widths searched\narchs within limits: ≤ 30")
    assert "digits/valid/10ep/mean" in titles[1]


def test_methods_are_told_apart(results: Path) -> None:
    names = legend(draw("search_progress", results))
    assert {"K = 8 simplex, random search", "optimum of the truth"} <= set(names)


def test_front_shows_all_the_front_the_limit_and_the_choice(tmp_path: Path) -> None:
    write_search(tmp_path, K=4, max_flops=LIMIT)
    record = load_searches(tmp_path).iloc[0]
    [panel] = draw("front", tmp_path).axes
    scored, chosen = panel.collections
    assert len(scored.get_offsets()) == 60
    assert chosen.get_offsets()[0].tolist() == [record["best.flops"] / 1e6, record["best.accuracy"]]
    front, limit = panel.lines
    assert front.get_ydata()[-1] == record["best.accuracy"]
    assert set(limit.get_xdata()) == {30.0}
    assert legend(draw("front", tmp_path)) == ["scored", "Pareto front", "chosen", "limit"]


def test_front_of_a_single_search_needs_no_records() -> None:
    scored = [
        Evaluated((0,), accuracy, 1.0, flops, 10, 1)
        for accuracy, flops in ((50.0, 1e6), (60.0, 2e6), (40.0, 3e6))
    ]
    limits = Limits(max_flops=4e6, min_flops=5e5)
    [panel] = (drawing := front_figure(scored, scored[:2], scored[1], limits)).axes
    assert [line.get_xdata()[0] for line in panel.lines] == [1.0, 4.0, 0.5]
    assert panel.get_title() == "3 archs scored"
    # Both limits are one entry.
    assert legend(drawing).count("limit") == 1
    [panel] = front_figure(scored, scored[:2], scored[1], Limits()).axes
    assert len(panel.lines) == 1


def test_codes_of_a_search_have_a_histogram_for_each_copy(tmp_path: Path) -> None:
    for K in (2, 3):
        write_search(tmp_path, K=K)
    write_search(tmp_path, K=4, sharing="fixed")
    write_search(tmp_path, K=1)
    drawing = draw("codes_search", tmp_path)
    assert len(drawing.axes) == 2
    for K, panel in zip((2, 3), drawing.axes, strict=True):
        names = [text.get_text() for text in panel.get_legend().get_texts()]
        assert names == [*(f"copy {copy + 1}" for copy in range(K)), "1/K"]
        assert f"K = {K} simplex" in panel.get_title()
        assert "60 archs" in panel.get_title()


@pytest.mark.parametrize("shape", [(60, 3), (59, 2)])
def test_codes_of_another_shape_are_an_error(shape: tuple[int, int], tmp_path: Path) -> None:
    folder = write_search(tmp_path, K=2)
    np.save(folder / "codes.npy", np.full(shape, 0.5, dtype=np.float32))
    with pytest.raises(UserError, match=r"should be of shape \(60, 2\)"):
        draw("codes_search", tmp_path)


def test_epochs_have_a_line_for_each_k(results: Path) -> None:
    drawing = draw("epochs_against_k", results)
    [panel] = drawing.axes
    assert legend(drawing) == ["one-shot", "K = 2 simplex, r_c", "K = 8 simplex, r_c"]
    lines = [box.lines[0] for box in panel.containers]
    assert [list(line.get_xdata()) for line in lines] == [[10, 20]] * 3
    # Means over two searches: 70 + epochs / 10 + K + half.
    assert [list(line.get_ydata()) for line in lines] == [
        [72.5, 73.5], [73.5, 74.5], [79.5, 80.5],
    ]  # fmt: skip
    assert panel.get_title() == "digits, mobilenetv2\n12 retrained archs, limits: ≤ 30 MFLOPs"


def test_groups_tell_iterative_from_joint(results: Path) -> None:
    drawing = draw("groups", results)
    [panel] = drawing.axes
    assert legend(drawing) == ["K = 8 iterative", "K = 8 joint"]
    lines = [box.lines[0] for box in panel.containers]
    # The usual m is one of the points, with its two seeds.
    assert [list(line.get_xdata()) for line in lines] == [[1, 4, 16], [1, 4]]
    assert [list(line.get_ydata()) for line in lines] == [[71, 74, 80.5], [71, 74]]


@pytest.mark.parametrize(
    "other", [{"stem": 4}, {"sampler": "balanced"}, {"factors": "1.0"}, {"max_flops": 2e7}]
)
def test_lines_join_what_differs_in_nothing_else(other: dict[str, Any], tmp_path: Path) -> None:
    for changes in ({"epochs": 10}, {"epochs": 20, **other}):
        search = write_search(tmp_path, **{"max_flops": LIMIT, **changes})
        write_retrained(tmp_path, search, 70.0)
    with pytest.raises(FigureUnavailableError, match="differ in epochs alone"):
        draw("epochs_against_k", tmp_path)


def test_found_architectures_are_drawn_once_with_what_they_reach(tmp_path: Path) -> None:
    arch = "k3e3,id,k3e3,id,id|" + ",".join(["1.0"] * 8)
    first = write_search(tmp_path, K=1, best={"arch": arch, "flops": 2e6, "params": 34_500})
    write_search(tmp_path, K=8, best={"arch": arch})
    for seed in range(2):
        write_retrained(tmp_path, first, 70.0 + seed, seed=seed)
    write_retrained(tmp_path, None, 66.0, arch=arch.replace("e3", "e6"))
    titles = [
        panel.get_title(loc="left").replace("\n", " ")
        for panel in draw("architectures", tmp_path).axes
    ]
    assert len(titles) == 2
    name = arch_id(load_searches(tmp_path).iloc[0], arch)
    assert titles[0] == (
        f"{name}: digits; one-shot, limits: none; K = 8 simplex, r_c, limits: none: "
        "2 MFLOPs, 0.0345 M parameters, top-1 70.50 % retrained"
    )
    assert "given: " in titles[1]
    assert titles[1].endswith("top-1 66.00 % retrained")


def test_what_was_not_retrained_has_its_accuracy_in_the_search(tmp_path: Path) -> None:
    write_search(tmp_path, best={"accuracy": 55.5})
    write_search(tmp_path, best={"true": 88.25}, **CELL)
    [row] = draw("architectures", tmp_path).axes
    assert row.get_title(loc="left").replace("\n", " ").endswith("55.50 % with shared weights")
    [cell] = draw("cells", tmp_path).axes
    assert cell.get_title().replace("\n", " ").endswith("true accuracy 88.25 %")


@pytest.mark.parametrize("name", ["search_progress", "front"])
def test_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    folder = write_search(tmp_path)
    (folder / "evaluated.csv").write_text("number,arch\n1,2\n")
    with pytest.raises(UserError, match=r"evaluated\.csv"):
        draw(name, tmp_path)
