"""Killed by SIGKILL at any moment, a job resumes and ends with the bytes of one left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("num_kills", [5, pytest.param(50, marks=pytest.mark.nightly)])
def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(
    num_kills: int, tmp_path: Path
) -> None:
    places = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "benchmark")))
    done = subprocess.run(
        [sys.executable, HERE / "killer.py", tmp_path, str(num_kills), "0"],
        env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    sys.stdout.write(done.stdout)
    figures = json.loads(done.stdout)
    assert sum(figures["killed"].values()) >= num_kills
    assert figures["jobs"] >= 1
    assert figures["broken"] == 0
    assert figures["num_read"] > 0
