"""Studies on a Ray cluster: the results of ``--jobs``, byte for byte, though a node is lost."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.errors import UserError
from benchmark.records.locks import owner_of
from benchmark.study.command import main
from benchmark.study.definition import Study
from benchmark.study.studies import STUDIES
from benchmark.workers.cluster import Cluster, ClusterSettings, lacking
from benchmark.workers.executor import each
from benchmark.workers.relay import Event, Tell

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'kshot-nas[ray]'")
pytestmark = [pytest.mark.filterwarnings("ignore")]
MEMORY = 80 * 2**20


def patient(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Ask for a node that is being started longer than the half minute which Ray has for it."""

    def asked(*given: Any) -> Any:
        for _ in range(300):
            try:
                return ask(*given)
            except RuntimeError:
                time.sleep(1)
        return ask(*given)

    return asked


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two nodes of one core each."""
    from ray.cluster_utils import Cluster as LocalCluster  # noqa: PLC0415

    node = {"num_cpus": 1, "object_store_memory": MEMORY, "include_log_monitor": False}
    head = {
        "include_dashboard": False,
        "no_monitor": True,
        # A busy machine starts processes slowly.
        "_system_config": {
            "worker_register_timeout_seconds": 600,
            "health_check_timeout_ms": 60_000,
            "prestart_worker_first_driver": False,
            "enable_worker_prestart": False,
        },
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray._private.services, "get_node", patient(ray._private.services.get_node))
        cluster = LocalCluster(initialize_head=True, head_node_args={**head, **node})
        cluster.add_node(**node)
    # One connection for all tests, whose processes are then started once.
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def small(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Table 9 with two rows and runs of a second."""
    table9: Study = STUDIES["table9"]
    size = table9.size("tiny")
    settings = dict(size.settings) | {
        "train_images": 500, "archs": 12, "score_images": 100, "epochs": epochs,
    }  # fmt: skip
    sizes = {"tiny": dataclasses.replace(size, settings=settings, rows=("K1", "K2"))}
    monkeypatch.setitem(STUDIES, "table9", dataclasses.replace(table9, sizes=sizes))


def options(results: Path, *more: str) -> list[str]:
    return ["table9", "--results", str(results), "--checkpoint-seconds", "0", *more]


def on_cluster(nodes: Any, results: Path) -> list[str]:
    return options(results, "--executor", "ray", "--address", nodes.address)


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


def _tiny(tell: Tell, number: int) -> int:
    tell((f"job {number}", "", 0, 0))
    return -number


def _refused(number: int) -> int:
    raise UserError(f"no {number}")


def _killed(number: int) -> int:
    if number == 1:
        os._exit(1)
    return number


def version() -> str:
    return "1"


def test_what_a_job_raises_arrives_and_ends_no_other(nodes: Any, tmp_path: Path) -> None:
    events: list[Event] = []
    settings = ClusterSettings(nodes.address, cpus=0.5, retries=0)
    with Cluster(settings, tmp_path, [], version, events.append) as cluster:
        done = dict(each(cluster, partial(_tiny, cluster.tell()), range(4), lambda: None))
        assert {at: future.result() for at, future in done.items()} == {0: 0, 1: -1, 2: -2, 3: -3}
        ((_, refused),) = each(cluster, _refused, [5], lambda: None)
        error = refused.exception()
        assert type(error) is UserError
        assert str(error) == "no 5"
        ended = dict(each(cluster, _killed, [0, 1, 2], lambda: None))
        assert [ended[at].exception() is None for at in range(3)] == [True, False, True]
        assert "lost with its node or process" in str(ended[1].exception())
        cluster.drain()
    assert {event[0] for event in events} == {f"job {number}" for number in range(4)}


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


def test_what_a_node_lacks_is_said_in_words(tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert "does not see" in lacking(results, [], "1", "n", version)[0]
    results.mkdir()
    (results / ".seen-by-all-1").write_text("other")
    assert "sees another" in lacking(results, [], "1", "n", version)[0]
    (results / ".seen-by-all-1").write_text("1")
    assert "does not see" in lacking(results, [tmp_path / "data"], "1", "n", version)[0]
    assert lacking(results, [tmp_path], "1", "n", version) == ("", "1")
    assert (results / ".seen-by-n-1").read_text() == "1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--address", "here:1"], "--address has an effect with --executor ray alone"),
        (["--retries", "1"], "--retries has an effect with --executor ray alone"),
        (["--executor", "ray", "--jobs", "2"], "--jobs has no effect with --executor ray"),
        (["--executor", "ray", "--device", "cpu"], "--device has no effect"),
        (["--executor", "ray", "--cpus-per-job", "0"], "--cpus-per-job must be above 0, got 0"),
        (["--executor", "ray", "--gpus-per-job", "1.5"], "a part of one GPU, or a whole number"),
        (["--executor", "ray", "--retries", "-1"], "--retries must be 0 or more, got -1"),
        (["--executor", "ray", "--address", "ray://a:1"], "is Ray's client"),
        (["--executor", "rya"], "did you mean ray"),
    ],
)
def test_bad_options_are_one_line(given: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        main(options(tmp_path, *given))
    assert not any(tmp_path.iterdir())


def test_a_study_on_a_cluster_survives_a_node_and_equals_one_of_this_machine(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small(monkeypatch, epochs=8)
    here, there = tmp_path / "here", tmp_path / "there"
    killed: list[int] = []

    def kill_a_node_at_work() -> None:
        """Both nodes train; the one that is lost has left a checkpoint."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            owners = [owner_of(path.parent) for path in there.rglob("checkpoint.safetensors")]
            if len(owners) == 2 and None not in owners:
                killed.extend(owner.process for owner in owners if owner is not None)
                lost = next(iter(nodes.worker_nodes))
                nodes.remove_node(lost, allow_graceful=False)
                return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_a_node_at_work)
    killer.start()
    assert main(on_cluster(nodes, there)) == there / "studies" / "table9-tiny"
    killer.join()
    assert len(killed) == 2, "no node was lost while it trained"
    # One of the two processes went with its node before its job was done.
    assert any(not Path(f"/proc/{process}").exists() for process in killed)
    assert "0 failed" in capsys.readouterr().err
    main(options(here, "--jobs", "1"))
    assert lasting(there) == lasting(here)
