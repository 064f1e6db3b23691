"""Ctrl-C and SIGTERM: the step is finished and saved, one line says how to go on, 130 or 143."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from runs import run_tiny, tiny, write_truth

from benchmark.cli import stopping
from benchmark.cli.errors import exit_with
from benchmark.cli.stopping import StoppedError, asked, end_if_asked, finishing, signals_taken
from benchmark.records.sealed import load_tensors
from kshot_core.training.trainer import Trainer

LINE = "stopped; the same command goes on from the last checkpoint\n"


def ends(main: Callable[[], object]) -> int | str | None:
    """The code that a program ends with."""
    with pytest.raises(SystemExit) as stopped:
        exit_with(main)
    return stopped.value.code


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_outside_of_steps_a_signal_ends_the_program_at_once(
    sent: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(sent)
    assert ends(lambda: signal.raise_signal(sent)) == code
    assert capsys.readouterr().err == LINE
    assert signal.getsignal(sent) is before
    assert not asked()


def test_a_step_is_finished_first() -> None:
    done: list[str] = []

    def work() -> None:
        with finishing():
            signal.raise_signal(signal.SIGTERM)
            done.append("step")
            assert asked()
        done.append("never")

    assert ends(work) == 143
    assert done == ["step"]


def test_a_second_ctrl_c_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with finishing():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            assert asked()
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("it went on")

    assert ends(work) == 130
    # Processes of a program get each Ctrl-C twice, from the terminal and from the program.
    monkeypatch.setattr(stopping._ASKED, "forces", False)
    with signals_taken():
        stopping._ASKED.forces = False
        with pytest.raises(StoppedError):
            _interrupted_three_times()


def _interrupted_three_times() -> None:
    with finishing():
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        end_if_asked()


@pytest.mark.parametrize(
    "step", [pytest.param("_weight_step", marks=pytest.mark.nightly), "_simplex_step"]
)
def test_a_training_saves_after_the_step_and_goes_on_to_the_same_bytes(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = write_truth(tmp_path / "truth.csv", 4)
    config = tiny(archs=4, track_every=0, epochs=2)
    whole = run_tiny(config, tmp_path / "whole", truth)
    original, calls = getattr(Trainer, step), list[int]()

    def signalled(*given: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return original(*given)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, step, signalled)
        assert ends(lambda: run_tiny(config, tmp_path / "stopped", truth)) == 143
    assert len(calls) == 2, "no step after the one under way"
    (checkpoint,) = tmp_path.glob("stopped/supernets/*/*/*/*/checkpoint.safetensors")
    state = load_tensors(checkpoint)[0]
    assert int(state["pass/batches/num_done"]) > 0, "saved in the midst of an epoch"
    assert not list(tmp_path.glob("stopped/**/.lock*"))
    assert run_tiny(config, tmp_path / "stopped", truth)["metrics"] == whole["metrics"]
    for name in ("supernet.safetensors", "predictions.npy"):
        one, other = (next((tmp_path / where).rglob(name)) for where in ("whole", "stopped"))
        assert one.read_bytes() == other.read_bytes()


def test_scores_are_kept(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth.csv")
    config = tiny(epochs=1, track_every=0)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "scoring" and done == 5:
            signal.raise_signal(signal.SIGINT)

    assert ends(lambda: run_tiny(config, tmp_path, truth, stop)) == 130
    (scores,) = tmp_path.glob("records/*/*/*/*/scores.safetensors")
    assert len(load_tensors(scores)[0]["scores"]) == 5


PROGRAM = """
import sys, time
from pathlib import Path
from benchmark.cli.errors import exit_with
from benchmark.cli.stopping import asked, end_if_asked, finishing
from benchmark.workers.jobs import run_all

def work(place):
    with finishing():
        Path(place + ".began").touch()
        while not asked():
            time.sleep(0.01)
        time.sleep(0.3)
        Path(place + ".saved").touch()

if __name__ == "__main__":
    exit_with(lambda: list(run_all(work, sys.argv[1:3], jobs=2)))
"""


@pytest.mark.parametrize(
    ("to_all", "code"), [(False, 143), pytest.param(True, 130, marks=pytest.mark.nightly)]
)
def test_processes_of_a_program_save_too(to_all: bool, code: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    places = [str(tmp_path / name) for name in "ab"]
    program = subprocess.Popen(
        [sys.executable, tmp_path / "program.py", *places],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("*.began"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    if to_all:
        # As a terminal does.
        os.killpg(program.pid, signal.SIGINT)
    else:
        program.terminate()
    _, told = program.communicate(timeout=60)
    assert program.returncode == code
    assert told == LINE
    assert len(list(tmp_path.glob("*.saved"))) == 2
