"""Processes that work together stop together, though one alone was asked to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import ranks

from benchmark.records.sealed import load_tensors

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LINE = "stopped; the same command goes on from the last checkpoint\n"
IN_CI = ["training", "scoring", "retraining"]
SAVED = {
    # Asked in the eleventh step of ten an epoch, told after the sixteenth.
    "training": {"batches": 6},
    "simplex step": {"batches": 6},
    # All of the first generation, and one architecture by each process.
    "scoring": {"scored": 5 + 2},
    "scoring by the first": {"scored": 5 + 2},
    "a text": {"batches": 8},
    "retraining": {"batches": 8},
}


def environment() -> dict[str, str]:
    places = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "benchmark")))
    return {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    nightly = "nightly" in request.config.option.markexpr
    done = subprocess.run(
        [
            sys.executable,
            HERE / "ranks.py",
            tmp_path_factory.mktemp("ranks"),
            ",".join(one for one in SAVED if (one in IN_CI) != nightly),
        ],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[] if one in IN_CI else pytest.mark.nightly) for one in SAVED]
)
def test_a_signal_to_one_process_stops_all_after_one_step_and_they_go_on_to_the_same_bytes(
    name: str, told: Any
) -> None:
    found = told[name]
    code = 128 + ranks.SCENARIOS[name].sent
    assert found["codes"] == [code, code], found["errors"]
    assert found["errors"][0].endswith(LINE)
    assert found["errors"][1] == "", "one line is enough"
    assert found["saved"] == SAVED[name]
    assert found["resumed"][0] == [0, 0], found["resumed"]
    assert len(found["files"]) >= 2
    assert found["differing"] == []


@pytest.mark.nightly
def test_torchrun_hands_a_signal_on_and_waits_until_the_state_is_saved(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "benchmark.search", *ranks.SEARCH, "--epochs", "40"]
    command += ["--checkpoint-seconds", "0", "--results", str(tmp_path)]
    pattern = "supernets/*/*/*/*/checkpoint.safetensors"
    program = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob(pattern)) and time.monotonic() < deadline:
        time.sleep(0.05)
    program.send_signal(signal.SIGTERM)
    _, told = program.communicate(timeout=120)
    assert told.count(LINE) == 1, told
    (checkpoint,) = tmp_path.glob(pattern)
    state, _ = load_tensors(checkpoint)
    assert 0 < int(state["counts"][0]) < 40
    assert int(state["pass/batches/num_done"]) > 0, "saved in the middle of an epoch"
    assert not list(tmp_path.rglob(".lock*"))
    assert subprocess.run(command, env=environment(), check=False).returncode == 0
    assert len(list(tmp_path.glob("searches/*/*/*/*/record.json"))) == 1
