"""Made-up finished runs in the layout of ``results/records``: no training, a second to write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.records.load import PREDICTION
from kshot_core.metrics.correlation import bootstrap_interval, kendall_tau_b, summary
from kshot_core.metrics.ties import Vector

NUM_ARCHS = 400
COLUMN = "digits/valid/10ep/mean"


def truth_values(num_archs: int = NUM_ARCHS) -> Vector:
    """Stand-alone accuracies in percent (A,), skewed like a real table."""
    return 90.0 - 25.0 * np.random.default_rng(7).beta(1.5, 4.0, num_archs)


def write_records(
    results: Path,
    copies: Sequence[int] = (1, 2, 8),
    num_seeds: int = 3,
    datasets: Sequence[str] = ("digits",),
    **config: Any,
) -> list[Path]:
    """Write one finished run per data set, K and seed; returns their folders.

    ``config`` overrides entries of the config, for runs of another protocol.
    """
    return [
        write_run(results, {"dataset": dataset, "K": K, "seed": seed, **config})
        for dataset in datasets
        for K in copies
        for seed in range(num_seeds)
    ]


def write_run(results: Path, changes: dict[str, Any]) -> Path:
    """Write one finished run whose quality grows a little with K; returns its folder."""
    config = {
        "dataset": "digits", "sharing": "simplex", "K": 1, "seed": 0, "sampler": "uniform",
        "epochs": 20, "preset": "quick", "encoding": "raw", "batch_norm": "batch",
        "schedule": "alternate", **changes,
    }  # fmt: skip
    copies, num_epochs = int(config["K"]), int(config["epochs"])
    generator = np.random.default_rng([copies, int(config["seed"]), len(config["sharing"])])
    truth = truth_values()

    def noisy(scale: float) -> Vector:
        return truth + scale * generator.normal(size=truth.size)

    other_seed = truth + np.random.default_rng(1).normal(size=truth.size)
    fixed = {
        name: summary(truth + scale * np.random.default_rng(2).normal(size=truth.size), truth)
        for name, scale in (("params", 3.5), ("flops", 4.5), ("live_convolutions", 6.0))
    }
    predicted = noisy(4.0 - 0.25 * min(copies, 8)) - 20.0
    scores = np.zeros(truth.size, dtype=PREDICTION)
    scores["index"] = np.sort(np.random.default_rng(3).permutation(15625)[: truth.size])
    column = COLUMN.replace("digits", str(config["dataset"]))
    scores["accuracy"], scores["loss"] = predicted, 3.0 - predicted / 40.0
    scores["true"] = truth
    folder = (
        results / "records" / str(config["dataset"]) / "nasbench201"
        / f"{config['sharing']}-K{copies}" / f"seed{config['seed']}-{_hash(config)}"
    )  # fmt: skip
    folder.mkdir(parents=True)
    np.save(folder / "predictions.npy", scores)
    codes = generator.dirichlet([3.0] * copies, size=truth.size).astype(np.float32)
    np.save(folder / "codes.npy", codes)
    log = []
    for epoch in range(1, num_epochs + 1):
        row = {
            "epoch": epoch, "weight_loss": 2.3 / epoch**0.3, "learning_rate": 0.02,
            "simplex_loss": None if copies == 1 else 2.4 / epoch**0.3, "seconds": 1.5,
            "num_weight_steps": 80 * epoch, "num_simplex_steps": 0, "code_entropy": 0.9,
        }  # fmt: skip
        if epoch % 5 == 0:
            row["kendall_tau_b"] = kendall_tau_b(noisy(3.0 + 30.0 / epoch), truth)
        log.append(json.dumps(row))
    (folder / "log.jsonl").write_text("\n".join(log) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    metrics = summary(scores["accuracy"], truth)
    record = {
        "schema": 1, "config": config, "environment": {"torch": "2.6"}, "data": {},
        "truth": {"column": column, "file": "truth.csv", "sha256": "0" * 64},
        "num_archs": truth.size, "metrics": metrics, "controls": fixed,
        "intervals": {"kendall_tau_b": bootstrap_interval(kendall_tau_b, predicted, truth, 20)},
        "ceiling": summary(other_seed, truth),
        "seconds": {"wall": 40.0, "training": 30.0, "scoring": 8.0},
        "num_weight_steps": 80 * num_epochs, "num_simplex_steps": 0,
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def _hash(config: dict[str, Any]) -> str:
    """Eight digits that differ between configs; not the real runs' hash."""
    digits = json.dumps(config, sort_keys=True).encode()
    return f"{int.from_bytes(digits, 'big') % (16**8 - 5):08x}"
