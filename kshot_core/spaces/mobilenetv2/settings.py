"""Stages and widths of MobileNetV2 as short texts, for command lines and records."""

from __future__ import annotations

import re

Stages = tuple[tuple[int, int, int], ...]


def check_stages(stages: Stages, stem_stride: int) -> None:
    """Refuse with ``ValueError`` a network without stages, or layers that no network has."""
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride is 1 or 2, got {stem_stride}")
    if not stages:
        raise ValueError("stages must be at least one, got none")
    for channels, layers, stride in stages:
        if min(channels, layers) < 1 or stride not in (1, 2):
            raise ValueError(
                f"a stage is (channels, layers, stride 1 or 2), got {(channels, layers, stride)}"
            )


def read_stages(text: str) -> Stages:
    """Channels x layers / stride of each stage, like ``32x4/2,40x4/2``; ``ValueError`` of another.

    Stages are separated by commas, semicolons or white space.
    """
    plain = re.sub(r"\s*([x/])\s*", r"\1", str(text).casefold().replace("×", "x"))
    found = [
        re.fullmatch(r"(\d{1,5})x(\d{1,3})/(\d)", part, re.ASCII) for part in _split(plain) or [""]
    ]
    matches = [match for match in found if match is not None]
    if len(matches) < len(found):
        raise ValueError(
            f"stages are channels x layers / stride, like 32x4/2,40x4/2, got {text[:80]!r}"
        )
    return tuple((int(match[1]), int(match[2]), int(match[3])) for match in matches)


def write_stages(stages: Stages) -> str:
    """The text of stages."""
    return ",".join(f"{width}x{num}/{stride}" for width, num, stride in stages)


def read_factors(text: str) -> tuple[float, ...]:
    """Numbers like ``0.5,1.0``; between semicolons a comma is a decimal one."""
    parts = text.strip(" ;").replace(",", ".").split(";") if ";" in text else _split(text)
    try:
        return tuple(float(part) for part in parts or [text])
    except ValueError:
        raise ValueError(f"factors are numbers like 0.5,1.0, got {text[:80]!r}") from None


def write_factors(factors: tuple[float, ...]) -> str:
    """The text of factors."""
    return ",".join(map(str, factors))


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"[,;\s]+", text) if part]
