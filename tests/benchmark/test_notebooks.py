"""Every notebook runs from top to bottom on made-up records and is stored without outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import write_run

from benchmark.study.file import write_study
from benchmark.study.jobs import jobs_of
from benchmark.study.studies import STUDIES

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = STUDIES["table9"]
    for job in jobs_of(study, "tiny"):
        if job.row != "K12":
            write_run(tmp_path, job.config.flat())
    monkeypatch.setenv("KSHOT_STUDY", str(write_study(tmp_path, study, "tiny")))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # A user's own matplotlib or IPython settings must not decide whether this passes.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        # Long enough to see every step.
        cell.source = cell.source.replace("IMAGES = 4, 12_000", "IMAGES = 1, 1_500")
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    # Runs of one epoch have no tau over epochs.
    assert len(pictures) == {"first": 1, "ranking": 4}[path.stem]
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert printed.count("tau-b") == {"first": 4, "ranking": 0}[path.stem]
