"""What a node of a Ray cluster runs before a job: whether it can, and as what.

It imports no torch, which takes seconds and which a node is asked without.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from benchmark.cli.errors import UserError

Result = TypeVar("Result")
PROBE = ".seen-by-"
"""What the names of files start with that show which nodes see the results folder."""
EVERYBODY = f"{PROBE}all-"
"""The same of the file that every node looks for."""


def lacking(
    results: Path, paths: Sequence[Path], token: str, node: str, code_version: Callable[[], str]
) -> tuple[str, str]:
    """What a node lacks, in words, or nothing; and the version of its code. Runs on the node.

    Args:
        results: the results folder, with a file by which it is known.
        paths: what else must be there.
        token: what is in that file.
        node: a name for the file that the node writes in answer.
        code_version: tells the version.
    """
    probe = results / f"{EVERYBODY}{token}"
    advice = "mount the storage that holds it there, under the same path"
    try:
        if probe.read_text(encoding="utf-8") != token:
            return f"sees another {results}: {advice}", ""
    except OSError:
        return f"does not see {results}: {advice}", ""
    try:
        (results / f"{PROBE}{node}-{token}").write_text(token, encoding="utf-8")
    except OSError as error:
        return f"cannot write to {results} ({error.strerror})", ""
    absent = [str(path) for path in paths if not path.exists()]
    if absent:
        return f"does not see {', '.join(absent)}: {advice}", ""
    return "", code_version()


def run_here(
    probe: Path,
    folder: str,
    environment: dict[str, str],
    prepare: Callable[[], object],
    function: Callable[..., Result],
    *given: object,
) -> Result:
    """Run a job as on the machine that asked for it: relative paths and variables mean the same.

    Args:
        probe: a file that every node sees.
        folder: where the program was started.
        environment: variables to set.
        prepare: called before the job.
        function: the job.
        given: what it is called with.

    Raises:
        UserError: this node does not see the probe; and whatever the job raises.
    """
    if not probe.exists():
        # A node that joined the cluster later was not asked.
        raise UserError(
            f"node {platform.node()} does not see {probe.parent}: mount the storage that holds it "
            "there, under the same path"
        )
    if Path(folder).is_dir():
        os.chdir(folder)
    os.environ.update(environment)
    prepare()
    return function(*given)
