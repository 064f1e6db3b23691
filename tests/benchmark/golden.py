"""Golden values: what tiny runs gave when they were last looked at.

``python tests/benchmark/golden.py`` runs them again and rewrites ``golden.json``. Do that only when
a change is meant to change results, and say so in the changelog. Bits of other platforms are left
out then, since they are no longer true; ``--add`` on such a machine adds its bits to the others.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.backends.cpu import get_cpu_capability

ROOT = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmark")]

from runs import TINY, run_tiny, write_truth  # noqa: E402

from benchmark.config.run import RunConfig  # noqa: E402
from benchmark.records import environment  # noqa: E402
from benchmark.run.execute import run_one  # noqa: E402
from benchmark.train.setup import Places  # noqa: E402

PATH = Path(__file__).with_name("golden.json")

TINY_RUNS = {
    "simplex": TINY,
    "one-shot": TINY.changed(sharing="one-shot", K=1, batch_norm="running"),
    "few-shot": TINY.changed(sharing="few-shot", K=5, sampler="balanced"),
}

# Long enough for a ranking, short enough for a test: 1,250 steps, 100 architectures.
RANKING = RunConfig.of(
    K=1,
    sharing="one-shot",
    channels=8,
    cells=1,
    epochs=2,
    batch_size=64,
    learning_rate=0.05,
    warmup_epochs=0,
    archs=100,
    score_images=500,
    score_batch_size=250,
)
RANKINGS = {
    "one-shot": RANKING,
    "simplex": RANKING.changed(K=4, sharing="simplex", simplex_every=8),
}
NUM_SEEDS = 3


def platform() -> str:
    """What has to be the same for the same bits: torch, the processor's make and instructions."""
    described = environment.describe(torch.device("cpu"))
    make = described["processor"].split("(")[0].split()[0]
    version, instructions = described["torch"].partition("+")[0], get_cpu_capability()
    return f"torch {version}, {make}, {instructions}"


@dataclass(frozen=True)
class Fingerprint:
    """What a tiny run predicts: ``sha256`` of its file, and ``losses`` (A,) to four digits."""

    sha256: str
    losses: list[float]

    def distance(self, losses: list[float]) -> float:
        """Root of the mean squared difference of the losses from others."""
        return float(np.sqrt(np.mean(np.square(np.subtract(self.losses, losses)))))


def fingerprint(config: RunConfig) -> Fingerprint:
    """The predictions of a tiny run."""
    with tempfile.TemporaryDirectory() as folder:
        truth = write_truth(Path(folder) / "truth.csv")
        run_tiny(config, Path(folder), truth)
        (path,) = Path(folder).glob("records/*/*/*/*/predictions.npy")
        predictions = np.load(path, allow_pickle=False)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Fingerprint(digest, [round(float(loss), 4) for loss in predictions["loss"]])


def mismatch(found: Fingerprint, stored: dict[str, Any], where: str) -> str:
    """What is wrong with a tiny run's predictions, or nothing.

    Args:
        found: the run's.
        stored: ``losses``, ``seed_distance`` and the checksum of each platform of ``sha256``.
        where: the platform it ran on. On one that has a stored checksum the bits must be its; on
            any the losses must be those stored as far as rounding goes, which on runs so short
            is far less than another seed makes.
    """
    expected = stored["sha256"].get(where, found.sha256)
    if found.sha256 != expected:
        return f"the bits on {where} are {found.sha256}, stored {expected}"
    distance, most = found.distance(stored["losses"]), stored["seed_distance"] / 10
    if distance > most:
        return f"the losses are {distance:.4f} from the stored ones, more than {most:.4f}"
    return ""


def ranking_score(config: RunConfig) -> float:
    """Kendall's tau-b of a short run against the shipped truth."""

    def ignore(stage: str, done: int, total: int) -> None:
        pass

    with tempfile.TemporaryDirectory() as folder:
        record = run_one(config, Places(results=Path(folder)), torch.device("cpu"), ignore)
    tau: float = record["metrics"]["kendall_tau_b"]
    return tau


def add() -> None:
    """Store this platform's bits beside the others'. Raises where its losses are not theirs."""
    golden = json.loads(PATH.read_text(encoding="utf-8"))
    for name, config in TINY_RUNS.items():
        stored, found = golden["tiny"][name], fingerprint(config)
        stored["sha256"].pop(platform(), None)
        if wrong := mismatch(found, stored, platform()):
            raise SystemExit(f"{name}: {wrong}; nothing was stored")
        stored["sha256"][platform()] = found.sha256
    _write(golden)


def rewrite() -> None:
    """Run everything and store it, as results of this platform alone."""
    scores = {
        name: [ranking_score(config.changed(seed=seed)) for seed in range(NUM_SEEDS)]
        for name, config in RANKINGS.items()
    }
    golden: dict[str, Any] = {
        "tiny": {},
        "ranking": {
            name: {
                "kendall_tau_b_by_seed": [round(tau, 4) for tau in taus],
                "mean": round(float(np.mean(taus)), 4),
                "sd": round(float(np.std(taus, ddof=1)), 4),
            }
            for name, taus in scores.items()
        },
    }
    for name, config in TINY_RUNS.items():
        found, other = fingerprint(config), fingerprint(config.changed(seed=1))
        golden["tiny"][name] = {
            "sha256": {platform(): found.sha256},
            "losses": found.losses,
            "seed_distance": round(found.distance(other.losses), 4),
        }
    _write(golden)


def _write(golden: dict[str, Any]) -> None:
    PATH.write_text(json.dumps(golden, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] not in ([], ["--add"]):
        raise SystemExit("golden.py takes nothing, or --add")
    add() if sys.argv[1:] else rewrite()
