"""Processes that train together stop together, though one alone was asked to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.records.sealed import load_tensors

NUM = 2
SETTINGS = {
    "space": "nasbench201", "channels": 4, "cells": 1, "K": 2, "epochs": 3, "warmup_epochs": 1,
    "batch_size": 40, "train_images": 1000, "num_groups": 4, "score_images": 40,
    "score_batch_size": 40, "population": 2, "generations": 1, "parents": 1,
    "checkpoint_seconds": 0, "device": "cpu",
}  # fmt: skip
LINE = "stopped; the same command goes on from the last checkpoint\n"


def started(results: Path) -> list[subprocess.Popen[str]]:
    """The processes as torchrun starts them, but that one which ends is the end of no other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(NUM)}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    command = [sys.executable, "-m", "benchmark.search", *options, "--results", str(results)]
    return [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(NUM)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> tuple[list[int], list[str]]:
    """Codes and standard errors; whoever waits for another for good is killed."""
    try:
        told = [one.communicate(timeout=600)[1] for one in processes]
    finally:
        for one in processes:
            one.kill()
    return [one.returncode for one in processes], told


@pytest.mark.parametrize(
    "asked", [1, pytest.param(0, marks=pytest.mark.nightly)], ids=["second", "first"]
)
def test_sigterm_of_one_process_stops_all_at_one_step_and_the_run_goes_on_to_the_same_bytes(
    asked: int, tmp_path: Path
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    codes, told = ended(started(whole))
    assert codes == [0] * NUM, told
    processes = started(stopped)
    pattern = "supernets/*/*/*/*/checkpoint.safetensors"
    while not (found := list(stopped.glob(pattern))) and processes[0].poll() is None:
        time.sleep(0.005)
    processes[asked].send_signal(signal.SIGTERM)
    codes, told = ended(processes)
    assert codes == [143] * NUM, told
    assert all(one.endswith(LINE) for one in told), told
    (checkpoint,) = found
    state, _ = load_tensors(checkpoint)
    assert int(state["pass/batches/num_done"]) > 0, "saved in the midst of an epoch"
    codes, told = ended(started(stopped))
    assert codes == [0] * NUM, told
    for name in ("supernet.safetensors", "evaluated.csv", "arch.json"):
        one, other = (next(folder.rglob(name)) for folder in (whole, stopped))
        assert one.read_bytes() == other.read_bytes(), name
