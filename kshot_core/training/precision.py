"""Number formats of a forward pass."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from kshot_core.names import check_one_of

PRECISIONS = ("float32", "bfloat16")


def precise(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """A forward pass in this precision.

    Args:
        device: where it runs.
        precision: ``"float32"``, or ``"bfloat16"``: convolutions and products in 16 bits, while
            weights, their merging, batch-norm's statistics and losses stay in 32.

    Raises:
        ValueError: another precision.
    """
    check_one_of("precision", precision, PRECISIONS)
    if precision == "float32":
        return nullcontext()
    # Merged weights are read once: nothing to keep converted.
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
