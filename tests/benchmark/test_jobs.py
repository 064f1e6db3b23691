"""Pieces of work in processes: all done, in time, and none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from benchmark.workers.jobs import run_all
from benchmark.workers.relay import Relay, Tell

PROGRAM = """
import os, sys, time
from pathlib import Path
from benchmark.workers.jobs import run_all
from benchmark.workers.relay import Relay

def work(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    with Relay(jobs=2) as relay:
        (Path(sys.argv[1]) / str(relay._manager._process.pid)).touch()
        list(run_all(work, [sys.argv[1]] * 2, jobs=2))
"""


def test_every_piece_of_work_is_done() -> None:
    assert sorted(run_all(abs, [-3, 2, -1], jobs=1)) == [(0, 3), (1, 2), (2, 1)]
    assert sorted(run_all(abs, [-3, 2, -1], jobs=2)) == [(0, 3), (1, 2), (2, 1)]


def _report(tell: Tell, number: int) -> int:
    for done in range(3):
        tell((f"piece {number}", "working", done, 2))
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_of_other_processes_is_shown(
    jobs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with Relay(jobs) as relay:
        task = partial(_report, relay.tell(2))
        assert len(list(run_all(task, [1, 2], jobs, relay.drain))) == 2
        relay.drain()
    shown = capsys.readouterr().err
    for number in (1, 2):
        assert f"piece {number} working: 0/2, 0 s" in shown
        assert f"piece {number} working: 2/2, 0 s" in shown


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    # Whoever adopts it may not have collected it.
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("sent", ["SIGTERM", "SIGKILL"])
def test_processes_end_with_a_program_that_is_killed(sent: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pids").mkdir()
    program = subprocess.Popen([sys.executable, tmp_path / "program.py", tmp_path / "pids"])
    deadline = time.monotonic() + 120
    while len(pids := list((tmp_path / "pids").iterdir())) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 3
    program.send_signal(getattr(signal, sent))
    program.wait(60)
    while (alive := [p for p in pids if _is_alive(int(p.name))]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive
