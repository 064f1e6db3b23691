"""Pieces of work in processes: all done, in time, and none left behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from rich.console import Console

from benchmark.cli.board import Board
from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.cli.progress import Bars
from benchmark.pipeline.stages import Crew, Failure, Machine, Stage
from benchmark.records.locks import BusyError
from benchmark.train.setup import Places
from benchmark.train.supernet import Progress
from benchmark.workers.executor import Local
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
    with Relay(True, print) as relay:
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
    with Bars() as bars, Relay(jobs > 1, bars.show) as relay:
        task = partial(_report, relay.tell())
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


def _piece(machine: Machine, progress: Progress, what: str) -> str:
    """A piece of work that does what its name says; ``busy`` is done by another process first."""
    progress("working", 1, 2)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "bug":
        raise ValueError("a line\nand another")
    if what == "memory":
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 EB")
    if what == "diverged":
        raise DivergedJobError("the loss is nan")
    if what == "refused":
        raise UserError("no such thing")
    mark = machine.places.results / "asked"
    if what == "busy" and not mark.exists():
        mark.touch()
        raise BusyError("another process is at it")
    return what.upper()


PIECES = Stage("piece", str, _piece)
EXPECTED = {
    "one": "ONE",
    "refused": Failure("refused", "failed", "no such thing"),
    "busy": "BUSY",
    "diverged": Failure("diverged", "diverged", "the loss is nan"),
    "memory": Failure(
        "memory",
        "failed",
        "not enough memory: DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 EB",
    ),
    "two": "TWO",
}
IN_PROCESSES = {
    "killed": Failure("killed", "failed", "its process was killed, perhaps because memory ran out"),
    "bug": Failure("bug", "failed", "ValueError: a line and another"),
    "three": "THREE",
}


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_fails_ends_no_other_piece_and_is_named(jobs: int, tmp_path: Path) -> None:
    expected = EXPECTED if jobs == 1 else {"one": "ONE", **IN_PROCESSES, **EXPECTED}
    if jobs > 1:
        del expected["memory"]  # every process that is lost is one more to start
    shown = io.StringIO()
    board = Board(Console(file=shown, width=200))
    machine = Machine(Places(tmp_path), torch.device("cpu"), jobs, 0.0)
    with board, Local(jobs, board.show) as executor:
        found = Crew(machine, executor, board).run(PIECES, list(expected), done_before=3)
    assert found == expected
    log = shown.getvalue()
    assert "piece diverged diverged: the loss is nan\n" in log
    assert "piece refused failed: no such thing\n" in log
    assert f"1 diverged of {len(expected) + 3}" in log
    assert "piece one done in 0 s; piece: 4 done" in log


def test_a_bug_in_this_process_ends_the_program(tmp_path: Path) -> None:
    board = Board(Console(file=io.StringIO()))
    machine = Machine(Places(tmp_path), torch.device("cpu"), 1, 0.0)
    with pytest.raises(ValueError, match="and another"), Local(1, board.show) as executor:
        Crew(machine, executor, board).run(PIECES, ["bug"])


def test_the_board_is_a_table_on_a_terminal() -> None:
    shown = io.StringIO()
    board = Board(Console(file=shown, force_terminal=True, width=100))
    with board:
        board.begin("run", total=10, done=2)
        for number in range(14):
            board.show((f"job {number}", "training", 3, 40))
        board.ended("job 0", "done")
        board.ended("job 1", "failed", "no space left")
    text = shown.getvalue()
    assert "run job 1 failed: no space left" in text
    last = text[text.rindex("running") :]
    row = next(line for line in last.splitlines() if " run " in line)
    assert [word for word in row.split() if word.isdigit()][:5] == ["3", "12", "1", "0", "10"]
    assert "job 5" in last
    assert "training" in last
