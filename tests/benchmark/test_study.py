"""Studies: what is missing is run, what is done is not, and pages are functions of records."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from synthetic import write_run

from benchmark.cli.errors import UserError
from benchmark.records.sealed import write_record
from benchmark.report.command import build_report
from benchmark.study import write
from benchmark.study.command import main, plan_lines
from benchmark.study.common import common, effective
from benchmark.study.cost import seconds_of
from benchmark.study.definition import Study
from benchmark.study.file import load_study, write_study
from benchmark.study.jobs import Job, finished, jobs_of
from benchmark.study.paired import Difference
from benchmark.study.plan import plan
from benchmark.study.studies import STUDIES
from benchmark.study.write import write_all
from benchmark.views.ranks import best_control, each_by_loss

TABLE9 = STUDIES["table9"]


def made(results: Path, names: tuple[str, ...], study: Study = TABLE9) -> None:
    """Finished runs of some rows at scale tiny."""
    for job in jobs_of(study, "tiny"):
        if job.row in names:
            write_run(results, job.config.flat())


def test_every_job_of_every_study_has_settings_that_work() -> None:
    for study in STUDIES.values():
        for scale in study.sizes:
            jobs = jobs_of(study, scale)
            assert jobs, (study.name, scale)
            rows = {row.name for row in study.rows}
            assert {job.row for job in jobs} <= rows
    # Five K, ten seeds, three data sets.
    assert len(jobs_of(TABLE9, "paper")) == 150


def test_a_job_is_done_where_its_record_lies_whatever_its_folder_is_called(tmp_path: Path) -> None:
    job = jobs_of(TABLE9, "tiny")[0]
    assert finished(tmp_path, job.config) is None
    folder = write_run(tmp_path, job.config.flat())
    assert folder != tmp_path / job.run.place()
    assert finished(tmp_path, job.config) == folder
    other = job.run.changed(epochs=2)
    assert finished(tmp_path, other) is None
    # A record from before a setting was added is of that setting's default.
    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    del values["width_distance"]
    path.write_text(json.dumps(values), encoding="utf-8")
    assert finished(tmp_path, job.config) == folder
    assert finished(tmp_path, job.run.changed(width_distance=0.9)) is None


def test_common_settings_are_those_of_parts_that_were_run() -> None:
    jobs = {job.row: job.run for job in jobs_of(TABLE9, "tiny")}
    one, eight = effective(jobs["K1"]), effective(jobs["K8"])
    assert "simplex_every" in eight
    assert not {"simplex_every", "warmup_epochs", "few_shot_edge"} & one.keys()
    assert not {"stages", "factors", "jitter", "seed", "preset"} & (one.keys() | eight.keys())
    shared = common(jobs.values())
    assert shared["epochs"] == 1
    # Known where it has an effect, though K = 1 has none of it.
    assert shared["simplex_every"] == 4
    assert not {"K", "sharing"} & shared.keys()


def test_a_page_says_what_has_no_run_and_names_only_its_own_records(tmp_path: Path) -> None:
    made(tmp_path, ("K1", "K8"))
    write_run(tmp_path, {"dataset": "digits", "K": 2, "sharing": "simplex", "seed": 7})
    path = write_study(tmp_path, TABLE9, "tiny")
    listed = json.loads(path.read_text(encoding="utf-8"))
    assert [entry["row"] for entry in listed["records"]] == ["K1", "K8"]
    assert listed["question"] == TABLE9.question
    data = write_all(path)
    table = (path.parent / "table9.md").read_text(encoding="utf-8")
    assert table.count("no run") == 3
    assert "seed agreement" in table
    values = TABLE9.tables[0].build(data).set_index("name")
    recorded = data.runs.set_index("row")["metrics.kendall_tau_b"]
    assert values.loc["K = 8", "tau"] == pytest.approx(100 * recorded["K8"])
    # The made-up loss falls where the accuracy rises.
    assert values.loc["K = 8", "tau_by_loss"] == pytest.approx(100 * recorded["K8"], abs=0.1)
    assert values.loc["K = 2", "n"] == 0
    page = (path.parent / "README.md").read_text(encoding="utf-8")
    assert TABLE9.question in page
    assert TABLE9.answer(data) in page
    assert "python -m benchmark.study table9 --scale tiny" in page


def test_the_default_is_compared_with_the_best_count_by_both_scores(tmp_path: Path) -> None:
    study = STUDIES["default"]
    for job in jobs_of(study, "cpu"):
        if job.row == "K1":
            write_run(tmp_path, job.config.flat())
    data = load_study(write_study(tmp_path, study, "cpu"))
    name, tau = best_control(data.runs) or ("", math.nan)
    by_accuracy = Difference.of(100 * data.runs["metrics.kendall_tau_b"], 100 * tau)
    by_loss = Difference.of(100 * each_by_loss(data.runs), 100 * tau)
    assert by_accuracy.num == by_loss.num == 5
    assert data.answer.startswith(
        f"K = 1 less counting {name}: by −loss {by_loss.brief}, by accuracy {by_accuracy.brief}."
    )
    assert "K = 8 less" not in data.answer


def test_report_draws_again_only_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, ("K1", "K8"))
    path = write_study(tmp_path, TABLE9, "tiny")
    drawn: list[str] = []
    save = write.save_figure

    def counted(figure: object, target: Path) -> None:
        drawn.append(target.name)
        save(figure, target)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "save_figure", counted)
    build_report(tmp_path)
    assert "figure4.png" in drawn
    files = {file: file.read_bytes() for file in path.parent.iterdir()}
    drawn.clear()
    assert build_report(tmp_path) == [path.parent]
    assert drawn == []
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == files
    made(tmp_path, ("K2",))
    write_study(tmp_path, TABLE9, "tiny")
    build_report(tmp_path)
    assert "figure4.png" in drawn
    drawn.clear()
    (path.parent / "figure4.png").unlink()
    build_report(tmp_path)
    assert "figure4.png" in drawn
    assert TABLE9.question in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_plan_counts_what_is_done_and_scales_the_time_of_records(tmp_path: Path) -> None:
    steps = plan(TABLE9, "tiny", tmp_path)
    assert plan_lines(steps, 2)[-2:] == [
        "0 of 5 done",
        "no finished record like these says how long they take",
    ]
    made(tmp_path, ("K1", "K8"))
    steps = plan(TABLE9, "tiny", tmp_path)
    assert [step.state for step in steps] == ["done", "to do", "to do", "done", "to do"]
    # Made-up runs train 30 s and score 400 architectures in 8 s; a job scores 100.
    assert [step.seconds for step in steps if step.state == "to do"] == [pytest.approx(32.0)] * 3
    assert plan_lines(steps, 2)[-1] == (
        "about 48 s left with --jobs 2, on a machine like that of the records"
    )


def changed_record(folder: Path, **entries: object) -> None:
    path = folder / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries), encoding="utf-8")


@pytest.mark.parametrize(
    ("scale", "settings", "seconds"),
    [
        # Tiny trains on 30,000 images for an epoch and scores 100 architectures on 500 of them.
        ("tiny", {"train_images": 0, "epochs": 1, "score_images": 500}, 15 + 2),
        ("tiny", {"train_images": 0, "epochs": 10, "score_images": 0}, 1.5 + 8 * 500 / 20_000 / 4),
        ("tiny", {"train_images": 15_000, "epochs": 1, "score_images": 500}, 60 + 2),
        # As many images again are scored on while training: 10 times 40 architectures on 1,000.
        (
            "tiny",
            {"train_images": 30_000, "epochs": 10, "score_images": 1000, "track_every": 1,
             "track_archs": 40},
            3 + 8 * 50_000 / 800_000,
        ),
    ],
)  # fmt: skip
def test_plan_knows_how_many_images_all_of_them_are(
    scale: str, settings: dict[str, object], seconds: float, tmp_path: Path
) -> None:
    job = jobs_of(TABLE9, scale)[-1]
    folder = write_run(tmp_path, {**job.config.flat(), "seed": 1, **settings})
    split = "60000 scenes of 1200 digits to train, 20000 of the others"
    changed_record(folder, data={"split": split})
    steps = plan(TABLE9, scale, tmp_path)
    assert [step.seconds for step in steps] == [pytest.approx(seconds)] * 5


def test_plan_scales_by_pixels_and_takes_the_nearest_records(tmp_path: Path) -> None:
    job = jobs_of(TABLE9, "cpu")[-1]
    small = {**job.config.flat(), "image_size": 16, "score_images": 1000, "track_every": 0}
    data = {"split": "train + valid (25000 + 25000 images): cifar-split.txt"}
    run = job.run.changed(image_size=0, track_every=0, archs=400)
    near = Job(job.row, job.seed, run)
    assert seconds_of(tmp_path, near) is None
    changed_record(write_run(tmp_path, {**small, "seed": 1}), data=data)
    # 16 pixels a side instead of 32, the data set's own.
    assert seconds_of(tmp_path, near) == pytest.approx(4 * (30 + 8))
    shorter = {**small, "image_size": 0, "epochs": job.run.training.epochs // 2}
    changed_record(write_run(tmp_path, {**shorter, "seed": 1}), data=data)
    assert seconds_of(tmp_path, near) == pytest.approx(2 * 30 + 8)


def test_plan_does_not_try_again_what_diverged(tmp_path: Path) -> None:
    made(tmp_path, ("K1", "K8"))
    (folder,) = tmp_path.glob("records/*/*/*-K8/*")
    changed_record(folder, status="diverged", seconds=None)
    steps = plan(TABLE9, "tiny", tmp_path)
    assert [step.state for step in steps] == ["done", "to do", "to do", "diverged", "to do"]
    lines = plan_lines(steps, 2)
    assert lines[3] == "run K8, digits, seed 0: diverged"
    assert lines[-2] == "1 of 5 done, 1 diverged, not to be tried again"
    assert lines[-1].startswith("about 48 s left with --jobs 2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "table0"}, "of study 'table0'"),
        ({"records": [{"kind": "records"}]}, "list its records with kind, row, seed and folder"),
        (
            {"records": [{"kind": "records", "row": "K1", "seed": 0, "folder": "records/../.."}]},
            "leads out of",
        ),
        (
            {"records": [{"kind": "records", "row": "K1", "seed": 0, "folder": "records/gone"}]},
            "has no record; write it anew",
        ),
        (
            {"records": [{"kind": "records", "row": "K3", "seed": 0, "folder": "records/gone"}]},
            "has no row 'K3'",
        ),
    ],
)
def test_damaged_study_files_are_one_line(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = write_study(tmp_path, TABLE9, "tiny")
    values = json.loads(path.read_text(encoding="utf-8"))
    write_record(path, {k: v for k, v in (values | change).items() if k != "sha256"})
    with pytest.raises(UserError, match=message):
        load_study(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="is not valid JSON"):
        build_report(tmp_path)


def test_a_report_without_studies_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run one with python"):
        build_report(tmp_path)


def test_studies_are_listed_with_their_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) is None
    shown = " ".join(capsys.readouterr().out.split())
    for study in STUDIES.values():
        assert study.question in shown


@pytest.mark.slow
def test_a_study_runs_what_is_missing_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    size = TABLE9.size("tiny")
    smaller = dict(size.settings) | {"train_images": 500, "archs": 12, "score_images": 100}
    sizes = {"tiny": dataclasses.replace(size, settings=smaller, rows=("K1", "K2"))}
    study = dataclasses.replace(TABLE9, sizes=sizes)
    monkeypatch.setitem(STUDIES, "table9", study)
    options = ["table9", "--scale", "tiny", "--jobs", "1", "--results", str(tmp_path)]
    assert main([*options, "--dry-run"]) is None
    assert not any(tmp_path.iterdir())
    folder = main(options)
    assert folder == tmp_path / "studies" / "table9-tiny"
    records = sorted(tmp_path.glob("records/*/*/*/*/record.json"))
    assert len(records) == 2
    before = {path: path.stat().st_mtime_ns for path in records}
    # Pages of hundreds of records take minutes: they are asked for once, and then kept up to date.
    assert not (tmp_path / "site").exists()
    told = " ".join(capsys.readouterr().out.split())
    assert f"python -m benchmark.report --site --results {tmp_path}" in told
    (tmp_path / "site").mkdir()
    assert main(options) == folder
    assert (tmp_path / "site" / "index.html").is_file()
    assert {path: path.stat().st_mtime_ns for path in records} == before
    with pytest.raises(UserError, match="did you mean table9"):
        main(["tabel9"])
    with pytest.raises(UserError, match="--scale of table9 is one of tiny, got 'paper'"):
        main([*options[:2], "paper", *options[3:]])
