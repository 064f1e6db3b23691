"""What a sharing strategy is; one file beside this one for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor, nn

from kshot_core.space import Arch, Space


class Sharing(nn.Module, ABC):
    """A map from architectures to codes: what training and scoring ask of a strategy.

    Abstract: a strategy subclasses this class and nothing else, and sets ``K``, the number of
    copies. If it has parameters they are trained by the simplex steps.
    """

    K: int

    @abstractmethod
    def forward(self, archs: Sequence[Arch]) -> Tensor:
        """Codes (A, K), float32, every row on the simplex."""

    @abstractmethod
    def reads(self, arch: Arch) -> Hashable:
        """A key that is equal for two architectures only if their codes are.

        Equal networks of equal keys are scored once.
        """

    if TYPE_CHECKING:
        # A module's own call is typed as returning anything.
        def __call__(self, archs: Sequence[Arch]) -> Tensor: ...


class Strategy(Protocol):
    """What ``SHARING`` holds: it makes the module of a space and a number of copies.

    One with settings of its own is an instance of a frozen dataclass, whose fields they are.
    """

    def __call__(self, space: Space, K: int, seed: int = 0) -> Sharing:
        """The strategy's module.

        Args:
            space: whose architectures get codes.
            K: number of copies.
            seed: of initial parameters and of frozen random codes.

        Raises:
            ValueError: these do not go together.
        """
        ...


@runtime_checkable
class OwnWarmup(Protocol):
    """A strategy that has a warm-up of its own; the others have the recipe's."""

    def warmup(self, epochs: int) -> dict[str, Any]:
        """Settings of a ``Recipe``, by name, where nobody asks for another warm-up.

        Args:
            epochs: of the whole training.
        """
        ...
