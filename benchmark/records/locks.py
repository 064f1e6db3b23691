"""Who works in a folder: a lock with an owner and a heartbeat, on one machine or on shared storage.

``.lock`` names its owner: machine, process, when that process began, and a mark. Whoever finds the
owner dead takes over by making ``.lock-<mark of the dead>``, and so on: the end of this chain of
files is the owner. A name can be made once, so of several that take over one does, and nobody ever
removes a lock that another may have taken meanwhile. It needs no more of a file system than that
making a file fails where it exists, which network file systems promise as well.

An owner on this machine is alive if its process is. One elsewhere is alive while its heartbeat, the
file's time, is at most ``STALE_SECONDS`` old by the clock of the file system itself; one that comes
back after that sees that it lost the lock before it writes again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from benchmark.cli.errors import UserError

LOCK = ".lock"
"""What the name of a lock's files starts with."""
DRAFT = ".draft-"
"""The same of a lock that is about to be made."""
HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 120.0
_MAX_BYTES = 4096


class BusyError(UserError):
    """Another process works on something, or just finished it: to be asked for again later."""


@dataclass(frozen=True)
class Owner:
    """A process that holds a folder.

    Args:
        host: name of its machine.
        machine: tells machines, and containers of one machine, apart.
        process: its number there.
        began: when it was started, in the units of that machine; 0 where that cannot be known.
        mark: of this lock alone.
    """

    host: str
    machine: str
    process: int
    began: int
    mark: str

    def text(self) -> str:
        """Who it is, for people."""
        return f"process {self.process} on {self.host}" if self.process else "a process"


def owner_of(folder: Path) -> Owner | None:
    """The live process that holds a folder, or None; reads alone.

    The heartbeat of one on another machine is held against this machine's clock.
    """
    chain = _chain(folder)
    return chain[-1][1] if chain and _alive(*chain[-1], time.time()) else None


class Lock:
    """A folder held by this process, from ``__init__`` to ``release``.

    Args:
        folder: an existing folder.

    Raises:
        BusyError: a live process holds it.
        UserError: nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = _this_process()
        draft = folder / f"{DRAFT}{self._owner.mark}"
        try:
            with draft.open("x", encoding="utf-8") as file:
                json.dump(asdict(self._owner), file)
                file.flush()
                os.fsync(file.fileno())
            self.path = self._take(draft)
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror or error}") from None
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        _HEART.add(self.path)
        self._sweep()

    def held(self) -> bool:
        """Whether it is still this process's: one that stood still for long may have lost it."""
        chain = _chain(self._folder)
        return bool(chain) and chain[-1][1].mark == self._owner.mark

    def release(self) -> None:
        """Let others have the folder."""
        _HEART.remove(self.path)
        chain = _chain(self._folder)
        if not chain or chain[-1][1].mark != self._owner.mark:
            return
        # From the beginning: who reads an owner that is gone must not find the way to its end.
        for path, _ in chain:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _take(self, draft: Path) -> Path:
        """Make this process the end of the chain; returns its file."""
        while True:
            chain = _chain(self._folder)
            place = self._folder / LOCK
            if chain and chain[-1][1].mark == self._owner.mark:
                # A network file system may have done what it reported as failed.
                return chain[-1][0]
            if chain:
                os.utime(draft)
                if _alive(*chain[-1], draft.stat().st_mtime):
                    raise BusyError(
                        f"another process is working on {self._folder} "
                        f"({chain[-1][1].text()}); wait for it or stop it"
                    )
                place = self._folder / f"{LOCK}-{chain[-1][1].mark}"
            try:
                _link(draft, place)
            except FileExistsError:
                continue
            if self.held():
                return place
            # The chain that it was to continue was given up in between.
            place.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what processes left that were killed while they took or gave up this folder."""
        chain = {path for path, _ in _chain(self._folder)}
        now = self.path.stat().st_mtime
        for pattern in (f"{LOCK}-*", f"{DRAFT}*"):
            for path in self._folder.glob(pattern):
                with contextlib.suppress(OSError):
                    if path not in chain and now - path.stat().st_mtime > STALE_SECONDS:
                        path.unlink()


class _Heart:
    """Renews the time of this process's locks, in a thread of its own."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, path: Path) -> None:
        with self._guard:
            self._paths.add(path)
            # Threads do not outlive a fork.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._beat, daemon=True)
                self._thread.start()

    def remove(self, path: Path) -> None:
        with self._guard:
            self._paths.discard(path)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            with self._guard:
                paths = list(self._paths)
            for path in paths:
                # Storage that is away for a moment is there again at the next beat.
                with contextlib.suppress(OSError):
                    os.utime(path)


_HEART = _Heart()


def _chain(folder: Path) -> list[tuple[Path, Owner]]:
    """The files of a folder's lock with their owners, the one that holds it last."""
    chain: list[tuple[Path, Owner]] = []
    path = folder / LOCK
    while (owner := _read(path)) is not None and len(chain) < 1000:
        chain.append((path, owner))
        path = folder / f"{LOCK}-{owner.mark}"
    return chain


def _read(path: Path) -> Owner | None:
    """The owner in a lock's file; None where there is no such file."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES)
            changed = os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        owner = Owner(**json.loads(data))
    except (ValueError, TypeError, RecursionError):
        owner = None
    if owner is None or not _is_sound(owner):
        # Damaged, or of an earlier version, which wrote nothing into it: judged by its time alone.
        mark = hashlib.sha256(data + str(changed).encode()).hexdigest()[:16]
        return Owner("", "", 0, 0, mark)
    return owner


def _is_sound(owner: Owner) -> bool:
    texts = (owner.host, owner.machine, owner.mark)
    numbers = (owner.process, owner.began)
    # The mark becomes part of a file's name.
    return (
        all(type(text) is str for text in texts)
        and all(type(number) is int and number >= 0 for number in numbers)
        and owner.mark.isalnum()
        and len(owner.mark) <= 64
    )


def _alive(path: Path, owner: Owner, now: float) -> bool:
    """Whether the owner in a lock's file lives.

    Args:
        path: the file.
        owner: what it says.
        now: the time, by the clock that the file's is from.
    """
    if owner.machine == _machine():
        return _runs(owner.process, owner.began)
    try:
        return now - path.stat().st_mtime <= STALE_SECONDS
    except FileNotFoundError:
        return False


def _runs(process: int, began: int) -> bool:
    """Whether a process of this machine runs, and is the one that began then."""
    if Path("/proc/self/stat").exists():
        found = _stat(process)
        return found is not None and found[0] not in "ZX" and found[1] == began
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _stat(process: int) -> tuple[str, int] | None:
    """State and start of a process, as Linux tells them."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name before it may have anything in it.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _this_process() -> Owner:
    found = _stat(os.getpid())
    began = found[1] if found else 0
    return Owner(platform.node(), _machine(), os.getpid(), began, secrets.token_hex(8))


@cache
def _machine() -> str:
    """A machine's name, and where Linux tells, its boot and this container's process numbers."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(Path("/proc/self/ns/pid").readlink().name)
    return " ".join(parts)


def _link(draft: Path, place: Path) -> None:
    """Make ``place`` with a draft's content, whole at once; ``FileExistsError`` if it is there."""
    try:
        place.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links. One that is seen half written passes for a live owner's.
        with place.open("xb") as file:
            file.write(draft.read_bytes())
            file.flush()
            os.fsync(file.fileno())
