"""What a search space is: which architectures exist, how they are written, what they cost.

An architecture (``Arch``) is a tuple of choices, one integer per site; a *site* is a place with a
choice. A space never holds weights: it builds networks as ordinary ``nn.Module`` objects.

Which tuples are architectures is the space's to say (``Space.sample``, ``Space.contains``): in most
spaces every site is free, in others only some combinations exist, such as graphs of at most nine
edges. What only some spaces can do is a small protocol of its own, and what reads it skips spaces
without it: ``Listable``, ``Priced``, ``Named``, ``Drawable`` (``kshot_core/drawing.py``), and of
its network ``ManyPaths`` (``kshot_core/weights/many.py``).

Shape letters: A architectures, S sites, F features of the one-hot encoding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

Arch = tuple[int, ...]
Generator = torch.Generator | Random
"""A source of random numbers. Training draws from torch's, a search from Python's."""


class Space(Protocol):
    """A finite search space. Everything the method needs to know about one.

    A space of your own needs these members and nothing else; an example to follow is
    ``kshot_core/spaces/nasbench_macro.py``.
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
        """Sites whose choice is the width of a layer, choices in equal steps from the narrowest.

        They are free: an architecture with any other choice there is one as well.
        """
        ...

    def sample(self, generator: Generator) -> Arch:
        """An architecture, uniform over the space, or as the space's text says.

        All randomness is the generator's. Where every site is free this is
        ``uniform_arch(self.num_choices, generator)``; others draw with ``uniforms``.
        """
        ...

    def contains(self, arch: Arch) -> bool:
        """Whether this is an architecture of the space; never raises.

        Where every site is free this is ``in_range(arch, self.num_choices)``.
        """
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


@runtime_checkable
class Priced(Protocol):
    """What a space can do besides that counts what architectures cost: to be searched, say."""

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one forward pass of one example (the field's "FLOPs")."""
        ...

    def params(self, arch: Arch) -> int:
        """Number of trainable scalars of the stand-alone network."""
        ...

    def extremes(self) -> tuple[Arch, Arch]:
        """The architectures of the fewest, and of the most, multiply-adds and parameters."""
        ...


@dataclass(frozen=True)
class Site:
    """A place with a choice, in words.

    Args:
        name: a few letters, different for each site.
        choices: the name of each choice.
        is_operation: whether they are operations, rather than what is joined with what or how wide
            something is.
        needs: other sites; where all of them have their first choice, this one changes nothing.
    """

    name: str
    choices: tuple[str, ...]
    is_operation: bool = True
    needs: tuple[int, ...] = ()

    def counts(self, arch: Arch) -> bool:
        """Whether the choice of a canonical architecture here changes anything."""
        return not self.needs or any(arch[site] for site in self.needs)


@runtime_checkable
class Named(Protocol):
    """What a space can do besides whose choices have names."""

    def sites(self) -> tuple[Site, ...]:
        """The sites in the order of an architecture's choices, length S."""
        ...


class PricedSpace(Space, Priced, Protocol):
    """A space that counts what architectures cost."""


def compact(text: str) -> str:
    """``text`` without white space and byte order marks: neither means anything in an arch."""
    return "".join(text.replace("\ufeff", "").split())


def uniforms(generator: Generator, num: int) -> list[float]:
    """``num`` random numbers, uniform in [0, 1)."""
    if isinstance(generator, Random):
        # Of Python's generators only random() gives the same numbers in every release.
        return [generator.random() for _ in range(num)]
    draws: list[float] = torch.rand(num, generator=generator, dtype=torch.float64).tolist()
    return draws


def uniform_arch(num_choices: Sequence[int], generator: Generator) -> Arch:
    """An architecture with every site's choice drawn uniformly and independently."""
    draws = uniforms(generator, len(num_choices))
    return tuple(int(draw * num) for draw, num in zip(draws, num_choices, strict=True))


def in_range(arch: object, num_choices: Sequence[int]) -> TypeGuard[Arch]:
    """Whether ``arch`` is a tuple with one of the choices that each site has; never raises."""
    return (
        isinstance(arch, tuple)
        and len(arch) == len(num_choices)
        and all(
            type(choice) is int and 0 <= choice < num
            for choice, num in zip(arch, num_choices, strict=True)
        )
    )


def listing(space: Space, most: int) -> list[Arch] | None:
    """All architectures in the order of their choices, or ``None`` where they are too many.

    Args:
        space: any; one that is not ``Listable`` is listed where its sites have at most ``most``
            combinations, whether or not all of them are architectures.
        most: how many may be listed.
    """
    everything: Iterable[Arch]
    if math.prod(space.num_choices) <= most:
        everything = product(*map(range, space.num_choices))
    elif isinstance(space, Listable):
        everything = sorted(space.archs())
    else:
        return None
    archs = [arch for arch in everything if space.contains(arch)]
    return archs if len(archs) <= most else None


def example(space: Space) -> Arch:
    """An architecture whose output depends on its input; of a space always the same one."""
    generator = Random(0)
    while not space.is_valid(arch := space.sample(generator)):
        pass
    return arch


def refuse_non_arch(arch: object) -> None:
    """Raise ``ValueError`` for what cannot be an architecture in any space."""
    if (
        isinstance(arch, str | Tensor)
        or not isinstance(arch, Iterable)
        or not isinstance(arch, Sized)
    ):
        raise ValueError(
            f"an arch is a tuple of choices, got {type(arch).__name__}; space.from_string() reads "
            "text, tuple(arch.tolist()) makes one of a tensor"
        )


def check_arch(arch: Sequence[int], num_choices: Sequence[int]) -> Arch:
    """Return ``arch`` as a tuple, or raise ``ValueError`` when it is not one of the space's."""
    if in_range(arch, num_choices):
        return arch
    refuse_non_arch(arch)
    if len(arch) != len(num_choices):
        raise ValueError(f"an architecture here has {len(num_choices)} choices, got {len(arch)}")
    for site, (choice, num) in enumerate(zip(arch, num_choices, strict=True)):
        try:
            is_right = 0 <= choice < num and choice == int(choice)
        except (TypeError, ValueError):
            is_right = False
        if not is_right:
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
    try:
        positions = torch.tensor([list(arch) for arch in archs], dtype=torch.long)
        positions = positions.reshape(len(archs), len(num_choices))
    except (TypeError, ValueError, RuntimeError):
        for arch in archs:
            check_arch(arch, num_choices)
        raise
    if ((positions < 0) | (positions >= torch.tensor(num_choices))).any():
        for arch in archs:  # or a choice too large would pass for one of the next site
            check_arch(arch, num_choices)
    positions = positions + offsets
    return torch.zeros(len(archs), sum(num_choices)).scatter_(1, positions, 1.0)
