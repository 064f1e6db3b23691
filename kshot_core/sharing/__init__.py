"""Sharing strategies, by name: which code an architecture gets. One file each.

A strategy is a ``Sharing``: a module mapping architectures to codes (A, K), every row on the
simplex. If it has parameters they are trained by the simplex step. ``reads(arch)`` says what of an
architecture the code depends on, so that equal networks are scored once where that is exact.

A new one: a file here, and a line in ``SHARING``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kshot_core.sharing._strategy import Sharing as Sharing
from kshot_core.sharing.few_shot import FewShot
from kshot_core.sharing.fixed import Fixed
from kshot_core.sharing.one_shot import OneShot
from kshot_core.sharing.random import RandomCodes
from kshot_core.sharing.simplex import SimplexNet
from kshot_core.space import Space


@dataclass(frozen=True)
class SharingOptions:
    """Settings of the strategies; each uses what concerns it.

    Args:
        encoding: ``"raw"`` shows the simplex-net the architecture as written (the paper),
            ``"canonical"`` with dead edges removed, so that equal networks get equal codes.
        hidden: width of the simplex-net's hidden layer; the paper does not state it.
        output_scale: of the simplex-net's output weights at the start, see ``SimplexNet``.
        output_bias: whether its output layers have a bias.
        edge: the site whose choice picks the copy in few-shot sharing.
        seed: of initial parameters and of frozen random codes.
    """

    encoding: str = "raw"
    hidden: int = 64
    output_scale: float = 1.0
    output_bias: bool = True
    edge: int = 0
    seed: int = 0


def _one_shot(space: Space, K: int, options: SharingOptions) -> Sharing:
    return OneShot(K)


def _fixed(space: Space, K: int, options: SharingOptions) -> Sharing:
    return Fixed(K)


def _random(space: Space, K: int, options: SharingOptions) -> Sharing:
    return RandomCodes(space.num_choices, K, seed=options.seed)


def _few_shot(space: Space, K: int, options: SharingOptions) -> Sharing:
    return FewShot(space.num_choices, K, site=options.edge)


def _simplex(space: Space, K: int, options: SharingOptions) -> Sharing:
    if options.encoding not in ("raw", "canonical"):
        raise ValueError(f'encoding is "raw" or "canonical", got {options.encoding!r}')
    canonical = space.canonical if options.encoding == "canonical" else None
    return SimplexNet(
        space.num_choices,
        K,
        width_sites=space.width_sites,
        hidden=options.hidden,
        canonical=canonical,
        seed=options.seed,
        output_scale=options.output_scale,
        output_bias=options.output_bias,
    )


SHARING: dict[str, Callable[[Space, int, SharingOptions], Sharing]] = {
    "one-shot": _one_shot,
    "fixed": _fixed,
    "random": _random,
    "few-shot": _few_shot,
    "simplex": _simplex,
}
