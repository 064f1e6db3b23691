"""The networks that truth tables are of: their sizes, which their parameters and FLOPs follow from.

What a supernet ranks is compared with counts of these, and not of its own narrow paths.
"""

from __future__ import annotations

from typing import Any

from kshot_core.space import Space
from kshot_core.spaces import (
    DARTS,
    DARTSPTB,
    NASBench101,
    NASBench201,
    NASBenchMacro,
    Proxyless,
)

_DIGITS: dict[str, Any] = {"num_classes": 10, "image_size": 8, "image_channels": 1}
_NARROW: dict[str, Any] = {"channels": 8, "cells": 1, **_DIGITS}
_NETWORKS: dict[tuple[str, str], Space] = {
    ("nasbench101", "cifar10"): NASBench101(),
    ("nasbench101", "digits"): NASBench101(**_NARROW),
    ("nasbench201", "cifar10"): NASBench201(),
    ("nasbench201", "digits"): NASBench201(**_NARROW),
    ("darts", "cifar10"): DARTS(),
    ("darts", "cifar10-40k"): DARTS(channels=32, layers=8),
    ("darts", "digits"): DARTS(channels=4, layers=3, **_DIGITS),
    ("darts_ptb", "penn-treebank"): DARTSPTB(),
    ("darts_ptb", "grammar"): DARTSPTB(units=16, num_classes=72),
    ("proxyless", "imagenet"): Proxyless(width=1.35),
    ("proxyless", "digits"): Proxyless(
        stages=((8, 2, 1), (16, 2, 2)), stem=8, first=8, head=32, stem_stride=1, **_DIGITS
    ),
    ("nasbench_macro", "cifar10"): NASBenchMacro(),
}


def network_of(space: Space, trained_on: str) -> Space:
    """The space at the size of the networks whose accuracies a truth column holds.

    Args:
        space: of a run; it is returned where nothing is known of the truth's own networks.
        trained_on: the first part of the column's name.
    """
    return _NETWORKS.get((space.name, trained_on), space)
