"""Simplex-net: a learned code for each architecture (paper section 3, eq. 6)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from torch import Tensor, nn

from kshot_core.space import Arch, encode
from kshot_core.streams import seeded


class SimplexNet(nn.Module):
    """Two-layer MLP with a softmax from the one-hot architecture to the simplex.

    Args:
        num_choices: number of choices at each site.
        K: number of copies.
        hidden: width of the hidden layer. The paper says two layers and no width.
        canonical: maps an architecture to the one whose encoding is shown to the net; None shows
            it as written, as the paper does.
        seed: of the initial parameters.
    """

    def __init__(
        self,
        num_choices: Sequence[int],
        K: int,
        *,
        hidden: int = 64,
        canonical: Callable[[Arch], Arch] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.K = K
        self.num_choices = tuple(num_choices)
        self.canonical = canonical
        with seeded(seed):
            self.hidden = nn.Linear(sum(self.num_choices), hidden)
            self.output = nn.Linear(hidden, K)

    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """Codes (A, K), rows on the simplex, differentiable in the net's parameters."""
        shown = [self._shown(arch) for arch in archs]
        onehot = encode(shown, self.num_choices).to(self.output.weight, non_blocking=True)
        codes: Tensor = self.output(self.hidden(onehot).relu()).softmax(1)
        return codes

    def reads(self, arch: Arch) -> Hashable:
        """The architecture as it is shown to the net."""
        return self._shown(arch)

    def _shown(self, arch: Arch) -> Arch:
        return arch if self.canonical is None else self.canonical(arch)
