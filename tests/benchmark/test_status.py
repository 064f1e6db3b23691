"""``benchmark.status``: the state of every piece of work, in a second, without writing anything."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.cli.errors import UserError
from benchmark.records.locks import Lock
from benchmark.status.command import lines, main
from benchmark.status.look import look

ROOT = Path(__file__).resolve().parent.parent.parent
PLACE = "digits/nasbench201/simplex-K8"


def made(results: Path, name: str, files: dict[str, str], kind: str = "supernets") -> Path:
    folder = results / kind / PLACE / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"training": {"epochs": 40}}))
    for file, text in files.items():
        (folder / file).write_text(text)
    return folder


def test_each_state_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "seed0-a", {"record.json": "{}"})
    made(tmp_path, "seed1-a", {"record.json": '{"status": "diverged"}'})
    made(tmp_path, "seed2-a", {"record.json": '{"status": '})
    made(tmp_path, "seed3-a", {"log.jsonl": "{}\n{}\n"})
    running = made(tmp_path, "seed4-a", {"log.jsonl": "{}\n"})
    (tmp_path / "studies" / "table9-cpu").mkdir(parents=True)
    study = {"kind": "rank", "num_jobs": 150, "records": [{"kind": "records"}] * 43}
    (tmp_path / "studies" / "table9-cpu" / "study.json").write_text(json.dumps(study))
    lock = Lock(running)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    work = main(["--results", str(tmp_path)])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    states = ["done", "diverged", "damaged", "stopped", "running"]
    assert [one.state for one in work] == states
    shown = " ".join(capsys.readouterr().out.split())
    assert "study table9-cpu: 43 of 150 jobs done" in shown
    assert f"running: supernets/{PLACE}/seed4-a, epoch 1 of 40, process " in shown
    assert f"stopped: supernets/{PLACE}/seed3-a, epoch 2 of 40, last changed" in shown
    lock.release()
    assert [one.state for one in look(tmp_path)] == [*states[:4], "stopped"]
    main(["--results", str(tmp_path), "--json"])
    assert [one["state"] for one in json.loads(capsys.readouterr().out)] == [*states[:4], "stopped"]


def test_many_stopped_ones_are_counted_not_listed(tmp_path: Path) -> None:
    for seed in range(35):
        made(tmp_path, f"seed{seed}-a", {})
    shown = list(lines(look(tmp_path)))
    assert len(shown) == 31
    assert shown[-1] == "stopped: 5 more; --json has all"


def test_no_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder"):
        main(["--results", str(tmp_path / "nothing")])
    assert main(["--results", str(tmp_path)]) == []


def test_a_thousand_records_are_looked_at_within_a_second(tmp_path: Path) -> None:
    path = next(ROOT.glob("results/records/*/*/*/*/record.json"))
    record = path.read_text(encoding="utf-8")
    for seed in range(1000):
        made(tmp_path, f"seed{seed}-a", {"record.json": record}, "records")
    started, used = time.monotonic(), time.process_time()
    assert {one.state for one in look(tmp_path)} == {"done"}
    # Of this process, whatever else the machine does.
    assert time.process_time() - used < 1
    assert time.monotonic() - started < 30


def test_it_starts_without_the_heavy_packages() -> None:
    code = (
        "import sys, benchmark.status.command; "
        "print([name for name in ('torch', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
