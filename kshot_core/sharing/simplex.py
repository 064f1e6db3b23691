"""Simplex-net: a learned code for each architecture (paper section 3, eq. 6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from kshot_core.checks import check_above_zero, check_at_least
from kshot_core.names import check_one_of
from kshot_core.settings import setting
from kshot_core.sharing._strategy import Sharing
from kshot_core.space import Arch, Space, encode
from kshot_core.streams import seeded


@final
class SimplexNet(Sharing):
    """Two-layer MLP with a softmax from the one-hot architecture to the simplex.

    Where a space has widths there are two of them, the architecture branch for the operations and
    the channel branch for the widths (eq. 11, section 5.1). The paper says that they are merged
    and not how; here their outputs are added before the softmax.

    Args:
        num_choices: number of choices at each site.
        K: number of copies.
        width_sites: the sites of the channel branch; without any there is one branch.
        hidden: width of the hidden layers. The paper says two layers and no width.
        canonical: maps an architecture to the one whose encoding is shown to the net; None shows
            it as written, as the paper does.
        seed: of the initial parameters.
        output_scale: what the initial weights of the output layers are multiplied by. As PyTorch
            draws them, all architectures start with nearly the same code, and copies that always
            get the same gradient never part.
        output_bias: whether the output layers have a bias, which prefers copies for all
            architectures alike.

    Raises:
        ValueError: ``output_scale`` is not above 0.
    """

    def __init__(
        self,
        num_choices: Sequence[int],
        K: int,
        *,
        width_sites: Sequence[int] = (),
        hidden: int = 64,
        canonical: Callable[[Arch], Arch] | None = None,
        seed: int = 0,
        output_scale: float = 1.0,
        output_bias: bool = True,
    ) -> None:
        super().__init__()
        if not 0 < output_scale < math.inf:
            raise ValueError(f"the scale of the output weights must be above 0, got {output_scale}")
        self.K = K
        self.num_choices = tuple(num_choices)
        self.canonical = canonical
        widths = set(width_sites)
        operations = [site for site in range(len(self.num_choices)) if site not in widths]
        with seeded(seed):
            self.branches = nn.ModuleList(
                _Branch(self.num_choices, sites, hidden, K, output_bias)
                for sites in (operations, sorted(widths))
                if sites
            )
        with torch.no_grad():
            for branch in self.branches:
                branch.output.weight.mul_(output_scale)  # type: ignore[operator, union-attr]

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """Codes (A, K), rows on the simplex, differentiable in the net's parameters."""
        shown = [self._shown(arch) for arch in archs]
        logits = [branch(shown) for branch in self.branches]
        codes: Tensor = sum(logits[1:], logits[0]).softmax(1)
        return codes

    def reads(self, arch: Arch) -> Hashable:
        """The architecture as it is shown to the net."""
        return self._shown(arch)

    def _shown(self, arch: Arch) -> Arch:
        return arch if self.canonical is None else self.canonical(arch)


class _Branch(nn.Module):
    """Two-layer MLP from the one-hot choices at some sites."""

    def __init__(
        self, num_choices: Sequence[int], sites: Sequence[int], hidden: int, K: int, bias: bool
    ) -> None:
        super().__init__()
        self.sites = tuple(sites)
        self.num_choices = tuple(num_choices[site] for site in sites)
        self.hidden = nn.Linear(sum(self.num_choices), hidden)
        self.output = nn.Linear(hidden, K, bias=bias)

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """What goes into the softmax, (A, K)."""
        choices = [tuple(arch[site] for site in self.sites) for arch in archs]
        onehot = encode(choices, self.num_choices).to(self.output.weight, non_blocking=True)
        logits: Tensor = self.output(self.hidden(onehot).relu())
        return logits


@final
@dataclass(frozen=True)
class SimplexSettings:
    """The simplex-net by its name; see ``SimplexNet``.

    Args:
        encoding: ``"raw"`` shows the net the architecture as written (the paper), ``"canonical"``
            with dead edges removed, so that equal networks get equal codes.
        hidden: width of the hidden layers.
        output_scale: of the output layers' initial weights.
        output_bias: whether the output layers have a bias.
    """

    encoding: str = setting(
        "raw", "what the simplex-net sees: raw (paper), or canonical (dead edges removed)"
    )
    hidden: int = setting(64, "width of the simplex-net's hidden layer")
    output_scale: float = setting(
        1.0, "of the simplex-net's first output weights; above 1 codes differ at once"
    )
    output_bias: bool = setting(
        True, "a bias in the simplex-net's output, which prefers copies for all alike"
    )

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_one_of("encoding", self.encoding, ("raw", "canonical"))
        check_at_least(self, {"hidden": 1})
        check_above_zero(self, "output_scale")

    def __call__(self, space: Space, K: int, seed: int = 0) -> SimplexNet:
        """See ``Strategy``."""
        return SimplexNet(
            space.num_choices,
            K,
            width_sites=space.width_sites,
            hidden=self.hidden,
            canonical=space.canonical if self.encoding == "canonical" else None,
            seed=seed,
            output_scale=self.output_scale,
            output_bias=self.output_bias,
        )
