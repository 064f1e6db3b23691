"""A Ray cluster of several nodes on this machine; its processes are children of the test's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
    # Where it is not installed, a test that asks for this is skipped before.
    import ray  # noqa: PLC0415
    from ray.cluster_utils import Cluster as LocalCluster  # noqa: PLC0415

    node = {"num_cpus": 1, "object_store_memory": MEMORY, "include_log_monitor": False}
    head = {
        "include_dashboard": False,
        "no_monitor": True,
        # A busy machine starts processes slowly.
        "_system_config": {
            "worker_register_timeout_seconds": 600,
            # Beside other work, jobs of lower priority would wait for minutes.
            "worker_niceness": 0,
            "health_check_timeout_ms": 60_000,
            "prestart_worker_first_driver": False,
            "enable_worker_prestart": False,
        },
    }
    with pytest.MonkeyPatch.context() as patch:
        # A test tells nobody anything.
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Jobs of tests lie beside this file.
        found = (str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")]))
        patch.setenv("PYTHONPATH", os.pathsep.join(found))
        patch.setattr(ray._private.services, "get_node", patient(ray._private.services.get_node))
        cluster = LocalCluster(initialize_head=True, head_node_args={**head, **node})
        cluster.add_node(**node)
    # One connection for all tests, whose processes are then started once.
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
