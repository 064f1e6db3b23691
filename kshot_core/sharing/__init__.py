"""Sharing strategies, by name: which code an architecture gets. One file each.

A strategy is a ``Sharing``: a module mapping architectures to codes (A, K), every row on the
simplex. If it has parameters they are trained by the simplex step. ``reads(arch)`` says what of an
architecture the code depends on, so that equal networks are scored once where that is exact.

A new one: a file here, and a line in ``SHARING``: a function, or the frozen dataclass of its
settings, whose instances are called alike. One with a warm-up of its own has it as a method, see
``OwnWarmup``.
"""

from __future__ import annotations

from kshot_core.sharing._strategy import OwnWarmup as OwnWarmup
from kshot_core.sharing._strategy import Sharing as Sharing
from kshot_core.sharing._strategy import Strategy as Strategy
from kshot_core.sharing.few_shot import FewShotSettings
from kshot_core.sharing.fixed import Fixed
from kshot_core.sharing.one_shot import OneShot
from kshot_core.sharing.random import RandomSettings
from kshot_core.sharing.simplex import SimplexSettings
from kshot_core.space import Space


def _one_shot(space: Space, K: int, seed: int = 0) -> Sharing:
    return OneShot(K)


def _fixed(space: Space, K: int, seed: int = 0) -> Sharing:
    return Fixed(K)


SHARING: dict[str, Strategy] = {
    "one-shot": _one_shot,
    "fixed": _fixed,
    "random": RandomSettings(),
    "few-shot": FewShotSettings(),
    "simplex": SimplexSettings(),
}
