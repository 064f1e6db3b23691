"""Any space with a truth table is ranked, from the import of the table to the record."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import run_tiny, tiny

from benchmark.cli.errors import UserError
from benchmark.records.load import load_predictions
from benchmark.truth.command import main as truth_command
from benchmark.truth.table import TruthTable, cached_truth, find_truth
from kshot_core.spaces import NASBenchMacro

SPACE = NASBenchMacro()
COLUMN = "digits/valid/50ep"
NUM = 12
NARROW = {"space": "nasbench_macro", "stem": 4, "head": 8}


def write_source(path: Path) -> Path:
    """A table in the layout of the benchmark's, its rows in another order."""
    indices = [(397 * place) % 6561 for place in range(NUM)]
    lines = [f"arch,{COLUMN}/seed0,{COLUMN}/seed1,{COLUMN}/mean,params,flops"]
    for index in indices:
        arch = SPACE.from_index(index)
        value = 40 + 3.0 * SPACE.num_convolutions(arch) + index % 7
        cost = f"{SPACE.params(arch)},{SPACE.flops(arch):.0f}"
        lines.append(f"{SPACE.to_string(arch)},{value + 0.5},{value - 0.5},{value},{cost}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_csv_of_another_space_is_imported_to_a_place_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KSHOT_TRUTH", str(tmp_path / "of_another_space.csv"))
    with pytest.raises(
        UserError,
        match=r"no truth table of nasbench_macro for cifar10 at .*--truth nasbench_macro=FILE",
    ):
        find_truth("cifar10", None, "nasbench_macro")
    table = truth_command(["import", str(write_source(tmp_path / "macro.csv"))])
    place = find_truth("cifar10", None, "nasbench_macro")
    assert place == cached_truth("nasbench_macro") != cached_truth()
    assert table.space == SPACE
    # In the order of the space, and without the costs.
    assert list(table.frame.index) == sorted(table.frame.index)
    assert list(table.frame.columns) == [f"{COLUMN}/{run}" for run in ("seed0", "seed1", "mean")]
    assert truth_command(["show", str(place)]).space == SPACE


def test_it_is_ranked_with_controls_and_seed_agreement(tmp_path: Path) -> None:
    truth = write_source(tmp_path / "truth.csv")
    plain = TruthTable.load(truth_without_costs(truth))
    assert plain.path is not None
    record = run_tiny(tiny(**NARROW), tmp_path, plain.path)
    (folder,) = tmp_path.glob("records/digits/nasbench_macro/simplex-K3/*")
    predictions = load_predictions(folder)
    assert predictions["index"].tolist() == sorted((397 * place) % 6561 for place in range(NUM))
    for index, true in zip(predictions["index"], predictions["true"], strict=True):
        arch = SPACE.from_index(int(index))
        assert true == 40 + 3 * SPACE.num_convolutions(arch) + index % 7
    assert set(record["controls"]) == {"params", "flops", "live_convolutions"}
    # The made-up truth is most of all a count of layers.
    assert record["controls"]["live_convolutions"]["kendall_tau_b"] > 0.3
    assert record["ceiling"]["kendall_tau_b"] == pytest.approx(1)
    assert record["truth"]["column"] == f"{COLUMN}/mean"
    assert run_tiny(tiny(**NARROW), tmp_path, plain.path) == record


def test_a_table_of_another_space_is_refused_by_name(tmp_path: Path) -> None:
    truth = truth_without_costs(write_source(tmp_path / "truth.csv"))
    with pytest.raises(UserError, match=r"12 rows are no nasbench201 arch like \|\w+~0"):
        run_tiny(tiny(), tmp_path, truth)


def truth_without_costs(source: Path) -> Path:
    """The source as a truth table."""
    to = source.with_name("imported.csv")
    truth_command(["import", str(source), "--to", str(to)])
    return to
