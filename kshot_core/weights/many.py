"""Several paths in one pass, each with weights and images of its own: the interface.

A network that can do it has ``forward_many(x, archs, weights)``, and asks ``weights`` for the
parameters of just those members that need them, so operations shared by several members run as one
kernel. Nothing here is about K: the bank merges what it is asked for (``KShot.forward_many``), a
``Fleet`` of networks trained alone hands out its own.

Shapes: m members (an architecture and its weights each), B images of a member.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeGuard, runtime_checkable

from torch import Tensor, nn

from kshot_core.space import Arch

Members = tuple[int, ...]
"""Positions of members in the pass, rising."""


class Weights(Protocol):
    """Parameters and buffers of the members of one pass."""

    def take(self, name: str, members: Members) -> Tensor:
        """The members' tensors of that name, stacked: (n, *shape)."""
        ...

    def store(self, name: str, members: Members, value: Tensor) -> None:
        """Keep new values (n, *shape) of a buffer."""
        ...


@runtime_checkable
class ManyPaths(Protocol):
    """A network that runs several paths in one pass."""

    @property
    def runs_many_paths(self) -> bool:
        """Whether it does as it is configured; otherwise paths run one by one."""
        ...

    def forward_many(self, x: Tensor, archs: Sequence[Arch], weights: Weights) -> Tensor:
        """Outputs of every member, to float tolerance those of running each by itself.

        Args:
            x: images (m, B, C, H, W), each member its own. Images that all members share are
                given as ``images.expand(m, ...)`` and are not copied.
            archs: m architectures.
            weights: answers with the members' parameters.

        Returns:
            (m, B, num_classes).
        """
        ...


def runs_many_paths(network: nn.Module) -> TypeGuard[ManyPaths]:
    """Whether the network can run several paths in one pass, and is configured so that it does."""
    return isinstance(network, ManyPaths) and network.runs_many_paths
