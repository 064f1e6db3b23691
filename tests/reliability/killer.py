"""Runs a small job in processes that are killed by SIGKILL, until it is done, again and again.

    python killer.py FOLDER NUM_KILLS SEED

Prints what happened as JSON. One process imports torch; each attempt is a fork of it. An attempt
is killed either at the n-th of some event, which it does itself, or after some time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from runs import tiny, write_truth

from benchmark.records import files
from benchmark.records.sealed import check_record
from benchmark.run import compare, execute, scoring
from benchmark.train.setup import Places
from kshot_core.training.trainer import Trainer

CONFIG = tiny(K=2, epochs=2, train_images=200, archs=8, track_every=1, score_images=50)
COMPARED = ("supernet.safetensors", "epoch1.safetensors", "predictions.npy", "codes.npy")
EVENTS = ("weight step", "simplex step", "scoring", "half written", "before rename", "after rename")


def die() -> None:
    """End this process as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


class Events:
    """Counts what happens in this process, and ends it at the n-th of one kind."""

    def __init__(self, kind: str = "", at: int = 0) -> None:
        self.kind, self.at = kind, at
        self.counts: Counter[str] = Counter()

    def happen(self, kind: str, before: Callable[[], object] = lambda: None) -> None:
        self.counts[kind] += 1
        if kind == self.kind and self.counts[kind] == self.at:
            before()
            die()

    def watch(self) -> None:
        """Have the program tell of its events, in this process for good."""
        weight_step, simplex_step = Trainer._weight_step, Trainer._simplex_step
        iterate, fsync, replace = scoring.iterate_scores, os.fsync, Path.replace

        def weight(*given: Any) -> Any:
            self.happen("weight step")
            return weight_step(*given)

        def simplex(*given: Any) -> Any:
            self.happen("simplex step")
            return simplex_step(*given)

        def scores(*given: Any) -> Iterator[Any]:
            for one in iterate(*given):
                self.happen("scoring")
                yield one

        def synced(handle: int) -> None:
            about = os.fstat(handle)
            # Folders are synced too.
            if stat.S_ISREG(about.st_mode):
                self.happen("half written", lambda: os.ftruncate(handle, about.st_size // 2))
            fsync(handle)

        def replaced(path: Path, target: Path) -> Path:
            self.happen("before rename")
            result = replace(path, target)
            self.happen("after rename")
            return result

        Trainer._weight_step = weight  # type: ignore[method-assign]
        Trainer._simplex_step = simplex  # type: ignore[method-assign]
        scoring.iterate_scores = scores  # type: ignore[assignment]
        files.os.fsync = synced  # type: ignore[attr-defined]
        Path.replace = replaced  # type: ignore[method-assign, assignment]


def prepare() -> None:
    """Do once what every fork would do again and nothing depends on: most of a short job's time."""
    torch.set_num_threads(1)
    # Importing a compiler.
    torch.optim.SGD([torch.zeros(1)], 0.1)
    images = execute.load_images(CONFIG, Places())
    execute.load_images = lambda *given: images  # type: ignore[assignment]
    compare._NUM_RESAMPLES = 10  # type: ignore[attr-defined]


def job(results: Path, truth: Path) -> None:
    """The whole job, with a checkpoint whenever there can be one."""
    places = Places(results=results, truth=truth)
    execute.run_one(CONFIG, places, torch.device("cpu"), lambda stage, done, total: None, 0)


def forked(work: Callable[[], object], seconds: float | None = None) -> int:
    """Do work in a fork, killed after some seconds; returns how it ended, as wait does."""
    process = os.fork()
    if process == 0:
        # Whatever goes wrong is told, and none of the parent's clearing up is done here.
        code = 1
        try:
            work()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def outcome(results: Path) -> dict[str, bytes]:
    """What a finished job left, but its times."""
    found = {path.name: path.read_bytes() for path in results.rglob("*") if path.name in COMPARED}
    (record,) = results.glob("records/*/*/*/*/record.json")
    content = json.loads(record.read_text())
    kept = {name: content[name] for name in ("metrics", "controls", "ceiling", "num_scored")}
    return {**found, "record": json.dumps(kept, sort_keys=True).encode()}


def poll(root: Path, told: Path, parent: int) -> None:
    """Read every record below a folder while the parent lives; tell how many, and what was not."""
    num_read, broken = 0, 0
    while os.getppid() == parent:
        for path in root.rglob("record.json"):
            try:
                check_record(json.loads(path.read_bytes()))
                num_read += 1
            except FileNotFoundError:
                continue
            except ValueError:
                broken += 1
        files.write_json(told, {"num_read": num_read, "broken": broken})
        time.sleep(0.002)


def main() -> None:
    """Kill, resume, compare; print the figures."""
    root, num_kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    prepare()
    generator = random.Random(seed)
    truth = write_truth(root / "truth.csv")
    whole, counted = root / "whole", root / "counts.json"

    def count() -> None:
        events = Events()
        events.watch()
        started = time.perf_counter()
        job(whole, truth)
        seconds = time.perf_counter() - started
        counted.write_text(json.dumps({**events.counts, "seconds": seconds}))

    assert forked(count) == 0
    counts = json.loads(counted.read_text())
    wanted = outcome(whole)
    parent, poller = os.getpid(), os.fork()
    if poller == 0:
        poll(root / "killed", root / "polled.json", parent)
        os._exit(0)
    killed: Counter[str] = Counter()
    num_jobs, number = 0, 0
    while killed.total() < num_kills:
        number += 1
        results = root / "killed" / str(number)
        while True:
            kind = generator.choice((*EVENTS, "some time"))
            left = killed.total() < num_kills
            if kind == "some time":
                seconds = generator.uniform(0, counts["seconds"])
                ended = forked(partial(job, results, truth), seconds if left else None)
            else:
                at = generator.randint(1, counts[kind]) if left else 0

                def attempt(kind: str = kind, at: int = at, results: Path = results) -> None:
                    Events(kind, at).watch()
                    job(results, truth)

                ended = forked(attempt)
            assert ended in (0, -signal.SIGKILL), ended
            if ended == 0:
                break
            killed[kind] += 1
        assert outcome(results) == wanted, f"job {number} ended with other bytes"
        # But the lock of one that was killed after it had written the record, and the draft of a
        # lock, which whoever takes the folder two minutes later removes.
        left = [p for p in results.rglob(".*") if not p.name.startswith((".lock", ".draft-"))]
        assert not left, left
        num_jobs += 1
    time.sleep(0.1)
    os.kill(poller, signal.SIGKILL)
    os.waitpid(poller, 0)
    polled = json.loads((root / "polled.json").read_text())
    sys.stdout.write(json.dumps({"killed": killed, "jobs": num_jobs, "whole": counts, **polled}))


if __name__ == "__main__":
    main()
