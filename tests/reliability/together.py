"""Starts one study in several processes on the same folder, and prints who finished what.

python together.py FOLDER NUM_PROCESSES
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from killer import forked, prepare
from runs import write_truth

from benchmark.pipeline.stages import Machine, local_crew
from benchmark.records.folders import ConfigFolder
from benchmark.study.definition import Row, Size, Study
from benchmark.study.execute import check_study, run_study
from benchmark.train.setup import Places

STUDY = Study(
    name="together",
    title="Several processes",
    question="Is each job done once?",
    kind="rank",
    rows=(
        Row("K1", "K = 1", {"K": 1, "sharing": "one-shot"}),
        Row("K2", "K = 2", {"K": 2}),
        Row("fixed", "fixed", {"K": 2, "sharing": "fixed"}),
    ),
    sizes={
        "tiny": Size(
            "quick",
            "digits",
            {
                "channels": 4,
                "cells": 1,
                "epochs": 2,
                "batch_size": 50,
                "train_images": 200,
                "warmup_epochs": 0,
                "archs": 8,
                "score_images": 50,
                "score_batch_size": 50,
                "track_every": 0,
            },
            seeds=(0, 1),
        )
    },
    answer=lambda data: "",
    tables=(),
)


def main() -> None:
    """Fork, run, wait; print the lines that finished work left."""
    root, num = Path(sys.argv[1]), int(sys.argv[2])
    prepare()
    places = Places(results=root / "results", truth=write_truth(root / "truth.csv"))
    machine = Machine(places, torch.device("cpu"), 1, 0.0)
    log, complete = root / "log", ConfigFolder.complete

    def logged(folder: ConfigFolder, record: Mapping[str, Any], *given: Any) -> dict[str, Any]:
        whole = complete(folder, record, *given)
        line = f"{os.getpid()} {folder.path.relative_to(places.results)}\n"
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, line.encode())
        os.close(handle)
        return whole

    ConfigFolder.complete = logged  # type: ignore[method-assign]

    def work() -> None:
        check_study(STUDY, "tiny", places)
        with local_crew(machine) as crew:
            failures = run_study(STUDY, "tiny", crew)
        assert not failures, failures

    def all_at_once() -> None:
        processes = []
        for _ in range(num):
            process = os.fork()
            if process == 0:
                os._exit(forked(work))
            processes.append(process)
        ended = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in processes]
        assert ended == [0] * num, ended

    all_at_once()
    sys.stdout.write(json.dumps([line.split(" ", 1) for line in log.read_text().splitlines()]))


if __name__ == "__main__":
    main()
