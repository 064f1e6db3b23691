"""Settings that several spaces have."""

from __future__ import annotations

from kshot_core.settings import setting


def batch_norm_setting() -> str:
    """The field ``batch_norm``; networks that are trained alone keep running averages."""
    return setting(
        "batch",
        "batch: normalise by each batch's own statistics; running: running averages",
        alone="running",
    )


def check_batch_norm(value: str) -> None:
    """Refuse with ``ValueError`` what is no way to normalise."""
    if value not in ("batch", "running"):
        raise ValueError(f'batch_norm is "batch" or "running", got {value!r}')
