"""The protocol of the studies on the embedded data, whatever the preset of the day is."""

from __future__ import annotations

from typing import Any

BALANCED: dict[str, Any] = {
    "sampler": "balanced", "epochs": 6, "learning_rate": 0.05, "warmup_epochs": 0,
    "simplex_batches": "extra", "simplex_every": 4, "num_groups": 8, "output_scale": 10.0,
}  # fmt: skip
"""Six epochs of balanced paths: 5,622 weight steps at every K, codes that differ from the start."""
