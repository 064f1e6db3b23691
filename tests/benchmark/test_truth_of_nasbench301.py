"""NAS-Bench-301's surrogate, by a stand-in for its package with the published one's interface."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from test_five_spaces_truth import drawn, write

from benchmark.cli.errors import UserError
from benchmark.truth.command import main as truth_command
from benchmark.truth.nasbench301 import COLUMN
from benchmark.truth.table import TruthTable
from kshot_core.spaces import DARTS

SPACE = DARTS()
ARCHS = drawn(6)
# An accuracy by the operations of the genotype alone, weighted by where they stand.
WORTH = {"sep_conv_3x3": 3.0, "sep_conv_5x5": 2.5, "dil_conv_3x3": 1.5, "skip_connect": 0.5}


class Surrogate:
    """What ``load_ensemble`` returns: takes DARTS's named tuple, and answers with numpy's floats.

    It converts a genotype as the package does: by the names of edges and inputs.
    """

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def predict(self, config: Any, representation: str, with_noise: bool = True) -> float:
        assert (representation, with_noise) == ("genotype", False)
        total, first = self.shift, {2: 0, 3: 2, 4: 5, 5: 9}
        for name in ("normal", "reduce"):
            assert list(getattr(config, f"{name}_concat")) == [2, 3, 4, 5]
            edges = getattr(config, name)
            for node, start in first.items():
                for operation, source in edges[2 * (node - 2) : 2 * (node - 1)]:
                    assert 0 <= source < node
                    total += WORTH.get(operation, 0.0) / (start + source + 1)
        return total


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package, installed: an ensemble says in its folder what it adds to every cell."""
    module = ModuleType("nasbench301")

    def load_ensemble(folder: str) -> Surrogate:
        member = next(Path(folder).rglob("*surrogate_model.model")).parent
        return Surrogate(json.loads((member / "model_config.json").read_text())["shift"])

    module.load_ensemble = load_ensemble  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nasbench301", module)
    return module


def ensemble(folder: Path, shift: float = 80.0) -> Path:
    member = folder / "0"
    member.mkdir(parents=True)
    (member / "surrogate_model.model").write_bytes(b"")
    (member / "model_config.json").write_text(json.dumps({"shift": shift}))
    return folder


@pytest.fixture
def archs(tmp_path: Path) -> Path:
    rows: list[dict[str, object]] = [{"arch": SPACE.to_string(arch), "x": 1} for arch in ARCHS]
    return write(tmp_path / "cells.csv", rows)


def worth(arch: tuple[int, ...]) -> float:
    """The stand-in's accuracy, from our own reading of the choices."""
    total, start = 80.0, {2: 1, 3: 3, 4: 6, 5: 10}
    for cell in SPACE.cells(arch):
        for node, edges in enumerate(cell, start=2):
            for source, choice in edges:
                operation = ("max", "avg", "skip_connect", "sep_conv_3x3", "sep_conv_5x5",
                             "dil_conv_3x3", "dil_conv_5x5")[choice]  # fmt: skip
                total += WORTH.get(operation, 0.0) / (start[node] + source)
    return total


@pytest.mark.usefixtures("package")
def test_the_surrogate_is_asked_for_each_cell_without_noise(tmp_path: Path, archs: Path) -> None:
    folder, to = ensemble(tmp_path / "xgb_v1.0"), tmp_path / "truth.csv"
    given = ["import", str(folder), "--archs", str(archs), "--to", str(to), "--trust"]
    truth_command(given)
    table = TruthTable.load(to)
    assert [str(column) for column in table.columns()] == [str(COLUMN)]
    assert table.space.name == "darts"
    values = table.column(COLUMN)
    assert len(values) == len(ARCHS)
    for arch in ARCHS:
        assert values[SPACE.to_string(arch)] == pytest.approx(worth(arch), abs=1e-6)
    assert len(set(values)) == len(ARCHS)
    # The table names its cells, so that it can be asked for again.
    again = tmp_path / "again.csv"
    truth_command(["import", str(folder), "--archs", str(to), "--to", str(again), "--trust"])
    assert again.read_bytes() == to.read_bytes()


@pytest.mark.usefixtures("package")
def test_without_a_place_it_goes_where_runs_of_darts_look(
    tmp_path: Path, archs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table = truth_command(
        ["import", str(ensemble(tmp_path / "xgb")), "--archs", str(archs), "--trust"]
    )
    assert table.path is not None
    assert table.path.name == "darts_truth.csv.xz"


def refused(given: list[str], message: str, to: Path) -> None:
    with pytest.raises(UserError, match=message) as error:
        truth_command(["import", *given, "--to", str(to)])
    assert "\n" not in str(error.value)
    assert not to.exists()


def test_where_the_package_is_not_installed_one_line_says_so(
    tmp_path: Path, archs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nasbench301", None)
    folder, to = str(ensemble(tmp_path / "xgb")), tmp_path / "truth.csv"
    refused([folder, "--archs", str(archs), "--trust"], "pip install nasbench301", to)


@pytest.mark.usefixtures("package")
def test_what_cannot_be_asked_for_is_one_line(tmp_path: Path, archs: Path) -> None:
    folder, to = str(ensemble(tmp_path / "xgb")), tmp_path / "truth.csv"
    good = ["--archs", str(archs), "--trust"]
    refused([folder, "--archs", str(archs)], "unpickling.*--trust", to)
    refused([folder, "--trust"], r"say which with --archs FILE\.csv", to)
    refused([str(archs), *good], "--archs is what a surrogate is asked for", to)
    refused([folder, *good, "--column", "a=b"], "--column renames columns of a CSV", to)
    slow = ensemble(tmp_path / "lgb_runtime", shift=5000.0)
    refused([str(slow), *good], "no accuracy in percent; is it a surrogate of runtimes", to)
    broken = ensemble(tmp_path / "broken")
    (broken / "0" / "model_config.json").write_text("{}")
    refused([str(broken), *good], "cannot ask .*KeyError.*is the folder whole", to)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"arch": "k3e3,id"}], "line 2: a DARTS architecture reads Genotype"),
        ([{"arch": SPACE.to_string((7, *ARCHS[0][1:]))}], "line 2: a space without its zero"),
        ([{"arch": SPACE.to_string(ARCHS[0])}] * 2, "line 3: this cell was there in line 2"),
        ([{"name": "x"}], "needs a column arch"),
    ],
)
def test_cells_of_another_space_are_refused(
    rows: list[dict[str, object]], message: str, tmp_path: Path
) -> None:
    folder, archs = ensemble(tmp_path / "xgb"), write(tmp_path / "cells.csv", rows)
    refused([str(folder), "--archs", str(archs), "--trust"], message, tmp_path / "truth.csv")
