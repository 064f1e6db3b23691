"""Figures: drawn without pyplot, labelled, and clear about what they cannot show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from synthetic import write_records

import benchmark
from benchmark.cli.errors import UserError
from benchmark.records.load import load_records
from benchmark.views import figures
from benchmark.views.figures import FIGURES, FigureUnavailableError, Plot
from benchmark.views.figures._labels import MAX_LABEL, labels, wrapped

# Those of runs; the others have tests of their own.
OF_RUNS = [name for name, draw in FIGURES.items() if not isinstance(draw, Plot)]
MANY = {
    "sampler": "balanced",
    "batch_norm": "running",
    "hidden": 128,
    "learning_rate": 0.05,
    "score_images": 1000,
    "simplex_learning_rate": 1e-4,
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_records(tmp_path, copies=(1, 2, 8), num_seeds=2)
    write_records(tmp_path, copies=(8,), num_seeds=1, sharing="fixed")
    write_records(tmp_path, copies=(8,), num_seeds=1, datasets=("cifar10",))
    return tmp_path


@pytest.fixture
def records(results: Path) -> pd.DataFrame:
    return load_records(results)


def legend(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.legends[0].get_texts()}


def test_every_figure_file_is_registered() -> None:
    folder = Path(figures.__file__).parent
    assert set(FIGURES) == {path.stem for path in folder.glob("[!_]*.py")}


@pytest.mark.parametrize("name", OF_RUNS)
def test_every_panel_has_labels_a_title_and_something_in_it(
    records: pd.DataFrame, name: str
) -> None:
    figure = FIGURES[name](records)
    assert figure.axes
    for panel in figure.axes:
        assert panel.get_xlabel()
        assert panel.get_ylabel()
        assert "archs" in panel.get_title()
        assert panel.has_data()


def test_figures_do_not_touch_pyplot() -> None:
    """Its global state would leak from a figure into a user's session."""
    package = Path(benchmark.__file__).parent
    for path in package.rglob("*.py"):
        assert "pyplot" not in path.read_text(encoding="utf-8"), path


def test_tau_against_k_shows_paper_controls_and_ceiling(records: pd.DataFrame) -> None:
    assert legend(FIGURES["tau_against_k"](records)) == {
        "simplex",
        "fixed",
        "paper (table 9)",
        "control: parameters",
        "control: FLOPs",
        "control: live convolutions",
        "ceiling: two truth seeds",
    }


def test_protocols_have_lines_of_their_own(results: Path) -> None:
    write_records(results, copies=(1, 8), num_seeds=1, sampler="balanced")
    labels = legend(FIGURES["tau_against_k"](load_records(results)))
    assert {"simplex, sampler uniform", "simplex, sampler balanced"} <= labels


def test_labels_are_spelt_out_while_short_and_numbered_else() -> None:
    protocols = [{"epochs": "4", "hidden": "", "seen": "–"}, {"epochs": "8", "hidden": "16"}]
    short = labels(["a", "b"], protocols, ["epochs", "hidden", "seen"])
    assert short.names == ("a, epochs 4", "b, epochs 8, hidden 16")
    assert short.key == ()
    long = labels(["a", "b" * MAX_LABEL, "c"], [*protocols, protocols[0]], ["epochs", "hidden"])
    assert long.names == ("a [1]", "b" * MAX_LABEL + " [2]", "c [1]")
    assert long.key == ("[1] epochs 4", "[2] epochs 8, hidden 16")
    assert labels([], [], []).names == ()


def test_wrapped_text_keeps_its_words() -> None:
    text = "simplex, " * 20
    lines = wrapped(text, 3.0).splitlines()
    assert " ".join(lines) == text.strip()
    assert max(map(len, lines)) <= 3.0 * 72 / 6.2


@pytest.mark.parametrize("name", OF_RUNS)
def test_text_does_not_overlap_where_runs_differ_in_many_settings(results: Path, name: str) -> None:
    write_records(results, copies=(1, 8), num_seeds=1, datasets=("imagenet16-120",), **MANY)
    write_records(results, copies=(1, 8), num_seeds=1, **MANY)
    drawing = FIGURES[name](load_records(results))
    drawing.draw_without_rendering()
    titles = [panel.title.get_window_extent() for panel in drawing.axes]
    others = [panel.get_window_extent() for panel in drawing.axes]
    for place, title in enumerate(titles):
        assert title.x0 >= 0
        assert title.x1 <= drawing.bbox.x1
        assert not any(title.overlaps(other) for other in titles[:place])
        assert not any(title.overlaps(other) for other in others)
    legend = drawing.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= drawing.bbox.x1
    assert not any(legend.overlaps(other) for other in others)
    assert "batch norm running, hidden 128" in drawing.legends[0].get_title().get_text()


def test_codes_need_a_run_with_several_copies(tmp_path: Path) -> None:
    write_records(tmp_path, copies=(1,), num_seeds=1)
    with pytest.raises(FigureUnavailableError, match="K > 1"):
        FIGURES["codes"](load_records(tmp_path))


def test_codes_of_the_wrong_width_are_an_error(results: Path) -> None:
    for path in results.glob("records/digits/*/simplex-K8/*/codes.npy"):
        np.save(path, np.ones((5, 3), dtype=np.float32))
    with pytest.raises(UserError, match="K = 8 columns, got 3"):
        FIGURES["codes"](load_records(results))


def test_scatter_needs_predictions(results: Path, records: pd.DataFrame) -> None:
    for path in results.glob("records/*/*/*/*/predictions.npy"):
        path.unlink()
    with pytest.raises(FigureUnavailableError, match="predictions"):
        FIGURES["predicted_against_true"](records)


def test_tau_over_epochs_needs_a_log_with_tau(results: Path, records: pd.DataFrame) -> None:
    for path in results.glob("records/*/*/*/*/log.jsonl"):
        path.write_text('{"epoch": 1, "weight_loss": 2.0}\n')
    with pytest.raises(FigureUnavailableError, match=r"log\.jsonl"):
        FIGURES["tau_over_epochs"](records)


def test_undefined_tau_everywhere_cannot_be_drawn(records: pd.DataFrame) -> None:
    with pytest.raises(FigureUnavailableError, match="undefined"):
        FIGURES["tau_against_k"](records.assign(**{"metrics.kendall_tau_b": None}))
