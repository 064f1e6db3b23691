"""A full disk, a folder that may not be written to, too little memory: one line, nothing lost."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from runs import TINY, run_tiny, tiny, write_truth
from synthetic import write_run

from benchmark.cli.board import Board
from benchmark.cli.errors import UserError, exit_with
from benchmark.pipeline.stages import Crew, Failure, Machine, Stage
from benchmark.records import files
from benchmark.records.files import check_writable
from benchmark.records.folders import ConfigFolder
from benchmark.records.load import load_records
from benchmark.records.locks import owner_of
from benchmark.train.setup import Places
from benchmark.workers.executor import Local
from kshot_core.training.trainer import Trainer

NOBODY = 65534


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"a file system of its own cannot be had: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Without root's right to write everywhere."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def state(value: float, num: int = 30_000) -> dict[str, torch.Tensor]:
    """A state of 120 kB."""
    return {"w": torch.full((num,), value)}


def fill(path: Path) -> None:
    """Write to a file until nothing more can be written."""
    with path.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()


def test_a_full_disk_takes_nothing_that_was_there(small_disk: Path) -> None:
    finished = write_run(small_disk, {"K": 1, "epochs": 2})
    was = {path: path.read_bytes() for path in finished.iterdir()}
    work = ConfigFolder(small_disk / "work", TINY)
    with work.opened():
        work.save_checkpoint(state(1.0), [{"epoch": 1}])
        work.save_checkpoint(state(2.0), [{"epoch": 1}, {"epoch": 2}])
        filling = small_disk / "filling"
        with pytest.raises(OSError, match="No space left"):
            fill(filling)
        for _ in range(2):
            # Larger than what the oldest of them leaves.
            with pytest.raises(UserError, match=r"cannot write .*[Nn]o space left"):
                work.save_checkpoint(state(3.0, 60_000), [{"epoch": 1}])
        with pytest.raises(UserError, match=r"cannot write .*[Nn]o space left"):
            work.complete({"config": {}, "seconds": {}, "text": "x" * 300_000})
    # The state before the one that could not be written, and no half of anything.
    saved = work.load_checkpoint()
    assert saved is not None
    assert float(saved[0]["w"][0]) == len(saved[1]) == 2
    assert not list(small_disk.rglob(".*"))
    assert not (work.path / "record.json").exists()
    assert {path: path.read_bytes() for path in finished.iterdir()} == was
    filling.unlink()
    with work.opened():
        work.save_checkpoint(state(3.0), [])
        work.complete({"config": {}, "seconds": {}})
    assert work.record() is not None


def test_no_room_for_a_lock_is_one_line(small_disk: Path) -> None:
    work = ConfigFolder(small_disk / "work", TINY)
    work.path.mkdir()
    with pytest.raises(OSError, match="No space left"):
        fill(small_disk / "filling")
    with pytest.raises(UserError, match=r"cannot write to .*No space left"), work.opened():
        pass
    assert list(work.path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="users of POSIX")
def test_a_folder_that_may_only_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_run(root, {"K": 1, "epochs": 2})
        work = ConfigFolder(root / "work", TINY)
        work.path.mkdir()
        folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            with unprivileged():
                with pytest.raises(UserError, match="cannot write results to"):
                    check_writable(root)
                with pytest.raises(UserError, match=r"cannot write to .*Permission denied"):
                    work.opened().__enter__()
                # Whoever only looks can.
                assert len(load_records(root)) == 1
                assert owner_of(work.path) is None
                assert work.record() is None
        finally:
            for path in folders:
                path.chmod(0o755)


def test_a_run_goes_on_after_too_little_memory_and_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = write_truth(tmp_path / "truth.csv", 4)
    config = tiny(archs=4, track_every=0, epochs=3)
    whole = run_tiny(config, tmp_path / "whole", truth)
    original, calls = Trainer._weight_step, list[int]()

    def greedy(*given: object) -> object:
        calls.append(1)
        if len(calls) == 10:
            raise MemoryError("Unable to allocate 2.00 TiB")
        return original(*given)  # type: ignore[arg-type]

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def ends(message: str) -> None:
        with pytest.raises(SystemExit) as stopped:
            exit_with(lambda: run_tiny(config, tmp_path / "again", truth))
        assert stopped.value.code == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert message in told
        assert not [path for path in (tmp_path / "again").rglob(".*") if path.is_file()]

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_weight_step", greedy)
        ends("not enough memory for these settings: Unable to allocate")
    (checkpoint,) = tmp_path.glob("again/supernets/*/*/*/*/checkpoint.safetensors")
    was = checkpoint.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        ends("No space left on device")
    before = checkpoint.with_name("checkpoint-before.safetensors")
    assert was in [path.read_bytes() for path in (checkpoint, before) if path.exists()]
    assert run_tiny(config, tmp_path / "again", truth)["metrics"] == whole["metrics"]
    for name in ("supernet.safetensors", "predictions.npy"):
        one, other = (next((tmp_path / where).rglob(name)) for where in ("whole", "again"))
        assert one.read_bytes() == other.read_bytes()


def _greedy(machine: Machine, progress: object, num: int) -> int:
    """A piece of work; the larger one of them wants a petabyte and is refused it."""
    return int(torch.zeros(num).sum())


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.nightly)])
def test_a_job_that_wants_more_memory_than_there_is_ends_no_other(
    jobs: int, tmp_path: Path
) -> None:
    board = Board(Console(file=io.StringIO()))
    machine = Machine(Places(tmp_path), torch.device("cpu"), jobs, 0.0)
    sizes = [1, 10**15, 2, 3]
    with board, Local(jobs, board.show) as executor:
        found = Crew(machine, executor, board).run(Stage("sum", str, _greedy), sizes)
    failed = found.pop(10**15)
    assert found == {1: 0, 2: 0, 3: 0}
    assert isinstance(failed, Failure)
    assert failed.outcome == "failed"
    assert failed.why.startswith("not enough memory: ")
    assert "\n" not in failed.why


@pytest.mark.parametrize("allocate", [torch.zeros, np.zeros, bytearray])
def test_memory_that_is_not_there_is_one_line(
    allocate: Callable[[int], object], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        exit_with(lambda: allocate(10**15))
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: not enough memory for these settings: ")
    assert told.count("\n") == 1
