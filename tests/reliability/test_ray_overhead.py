"""What a Ray cluster adds to a job."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'kshot-nas[ray]'")
import test_ray

from benchmark.workers.cluster import Cluster, ClusterSettings
from benchmark.workers.executor import each

nodes = test_ray.nodes
pytestmark = [pytest.mark.nightly, pytest.mark.filterwarnings("ignore")]


def test_tiny_jobs_cost_less_than_fifty_milliseconds_each(
    nodes: Any,
    tmp_path: Path,
) -> None:
    settings = ClusterSettings(nodes.address)
    with Cluster(settings, tmp_path, [], test_ray.version, lambda event: None) as cluster:
        task = partial(test_ray._tiny, cluster.tell())
        list(each(cluster, task, range(8), lambda: None))
        started = time.monotonic()
        assert len(list(each(cluster, task, range(500), lambda: None))) == 500
        took = time.monotonic() - started
    assert took < 500 * 0.05, f"500 jobs in {took:.2f} s"
