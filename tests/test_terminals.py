"""Terminals without Unicode: every program ends with 0, and prints what the terminal has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from retrainings import SPACE_OPTIONS, write_arch
from runs import write_truth

ROOT = Path(__file__).resolve().parent.parent
TERMINALS = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
TRAINING = [
    "--epochs", "1", "--warmup-epochs", "0", "--batch-size", "50", "--train-images", "100",
    "--score-images", "50", "--score-batch-size", "50",
]  # fmt: skip
SEARCH = [*SPACE_OPTIONS, "--K", "2", "--num-groups", "2", "--population", "4"]
SEARCH += ["--generations", "1", "--parents", "2", "--max-flops", "12e3", *TRAINING]


def printed(terminal: str, program: str, *options: str) -> str:
    """What a program printed, which ended with 0, each byte a letter of the terminal's."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONIOENCODING"}
    environment |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200", **TERMINALS[terminal]}
    done = subprocess.run(
        [sys.executable, "-m", *program.split(), *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    # Bytes of file names that the C locale cannot read come out as they are.
    encoding = {"C locale": "utf-8"}.get(terminal, terminal)
    assert done.returncode == 0, done.stderr.decode(encoding)[-2000:]
    assert b"Traceback" not in done.stderr
    return done.stdout.decode(encoding)


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_truth(tmp_path_factory.mktemp("truth") / "truth.csv")


@pytest.mark.slow
def test_a_run_prints_the_table_of_its_own_runs(truth: Path, tmp_path: Path) -> None:
    options = ["--channels", "4", "--K", "1", "2", "--num-groups", "2", "--archs", "12"]
    options += ["--track-every", "0", "--jobs", "1", "--truth", str(truth), *TRAINING]
    results = tmp_path / "Ergebnisse λ"
    first = printed("C locale", "benchmark.run", *options, "--results", str(results))
    (one_shot,) = results.glob("records/*/*/one-shot*/*/record.json")
    tau = json.loads(one_shot.read_text(encoding="utf-8"))["metrics"]["kendall_tau_b"]
    row = f"| one-shot K=1 | {100 * tau:.1f} |"
    assert row in one_line(first)
    assert "| convolutions | " in one_line(first)
    assert "Ergebnisse λ/records/" in first
    # What else lies there is not printed.
    again = printed("latin-1", "benchmark.run", *options, "--K", "2", "--results", str(results))
    assert "simplex" in again
    assert "one-shot" not in again


@pytest.mark.slow
@pytest.mark.parametrize(
    ("terminal", "program", "name"),
    [("latin-1", "search", "résultats ?"), ("ascii", "pipeline", "r?sultats ?")],
)
def test_a_search_prints_what_it_found(
    terminal: str, program: str, name: str, tmp_path: Path
) -> None:
    results = tmp_path / "résultats λ"
    more = ["--retrain-epochs", "1", "--jobs", "1"] if program == "pipeline" else []
    shown = printed(terminal, f"benchmark.{program}", *SEARCH, *more, "--results", str(results))
    (found,) = results.rglob("arch.json")
    assert json.loads(found.read_text(encoding="utf-8"))["arch"] in "".join(shown.split())
    assert name in one_line(shown)


@pytest.mark.parametrize("terminal", ["ascii", "C locale"])
def test_studies_are_listed_and_planned(terminal: str, tmp_path: Path) -> None:
    listed = printed(terminal, "benchmark.study")
    assert "table2 (tiny, cpu, paper): How accurate is what K-shot search finds" in listed
    results = str(tmp_path / "λ")
    planned = printed(terminal, "benchmark.study", "table9", "--dry-run", "--results", results)
    assert "run K1, digits, seed 0: to do" in planned


@pytest.mark.slow
def test_a_retraining_prints_what_it_reached(tmp_path: Path) -> None:
    arch = write_arch(tmp_path / "λ.json")
    options = ["--arch", arch, "--epochs", "1", "--train-images", "100", "--test-images", "50"]
    shown = printed("ascii", "benchmark.retrain", *options, "--results", str(tmp_path / "λ"))
    (found,) = tmp_path.rglob("record.json")
    top1 = json.loads(found.read_text(encoding="utf-8"))["top1"]
    assert f"{top1:.2f} % top-1" in shown


@pytest.mark.slow
def test_truth_is_made_imported_and_shown(tmp_path: Path) -> None:
    made, copied = tmp_path / "λ.csv", tmp_path / "µ.csv"
    options = ["--to", str(made), "--archs", "2", "--seeds", "2", "--channels", "2", "--jobs", "1"]
    options += ["--epochs", "1", "--batch-size", "1000"]
    shown = printed("C locale", "benchmark.standalone", *options)
    assert "λ.csv: 2 architectures, 2 seeds each" in shown
    for terminal, letter in (("C locale", "µ"), ("ascii", "?")):
        options = ["import", str(made), "--to", str(copied), "--force"]
        shown = printed(terminal, "benchmark.truth", *options)
        assert f"{letter}.csv: 2 archs, 3 columns" in one_line(shown)
    shown = printed("ascii", "benchmark.truth", "show", str(copied))
    assert "digits/valid/1ep/mean" in shown
    assert "tau-b" in shown
