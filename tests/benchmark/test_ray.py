"""Studies on a Ray cluster: the results of ``--jobs``, byte for byte, though a node is lost."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray_nodes
import torch
from ray_jobs import TINY, killed_one, refused_one, tiny, version
from rich.console import Console

from benchmark.cli.board import Board
from benchmark.cli.errors import UserError
from benchmark.pipeline.stages import Crew, Machine, local_crew
from benchmark.records.locks import owner_of
from benchmark.study.command import main
from benchmark.study.definition import Study
from benchmark.study.execute import run_study
from benchmark.study.studies import STUDIES
from benchmark.train.setup import Places
from benchmark.workers.cluster import Cluster, ClusterSettings
from benchmark.workers.executor import each
from benchmark.workers.jobs import num_cores
from benchmark.workers.relay import Event

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'kshot-nas[ray]'")
pytestmark = [pytest.mark.filterwarnings("ignore")]
nodes = ray_nodes.nodes


def small(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Table 9 with two rows and runs of a second."""
    table9: Study = STUDIES["table9"]
    size = table9.size("tiny")
    settings = dict(size.settings) | {
        "train_images": 500, "archs": 12, "score_images": 100, "epochs": epochs,
    }  # fmt: skip
    sizes = {"tiny": dataclasses.replace(size, settings=settings, rows=("K1", "K2"))}
    monkeypatch.setitem(STUDIES, "table9", dataclasses.replace(table9, sizes=sizes))


def on_cluster(nodes: Any, results: Path) -> list[str]:
    here = ["table9", "--results", str(results), "--checkpoint-seconds", "0"]
    return [*here, "--executor", "ray", "--address", nodes.address]


def lasting(results: Path) -> dict[str, Any]:
    """What a study left, less what differs between machines and moments."""
    found: dict[str, Any] = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        if path.suffix in (".npy", ".safetensors") or path.name == "config.json":
            found[name] = path.read_bytes()
        elif path.name == "log.jsonl":
            lines = map(json.loads, path.read_text().splitlines())
            found[name] = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
        elif path.name == "record.json":
            record = json.loads(path.read_text())
            varying = ("environment", "seconds", "seconds_per_epoch", "peak_memory_bytes", "sha256")
            for key in varying:
                record.pop(key, None)
            record.get("files", {}).pop("log.jsonl", None)  # it has the seconds of epochs
            found[name] = record
    assert found
    return found


def test_what_a_job_raises_arrives_and_ends_no_other(nodes: Any, tmp_path: Path) -> None:
    events: list[Event] = []
    settings = ClusterSettings(nodes.address, cpus=0.5, retries=0)
    with Cluster(settings, tmp_path, [], version, events.append) as cluster:
        done = dict(each(cluster, partial(tiny, cluster.tell()), range(4), lambda: None))
        assert {at: future.result() for at, future in done.items()} == {0: 0, 1: -1, 2: -2, 3: -3}
        ((_, refused),) = each(cluster, refused_one, [5], lambda: None)
        error = refused.exception()
        assert type(error) is UserError
        assert str(error) == "no 5"
        ended = dict(each(cluster, killed_one, [0, 1, 2], lambda: None))
        assert [ended[at].exception() is None for at in range(3)] == [True, False, True]
        assert "lost with its node or process" in str(ended[1].exception())
        deadline = time.monotonic() + 60
        while len(events) < 4 and time.monotonic() < deadline:
            cluster.drain()
            time.sleep(0.05)
    assert {event[0] for event in events} == {f"job {number}" for number in range(4)}


def seconds_of_processes() -> float:
    """Processor time of this process and of all of the cluster, which it started."""
    me = psutil.Process()
    total = 0.0
    for one in (me, *me.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


class ElsewhereOnly:
    """A path that one node does not see."""

    def __init__(self, blind: str) -> None:
        self.blind = blind

    def exists(self) -> bool:
        return bool(ray.get_runtime_context().get_node_id() != self.blind)

    def __str__(self) -> str:
        return "/shared/data"


def test_a_node_that_lacks_something_is_named_and_nothing_runs(nodes: Any, tmp_path: Path) -> None:
    blind = next(iter(nodes.worker_nodes)).node_id
    settings = ClusterSettings(nodes.address)
    lacking_path: Any = ElsewhereOnly(blind)
    with pytest.raises(UserError, match=r"node .*\(.*\) does not see /shared/data.*nothing was"):
        Cluster(settings, tmp_path, [lacking_path], version, print).__enter__()
    assert not any(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"has 1 CPUs and 1 GPUs for a job"):
        Cluster(ClusterSettings(nodes.address, gpus=1), tmp_path, [], version, print).__enter__()


def test_tiny_jobs_cost_less_than_fifty_milliseconds_each(nodes: Any, tmp_path: Path) -> None:
    num, board = 500, Board(Console(file=io.StringIO()))
    machine = Machine(Places(tmp_path), torch.device("cpu"), 1, 0.0)
    cluster = Cluster(ClusterSettings(nodes.address), tmp_path, [], version, board.show)
    with board, cluster as executor:
        crew = Crew(machine, executor, board)
        # Processes are started, and import what jobs need.
        crew.run(TINY, range(-8, 0))
        before, started = seconds_of_processes(), time.monotonic()
        found = crew.run(TINY, range(num))
        took, busy = time.monotonic() - started, seconds_of_processes() - before
    assert found == {number: -number for number in range(num)}
    # Beside other work, everything takes longer by as much as cores are shared.
    share = max(1.0, os.getloadavg()[0] / num_cores())
    told = f"{num} jobs: {took:.2f} s, {busy:.2f} s of processors, each core shared by {share:.1f}"
    sys.stdout.write(f"{told}\n")
    assert busy < num * 0.05, told
    assert took < num * 0.05 * share, told


def test_a_study_on_a_cluster_survives_a_node_and_equals_one_of_this_machine(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small(monkeypatch, epochs=8)
    here, there = tmp_path / "here", tmp_path / "there"
    killed: list[int] = []
    over = threading.Event()

    def kill_a_node_at_work() -> None:
        """Both nodes train; the one that is lost has left a checkpoint."""
        while not over.wait(0.01):
            owners = [owner_of(path.parent) for path in there.rglob("checkpoint.safetensors")]
            if len(owners) == 2 and None not in owners:
                killed.extend(owner.process for owner in owners if owner is not None)
                lost = next(iter(nodes.worker_nodes))
                nodes.remove_node(lost, allow_graceful=False)
                return

    killer = threading.Thread(target=kill_a_node_at_work)
    killer.start()
    try:
        assert main(on_cluster(nodes, there)) == there / "studies" / "table9-tiny"
    finally:
        over.set()
        killer.join()
    assert len(killed) == 2, "no node was lost while it trained"
    # One of the two processes went with its node before its job was done.
    assert any(not Path(f"/proc/{process}").exists() for process in killed)
    assert "0 failed" in capsys.readouterr().err
    # Its page would be the same.
    machine = Machine(Places(here), torch.device("cpu"), 1, 0.0)
    with local_crew(machine) as crew:
        assert run_study(STUDIES["table9"], "tiny", crew) == []
    assert lasting(there) == lasting(here)
