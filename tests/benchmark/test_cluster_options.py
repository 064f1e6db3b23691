"""Jobs on a cluster: what is refused, and what a node lacks; none of it needs Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray_jobs import version

from benchmark.cli.errors import UserError
from benchmark.study.command import main
from benchmark.workers.node import lacking


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
        main(["table9", "--results", str(tmp_path), *given])
    assert not any(tmp_path.iterdir())
