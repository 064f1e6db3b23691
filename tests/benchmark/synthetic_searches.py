"""Made-up supernets, searches and retrainings in the layout of ``results``: nothing is trained."""

from __future__ import annotations

import csv
import dataclasses
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config.retrain import RetrainConfig
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig
from benchmark.config.space import StandaloneSpace
from kshot_core.space import Space

SMALL = {"space": "mobilenetv2", "stages": "8x2/2,16x3/2", "stem": 8, "first": 8, "head": 32}
ENVIRONMENT = {"device": "cpu", "processor": "made up", "num_threads": 1, "torch": "2.6"}
COLUMN = "digits/valid/10ep/mean"
_RUN = RunConfig.known().keys()


def run_config(**changes: Any) -> RunConfig:
    """A small MobileNetV2 supernet on digits; one-shot where K is 1."""
    settings = {"dataset": "digits", "epochs": 20, "K": 8, **SMALL, **changes}
    settings.setdefault("sharing", "simplex")
    if settings["K"] == 1:
        settings["sharing"] = "one-shot"
    return RunConfig.assembled({}, settings)


def write_supernet(results: Path, record: Mapping[str, Any] = {}, **changes: Any) -> Path:
    """Write one trained supernet; returns its folder.

    Args:
        results: the results folder.
        record: entries of the record that differ.
        changes: settings of its config.
    """
    config = run_config(**changes).training_only()
    folder = results / config.supernet_place()
    whole = {
        "schema": 1, "kind": "supernet", "config": config.to_dict(), "environment": ENVIRONMENT,
        "data": {"trained_on": config.dataset.name}, "seconds": {"training": 100.0 + config.K},
        "seconds_per_epoch": 5.0 * (1 + config.K / 100), "num_processes": 1,
        "peak_memory_bytes": (100 + config.K) * 2**20, "num_weight_steps": 800,
        "num_simplex_steps": 0,
    }  # fmt: skip
    return _write(folder, {**whole, **record})


def write_search(
    results: Path, record: Mapping[str, Any] = {}, best: Mapping[str, Any] = {}, **changes: Any
) -> Path:
    """Write one finished search with all its files; returns its folder.

    Args:
        results: the results folder.
        record: entries of the record that differ.
        best: entries of what was found that differ.
        changes: settings of its config, the supernet's and the search's.
    """
    run = run_config(**{name: value for name, value in changes.items() if name in _RUN})
    own = {name: value for name, value in changes.items() if name not in _RUN}
    config = SearchConfig.of(**{"population": 10, "parents": 5, "generations": 6, **own})
    config = dataclasses.replace(config, run=run)
    space = run.space.without_images()
    # Of what was asked for, so that a new setting elsewhere changes nothing here.
    rows = _scored(space, config, json.dumps(changes, sort_keys=True))
    chosen = min(rows, key=lambda row: (-row["accuracy"], row["loss"], row["flops"]))
    folder = results / config.place()
    truth = "true" in chosen
    whole = {
        "schema": 1, "kind": "search", "config": config.to_dict(), "environment": ENVIRONMENT,
        "data": {"trained_on": run.dataset.name},
        "seconds": {"search": 30.0, "supernets": 100.0 * len(config.supernets())},
        "seconds_per_arch": 0.5, "peak_memory_bytes": 120 * 2**20, "num_processes": 1,
        "num_scored": len(rows),
        "supernets": [f"supernets/{one.seed}" for one in config.supernets()],
        "best": {"true": None} | {k: v for k, v in chosen.items() if k != "generation"} | best,
        "optimum": {"arch": chosen["arch"], "true": 90.0} if truth else None,
        "truth": {"column": COLUMN, "file": "t.csv", "sha256": "0" * 64} if truth else None,
    }  # fmt: skip
    _write(folder, {**whole, **record})
    _write_csv(folder / "evaluated.csv", rows)
    front: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row["flops"], -row["accuracy"])):
        if not front or row["accuracy"] > front[-1]["accuracy"]:
            front.append({name: row[name] for name in ("arch", "accuracy", "flops", "params")})
    _write_csv(folder / "front.csv", front)
    if not config.ensemble:
        draws = np.random.default_rng([run.K, run.seed])
        codes = draws.dirichlet([3.0] * run.K, size=len(rows)).astype(np.float32)
        np.save(folder / "codes.npy", codes)
    return folder


def write_retrained(
    results: Path, search: Path | None, top1: float, record: Mapping[str, Any] = {}, **changes: Any
) -> Path:
    """Write one retraining of what a search found; returns its folder.

    Args:
        results: the results folder.
        search: the search's folder; None for an architecture given by hand.
        top1: accuracy in percent; the others follow from it.
        record: entries of the record that differ.
        changes: settings of its config.
    """
    settings: dict[str, Any] = {"dataset": "digits", "epochs": 6, "batch_size": 64, **SMALL}
    origin = None
    if search is not None:
        found = json.loads((search / "record.json").read_text())
        searched = SearchConfig.from_dict(found["config"]).run
        space = StandaloneSpace.like(searched.space)
        settings |= {"space": space.name, **space.plain(), "dataset": searched.dataset.name}
        settings["arch"] = found["best"]["arch"]
        place = search.relative_to(results).as_posix()
        origin = {"record": place, "config": found["config"]}
    config = RetrainConfig.of(**{**settings, **changes})
    alone = config.space.without_images()
    arch = alone.from_string(config.arch)
    folder = results / config.place()
    whole = {
        "schema": 1, "kind": "retrained", "config": config.to_dict(), "environment": ENVIRONMENT,
        "data": {"trained_on": config.dataset.name}, "search": origin, "flops": alone.flops(arch),
        "params": alone.params(arch), "top1": top1, "top5": top1 + 5.0, "top1_raw": top1 - 1.0,
        "top5_raw": top1 + 4.0, "num_test_images": 1000, "seconds": {"training": 10.0},
    }  # fmt: skip
    return _write(folder, {**whole, **record})


def change(folder: Path, **changes: Any) -> None:
    """Overwrite entries of a record; names with ``__`` reach inside."""
    record = json.loads((folder / "record.json").read_text())
    for name, value in changes.items():
        *parents, last = name.split("__")
        place = record
        for parent in parents:
            place = place[parent]
        place[last] = value
    (folder / "record.json").write_text(json.dumps(record))


def _scored(space: Space, config: SearchConfig, seed: str) -> list[dict[str, Any]]:
    """Architectures that get better from one generation to the next, within the limits."""
    draws = random.Random(seed)
    limits, rows = config.limits(), list[dict[str, Any]]()
    while len(rows) < config.search.population * config.search.generations:
        arch = tuple(draws.randrange(num) for num in space.num_choices)
        if not limits.allow(space, arch):
            continue
        generation = 1 + len(rows) // config.search.population
        cost = space.flops(arch) / space.flops(space.extremes()[1])
        gain = 2.0 * generation if config.method == "nsga2" else 6.0
        accuracy = round(50 + 20 * cost**0.3 + gain + config.run.K / 4 + draws.gauss(0, 2), 2)
        rows.append(
            {
                "number": len(rows), "generation": generation, "arch": space.to_string(arch),
                "accuracy": accuracy, "loss": round(3 - accuracy / 40, 4),
                "flops": space.flops(arch), "params": space.params(arch),
            }
        )  # fmt: skip
        if space.name == "nasbench201":
            rows[-1]["true"] = round(min(90.0, 60 + 0.35 * accuracy + draws.gauss(0, 2)), 2)
    return rows


def _write(folder: Path, record: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
