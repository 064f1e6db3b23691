"""The published table of recurrent cells: small files of its format, and the whole one."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchmark.cli.errors import UserError
from benchmark.truth.command import main as truth_command
from benchmark.truth.importers import import_truth
from benchmark.truth.table import TruthTable, cached_truth
from kshot_core.metrics.correlation import kendall_tau_b, spearman
from kshot_core.space import Arch
from kshot_core.spaces import DARTSPTB

SPACE = DARTSPTB()
VALID, TEST = "penn-treebank/valid/3000ep", "penn-treebank/test/3000ep"


def cell(arch: Arch) -> dict[str, int]:
    activations, sources = (arch[0], *arch[1::2]), (0, *arch[2::2])
    found = {f"act/{step}": choice for step, choice in enumerate(activations)}
    return found | {f"switch/{step}": source for step, source in enumerate(sources)}


def write(path: Path, cells: list[dict[str, int]], first: float = 60.0) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["architecture", "valid_ppl", "test_ppl"])
        for at, one in enumerate(cells):
            writer.writerow([json.dumps(one), first + 30 * at, first + 30 * at - 2])
    return path


def archs(num: int) -> list[Arch]:
    generator = Random(0)
    return [SPACE.sample(generator) for _ in range(num)]


def test_the_table_and_its_further_seed_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    chosen = archs(4)
    source = write(tmp_path / "ptb.csv", [cell(arch) for arch in chosen])
    write(tmp_path / "ptb-seed43.csv", [cell(arch) for arch in chosen[:2]], first=61.0)
    table = truth_command(["import", str(source)])
    assert table.path == cached_truth("darts_ptb")
    assert type(table.space) is DARTSPTB
    texts = [SPACE.to_string(arch) for arch in chosen]
    # Perplexities are stored as they are, whatever their size.
    assert table.column(f"{VALID}/seed42")[texts].tolist() == [60, 90, 120, 150]
    assert table.column(f"{VALID}/seed43")[texts[:2]].tolist() == [61, 91]
    assert table.column(f"{VALID}/mean")[texts].tolist() == [60.5, 90.5, 120, 150]
    assert table.column(f"{TEST}/mean")[texts[3]] == 148
    assert TruthTable.load(cached_truth("darts_ptb")).frame.equals(table.frame)


def test_the_best_cell_shown_is_that_of_the_lowest_perplexity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = archs(3)
    table = import_truth(write(tmp_path / "ptb.csv", [cell(arch) for arch in chosen])).table
    table.save(tmp_path / "truth.csv")
    truth_command(["show", str(tmp_path / "truth.csv")])
    said = capsys.readouterr().out
    assert "perplexity" in said
    best = said.partition("the best archs")[2]
    assert SPACE.to_string(chosen[0]) in best
    assert SPACE.to_string(chosen[1]) not in best


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"act/2": 4}, r"line 2: no recurrent cell \(tuple index"),
        ({"act/2": -1}, "a choice is a number from 0 on, got -1"),
        ({"act/2": 1.5}, "a choice is a number from 0 on, got 1.5"),
        ({"switch/2": 3}, r"the choice at site 4 is 0\.\.2, got 3"),
        ({"switch/0": 1}, "the first step reads state 0, got 1"),
        ({"act/8": 1}, "choices named act/0 to switch/7"),
    ],
)
def test_a_row_of_another_cell_is_named(tmp_path: Path, change: dict[str, int], said: str) -> None:
    source = write(tmp_path / "ptb.csv", [cell(archs(1)[0]) | change])
    with pytest.raises(UserError, match=said):
        import_truth(source)


def test_a_table_cut_short_or_twice_the_same_row(tmp_path: Path) -> None:
    one = cell(archs(1)[0])
    with pytest.raises(UserError, match="line 3: this cell was there before"):
        import_truth(write(tmp_path / "ptb.csv", [one, one]))
    source = write(tmp_path / "cut.csv", [one])
    source.write_text(source.read_text().replace("60.0", "sixty"))
    with pytest.raises(UserError, match="valid_ppl should be a number, got 'sixty'"):
        import_truth(source)
    source = write(tmp_path / "low.csv", [one], first=0.5)
    with pytest.raises(UserError, match="are not perplexity of 1 to inf"):
        import_truth(source)


def test_the_real_tables(shared_file: Callable[[str], Path]) -> None:
    source = shared_file("five_spaces/ptb.csv")
    table = import_truth(source).table
    assert len(table.frame) >= 137
    first, second = table.both(f"{VALID}/seed42", f"{VALID}/seed43")
    assert len(first) == 93
    assert kendall_tau_b(first, second) == pytest.approx(0.715, abs=5e-4)
    assert spearman(first, second) == pytest.approx(0.880, abs=5e-4)
