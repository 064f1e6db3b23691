"""What a search space is: which architectures exist, how they are written, what they cost.

An architecture (``Arch``) is a tuple of choices, one integer per site; a *site* is a place with a
choice. A space never holds weights: it builds networks as ordinary ``nn.Module`` objects.

Shape letters: A architectures, S sites, F features of the one-hot encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Arch = tuple[int, ...]


class Space(Protocol):
    """A finite search space. Everything the method needs to know about one.

    A space of your own needs these members and nothing else; ``kshot_core/spaces/nasbench201.py``
    is the example to follow.
    """

    @property
    def name(self) -> str:
        """Short lower-case name, used in paths and records."""
        ...

    @property
    def num_choices(self) -> tuple[int, ...]:
        """Number of choices at each site, length S."""
        ...

    @property
    def width_sites(self) -> tuple[int, ...]:
        """Sites whose choice is the width of a layer, choices in equal steps from the narrowest."""
        ...

    def extremes(self) -> tuple[Arch, Arch]:
        """The architectures of the fewest, and of the most, multiply-adds and parameters."""
        ...

    def canonical(self, arch: Arch) -> Arch:
        """The representative of all architectures that compute the same function of the weights."""
        ...

    def is_valid(self, arch: Arch) -> bool:
        """Whether the network's output depends on its input."""
        ...

    def num_convolutions(self, arch: Arch) -> int:
        """Number of sites whose choice is a convolution that reaches the output."""
        ...

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one forward pass of one image (the field's "FLOPs")."""
        ...

    def params(self, arch: Arch) -> int:
        """Number of trainable scalars of the stand-alone network."""
        ...

    def to_string(self, arch: Arch) -> str:
        """The architecture as text; ``from_string`` reverses it."""
        ...

    def from_string(self, text: str) -> Arch:
        """Parse ``to_string``'s text. Raises ``ValueError`` naming what is wrong with it.

        White space anywhere in it means nothing; see ``compact``.
        """
        ...

    def parameter_group(self, name: str) -> str:
        """Group of a supernet parameter; paths use those of a group together. See ``KShot``.

        ``name`` itself is always right: then each merges by itself.
        """
        ...

    def supernet(self) -> nn.Module:
        """The weight-sharing network of all architectures, called as ``supernet(x, arch)``."""
        ...

    def standalone(self, arch: Arch) -> nn.Module:
        """The network of one architecture alone, called as ``network(images)``."""
        ...


def compact(text: str) -> str:
    """``text`` without white space and byte order marks: neither means anything in an arch."""
    return "".join(text.replace("\ufeff", "").split())


@runtime_checkable
class Listable(Protocol):
    """What a space can do besides that is small enough to list: its architectures in an order."""

    def archs(self) -> list[Arch]:
        """All architectures, in order."""
        ...

    def index(self, arch: Arch) -> int:
        """The place of an architecture in ``archs()``."""
        ...

    def from_index(self, index: int) -> Arch:
        """The architecture in a place. Raises ``ValueError`` where there is none."""
        ...


def check_arch(arch: Sequence[int], num_choices: Sequence[int]) -> Arch:
    """Return ``arch`` as a tuple, or raise ``ValueError`` when it is not one of the space's."""
    if len(arch) != len(num_choices):
        raise ValueError(f"an architecture here has {len(num_choices)} choices, got {len(arch)}")
    for site, (choice, num) in enumerate(zip(arch, num_choices, strict=True)):
        if not 0 <= choice < num or choice != int(choice):
            raise ValueError(f"the choice at site {site} is 0..{num - 1}, got {choice}")
    return tuple(int(choice) for choice in arch)


def encode(archs: Sequence[Arch], num_choices: Sequence[int]) -> Tensor:
    """One-hot encoding of architectures, the input of the simplex-net (paper eq. 6).

    Args:
        archs: A architectures of S choices each.
        num_choices: number of choices at each site, length S.

    Returns:
        float32 tensor (A, F), F = sum(num_choices), exactly S ones in each row.

    Raises:
        ValueError: an architecture is not one of the space's.
    """
    offsets = torch.tensor([0, *num_choices[:-1]]).cumsum(0)
    positions = torch.tensor([list(arch) for arch in archs], dtype=torch.long)
    positions = positions.reshape(len(archs), len(num_choices))
    if ((positions < 0) | (positions >= torch.tensor(num_choices))).any():
        for arch in archs:  # or a choice too large would pass for one of the next site
            check_arch(arch, num_choices)
    positions = positions + offsets
    return torch.zeros(len(archs), sum(num_choices)).scatter_(1, positions, 1.0)
