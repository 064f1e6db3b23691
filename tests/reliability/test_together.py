"""Processes that were started on the same study and folder share its jobs; each is done once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from together import STUDY

from benchmark.study.jobs import finished, jobs_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("num", [pytest.param(8, marks=pytest.mark.nightly), 3])
def test_each_job_of_a_study_is_done_exactly_once(num: int, tmp_path: Path) -> None:
    places = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "benchmark", HERE)))
    done = subprocess.run(
        [sys.executable, HERE / "together.py", tmp_path, str(num)],
        env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    lines = json.loads(done.stdout)
    folders = [folder for _, folder in lines]
    sys.stdout.write(f"{len(folders)} jobs by {len({who for who, _ in lines})} of {num} processes")
    assert len(set(folders)) == len(folders), "a job was done twice"
    jobs = jobs_of(STUDY, "tiny")
    # A training and a ranking each.
    assert len(folders) == 2 * len(jobs)
    assert all(finished(tmp_path / "results", job.config) is not None for job in jobs)
    assert len({who for who, _ in lines}) > 1
    assert not list((tmp_path / "results").rglob(".*"))
