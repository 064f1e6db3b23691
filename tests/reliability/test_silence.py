"""Nothing wrong in silence: records that do not belong together, and jobs that diverged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from runs import write_truth
from synthetic import write_run

from benchmark.cli.errors import UserError
from benchmark.config.run import RunConfig
from benchmark.records.environment import commit
from benchmark.records.files import sha256
from benchmark.records.load import load_records
from benchmark.run.known import check_known
from benchmark.run.own import notes
from benchmark.study.file import load_study, write_study
from benchmark.study.jobs import jobs_of
from benchmark.study.page import page
from benchmark.study.studies import STUDIES
from benchmark.train.setup import Places

TABLE9 = STUDIES["table9"]
HERE = {
    "processor": "A", "device": "cpu", "system": "Linux", "python": "3.11.7", "torch": "2.6.0",
    "numpy": "2.0.0", "commit": "abc",
}  # fmt: skip


def changed(folder: Path, **entries: Any) -> None:
    path = folder / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def finished(results: Path) -> dict[str, Path]:
    """Runs of two rows of a study, alike in all but their row."""
    jobs = [job for job in jobs_of(TABLE9, "tiny") if job.row in ("K1", "K8")]
    found = {job.row: write_run(results, job.config.flat()) for job in jobs}
    for folder in found.values():
        changed(folder, environment=HERE, data={"images_sha256": "1" * 64})
    return found


def page_of(results: Path) -> tuple[str, Any]:
    """A study's page, its tables among it and no figure drawn, and the study."""
    data = load_study(write_study(results, TABLE9, "tiny"))
    tables = {one.name: one.build(data) for one in TABLE9.tables}
    return page(data, tables, {one.name: "" for one in TABLE9.figures}), data


OTHERS = {
    "processor": ({"environment": {**HERE, "processor": "B"}}, "processor A (1), B (1)"),
    "device": ({"environment": {**HERE, "device": "cuda"}}, "device cpu (1), cuda (1)"),
    "torch": ({"environment": {**HERE, "torch": "2.7.0"}}, "torch 2.6.0 (1), 2.7.0 (1)"),
    "commit": ({"environment": {**HERE, "commit": "xyz"}}, "commit abc (1), xyz (1)"),
    "images": ({"data": {"images_sha256": "2" * 64}}, "the images of digits (2 different files)"),
    "truth": (
        {"truth": {"column": "digits/valid/10ep/mean", "file": "t", "sha256": "3" * 64}},
        "the truth of digits (2 different files)",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_study_says_above_its_table_what_its_records_disagree_in(
    what: str, tmp_path: Path
) -> None:
    folders = finished(tmp_path)
    assert "disagree" not in page_of(tmp_path)[0]
    entries, told = OTHERS[what]
    changed(folders["K8"], **entries)
    shown, _ = page_of(tmp_path)
    assert f"**Records disagree in** {told}." in shown
    assert shown.index("Records disagree") < shown.index("| K")


def test_a_diverged_job_is_in_no_mean_and_counted_above_the_table(tmp_path: Path) -> None:
    folders = finished(tmp_path)
    _, data = page_of(tmp_path)
    before = TABLE9.tables[0].build(data).set_index("name")
    assert (before.loc["K = 1", "n"], before.loc["K = 8", "n"]) == (1, 1)
    changed(folders["K8"], status="diverged", why="weight_loss is nan")
    shown, data = page_of(tmp_path)
    told = "**Diverged, and in no mean:** 1 jobs: K8 (seed 0)."
    assert shown.index(told) < shown.index("| K")
    after = TABLE9.tables[0].build(data).set_index("name")
    assert (after.loc["K = 1", "n"], after.loc["K = 8", "n"]) == (1, 0)


def test_a_program_of_runs_says_what_its_records_disagree_in(tmp_path: Path) -> None:
    folders = finished(tmp_path)
    here = commit()
    if here == "unknown":
        pytest.skip("the commit of this code is not known here")
    assert notes(load_records(tmp_path), 3) == [
        "1 of 3 runs diverged, and are in no mean",
        f"records of commit abc; this code is {here}",
    ]
    changed(folders["K1"], environment={**HERE, "numpy": "1.26"})
    assert "records disagree in numpy 1.26 (1), 2.0.0 (1)" in notes(load_records(tmp_path), 2)


def test_a_record_of_other_files_is_not_taken_for_one_of_these(tmp_path: Path) -> None:
    (job,) = (job for job in jobs_of(TABLE9, "tiny") if job.row == "K1")
    config = job.config
    assert isinstance(config, RunConfig)
    folder, truth = finished(tmp_path)["K1"], write_truth(tmp_path / "truth.csv")
    table = {"column": "digits/valid/10ep/mean", "file": "t", "sha256": sha256(truth)}
    changed(folder, truth=table)
    places = Places(tmp_path)
    check_known([config], places, "1" * 64, truth)
    with pytest.raises(UserError, match=r"other images than these .*111111111111, here 2222222222"):
        check_known([config], places, "2" * 64, truth)
    changed(folder, truth={**table, "sha256": "4" * 64})
    with pytest.raises(UserError, match=r"another truth table than .*444444444444, here"):
        check_known([config], places, "1" * 64, truth)
