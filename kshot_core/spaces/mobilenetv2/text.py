"""How blocks are written: ``k3e6``, ``k7e3s`` with squeeze-and-excitation, ``id``."""

from __future__ import annotations

from collections.abc import Sequence

from kshot_core.spaces.mobilenetv2.network import Operation


def text_of(operation: Operation) -> str:
    """A block's text."""
    if operation.kernel == 0:
        return "id"
    return f"k{operation.kernel}e{operation.expansion}" + "s" * operation.excites


def positions(text: str, names: Sequence[str]) -> list[int]:
    """Places in ``names`` of words between commas. Raises ``ValueError`` naming one it has not."""
    parts = text.split(",")
    for part in parts:
        if part not in names:
            raise ValueError(f"expected one of {', '.join(names)}, got {part[:40]!r}")
    return [names.index(part) for part in parts]
