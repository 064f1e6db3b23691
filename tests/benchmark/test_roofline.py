"""Hours on a GPU, estimated from the operations of a step."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.config.run import RunConfig, run_config
from benchmark.study.roofline import (
    HOST_SECONDS,
    KERNEL_SECONDS,
    PEAK_BYTES,
    PEAK_FLOPS,
    SHARE_OF_BYTES,
    SHARE_OF_FLOPS,
    device_seconds,
    estimates,
    num_steps,
    roofline_lines,
    seconds_of,
)
from kshot_core.training.recipe import Recipe
from kshot_core.training.rehearsal import Operation


def _config(**changes: Any) -> RunConfig:
    small: dict[str, Any] = {"channels": 4, "cells": 1, "image_size": 8, "epochs": 10}
    return run_config("paper", "cifar10", small | {"archs": 100} | changes)


def test_an_operation_takes_its_slower_part() -> None:
    moved, multiplied = 1e-3 * SHARE_OF_BYTES * PEAK_BYTES, 2e-3 * SHARE_OF_FLOPS * PEAK_FLOPS
    assert device_seconds([Operation("add", int(moved), 0)]) == pytest.approx(1e-3)
    conv = Operation("convolution", int(moved), int(multiplied))
    assert device_seconds([conv]) == pytest.approx(2e-3)
    assert device_seconds([Operation("add", 8, 0)] * 5) == pytest.approx(5 * KERNEL_SECONDS)
    # Small ones are asked for more slowly than they are done.
    assert seconds_of([Operation("add", 8, 0)] * 5) == pytest.approx(5 * HOST_SECONDS)
    assert seconds_of([conv]) == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (7, 3)),
        ({"warmup_epochs": 2}, (8, 2)),
        ({"simplex_batches": "extra"}, (10, 5)),
        ({"schedule": "joint", "warmup_epochs": 1}, (10, 8)),
    ],
)
def test_steps_of_a_training(changes: dict[str, Any], expected: tuple[int, int]) -> None:
    """Two batches an epoch, five epochs, every third step the simplex-net's."""
    recipe = Recipe(**{"epochs": 5, "warmup_epochs": 0, "simplex_every": 3, **changes})
    assert num_steps(recipe, 130, learns=True) == expected
    assert num_steps(recipe, 130, learns=False) == (10, 0)


def test_estimates_of_runs() -> None:
    configs = [_config(K=K, seed=seed) for K in (1, 4) for seed in (0, 1)]
    one, same, four, _ = estimates(configs)
    assert one is not None
    assert four is not None
    assert one == same
    assert one.simplex_step == 0 < four.simplex_step
    assert 0 < one.weight_step <= four.weight_step
    # Tiny images: it is the processor that a GPU waits for.
    assert 0.5 < one.waits < 1
    assert one.training == pytest.approx(one.weight_step * 10 * 390)
    assert one.scoring == pytest.approx(one.arch * 100)
    lines = roofline_lines(configs)
    assert lines[0].startswith("on one H100")
    assert "an estimate" in lines[0]
    assert lines[-1].startswith("  4 runs: about ")
    assert estimates([run_config("quick", "digits", {})]) == [None]
