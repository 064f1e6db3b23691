"""Locks: one owner at a time, and a dead one's lock is taken over, by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmark.cli.errors import UserError
from benchmark.records import locks
from benchmark.records.locks import DRAFT, LOCK, STALE_SECONDS, BusyError, Lock, Owner, owner_of

# Takes the folder again and again; whoever holds it makes a file that must not be there.
CONTENDER = """
import os, sys, time
from pathlib import Path
from benchmark.records.locks import BusyError, Lock
folder, times = Path(sys.argv[1]), int(sys.argv[2])
inside, done = folder / "inside", 0
while done < times:
    try:
        lock = Lock(folder)
    except BusyError:
        continue
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
    inside.unlink()
    done += 1
    if len(sys.argv) > 3 and done == times:
        print("held", flush=True)
        os._exit(7)
    lock.release()
"""


def contender(folder: Path, times: int, *dies: str) -> subprocess.Popen[bytes]:
    """A process that takes a folder so many times."""
    command = [sys.executable, "-c", CONTENDER, str(folder), str(times), *dies]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def elsewhere(folder: Path, age: float, name: str = LOCK, mark: str = "there") -> Owner:
    """The lock of a process on another machine, whose heart beat ``age`` seconds ago."""
    owner = Owner("node7", "node7 boot", 4711, 12, mark)
    (folder / name).write_text(json.dumps(asdict(owner)))
    then = time.time() - age
    os.utime(folder / name, (then, then))
    return owner


def test_one_holds_it_and_lets_go(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
    first = Lock(tmp_path)
    owner = owner_of(tmp_path)
    assert owner is not None
    assert owner.process == os.getpid()
    with pytest.raises(BusyError, match=f"working on .*process {os.getpid()} on .*; wait for it"):
        Lock(tmp_path)
    assert first.held()
    first.release()
    assert owner_of(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    Lock(tmp_path).release()


def test_several_processes_never_hold_it_together(tmp_path: Path) -> None:
    processes = [contender(tmp_path, 40) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_dead_processes_is_taken_over_by_one_at_a_time(tmp_path: Path) -> None:
    # All but the last die while they hold it, each of them at another moment of the others.
    processes = [contender(tmp_path, 10 + 5 * number, "dies") for number in range(4)]
    assert [process.wait(60) for process in processes] == [7] * 4
    assert list(tmp_path.glob(f"{LOCK}*"))
    assert owner_of(tmp_path) is None
    lock = Lock(tmp_path)
    assert lock.held()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_an_owner_on_another_machine_lives_by_its_heartbeat(tmp_path: Path) -> None:
    owner = elsewhere(tmp_path, STALE_SECONDS / 2)
    assert owner_of(tmp_path) == owner
    with pytest.raises(BusyError, match="process 4711 on node7"):
        Lock(tmp_path)
    elsewhere(tmp_path, 2 * STALE_SECONDS)
    assert owner_of(tmp_path) is None
    lock = Lock(tmp_path)
    assert lock.path.name == f"{LOCK}-there"
    # It comes back, and renews what it made.
    os.utime(tmp_path / LOCK)
    assert lock.held()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_who_lost_a_lock_sees_it_and_leaves_the_new_one_alone(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    mark = json.loads((tmp_path / LOCK).read_text())["mark"]
    owner = elsewhere(tmp_path, 0, f"{LOCK}-{mark}")
    assert not lock.held()
    lock.release()
    assert owner_of(tmp_path) == owner


def test_a_process_of_the_same_number_is_not_the_same(tmp_path: Path) -> None:
    owner = locks._this_process()
    again = Owner(owner.host, owner.machine, owner.process, owner.began + 1, "earlier")
    (tmp_path / LOCK).write_text(json.dumps(asdict(again)))
    assert owner_of(tmp_path) is None
    Lock(tmp_path).release()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"host": "a"}', b"[" * 5000, b"x" * 10**6]
)
def test_a_lock_that_cannot_be_read_counts_by_its_age(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / LOCK
    path.write_bytes(content)
    with pytest.raises(BusyError, match="a process"):
        Lock(tmp_path)
    then = time.time() - 2 * STALE_SECONDS
    os.utime(path, (then, then))
    Lock(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_a_mark_is_no_path(tmp_path: Path) -> None:
    elsewhere(tmp_path, 2 * STALE_SECONDS, mark="/../../outside")
    lock = Lock(tmp_path)
    assert lock.path.parent == tmp_path
    lock.release()


def test_the_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(locks, "_HEART", locks._Heart())
    lock = Lock(tmp_path)
    os.utime(lock.path, (0, 0))
    deadline = time.monotonic() + 10
    while lock.path.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert time.time() - lock.path.stat().st_mtime < STALE_SECONDS
    lock.release()


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    lock = Lock(tmp_path)
    with pytest.raises(BusyError):
        Lock(tmp_path)
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_killed_processes_go(tmp_path: Path) -> None:
    old = elsewhere(tmp_path, 2 * STALE_SECONDS, f"{LOCK}-orphan", "a")
    elsewhere(tmp_path, 2 * STALE_SECONDS, f"{DRAFT}old", "b")
    elsewhere(tmp_path, 0, f"{DRAFT}new", "c")
    lock = Lock(tmp_path)
    assert old.mark == "a"
    assert {path.name for path in tmp_path.iterdir()} == {LOCK, f"{DRAFT}new"}
    lock.release()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write to"):
        Lock(tmp_path / "absent")
