"""Codes that tell widths apart: the regularisation r_c of the simplex-net (paper eq. 13-17).

Under one architecture, two settings of the layers' widths that are close should get similar codes
and distant ones different codes; similar means a large inner product (eq. 14). What the paper
leaves open, and what was decided:

* The distance of two settings is the ℓ1 distance of the paper, in steps from one width to the next.
* The threshold m is a share of the mean distance of random widths, so that it means the same in
  every space. At its default, a half, two random settings are almost always distant.
* A width that the anchor's operations do not use, that of a layer whose operation is the identity,
  does not count: all that the anchor is compared with has the anchor's own there, and m is a share
  of the mean distance of the widths that are used. Otherwise settings would be told apart, and
  codes pushed away from each other, by what changes no network.
* The widths come from the architectures of a simplex step. Each is an anchor (c_i in eq. 15, with
  which all others are compared). Its likeness c_k is drawn: its own widths, changed at random to
  less than a distance that is uniform below m. (Almost all widths nearer than m are almost m away,
  so that those drawn uniformly among them would never be near.) The others c_j are the widths of
  the step's other architectures, put on the anchor's operations; those nearer than m are left
  out, since nothing should push them away.
* r_c is the mean over anchors. An anchor without distant widths adds log 1 = 0.

Shapes: m architectures of a simplex step, K copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kshot_core.checks import check_above_zero
from kshot_core.settings import WIDTHS, setting
from kshot_core.space import Arch


@dataclass(frozen=True)
class WidthSettings:
    """What r_c calls similar.

    Args:
        width_temperature: τ of eq. 15; .3 in the paper.
        width_distance: the threshold m, as a share of the mean distance of random widths.
    """

    width_temperature: float = setting(0.3, "temperature of r_c (paper eq. 15)", needs=WIDTHS)
    width_distance: float = setting(
        0.5,
        "widths this far apart differ, as a share of the mean distance (paper: m)",
        needs=WIDTHS,
    )

    def __post_init__(self) -> None:
        """Refuse what has no meaning with ``ValueError``."""
        check_above_zero(self, "width_temperature", "width_distance")


@dataclass(frozen=True)
class WidthRegularisation:
    """r_c for the architectures of a simplex step.

    Args:
        num_choices: of the space.
        width_sites: of the space; at least one.
        settings: what is similar.
        canonical: ``Space.canonical``, which sets a width that has no effect to one value; None
            where all have one.
    """

    num_choices: tuple[int, ...]
    width_sites: tuple[int, ...]
    settings: WidthSettings = WidthSettings()
    canonical: Callable[[Arch], Arch] | None = None

    @property
    def threshold(self) -> float:
        """The distance m where all widths have an effect, in steps; 0 where none has two values."""
        return self._mean_distance(self.width_sites) * self.settings.width_distance

    def threshold_of(self, arch: Arch) -> float:
        """The distance m around an architecture, in steps: a share of those it uses."""
        return self._mean_distance(self.used(arch)) * self.settings.width_distance

    def used(self, arch: Arch) -> tuple[int, ...]:
        """The width sites that have an effect under an architecture's operations."""
        if self.canonical is None:
            return self.width_sites
        narrow, wide = list(arch), list(arch)
        for site in self.width_sites:
            narrow[site], wide[site] = 0, self.num_choices[site] - 1
        ends = self.canonical(tuple(narrow)), self.canonical(tuple(wide))
        return tuple(site for site in self.width_sites if ends[0][site] != ends[1][site])

    def _mean_distance(self, sites: Sequence[int]) -> float:
        # Two uniform choices of n are (n² - 1) / 3n steps apart on average.
        nums = [self.num_choices[site] for site in sites]
        return sum((num**2 - 1) / (3 * num) for num in nums)

    def __call__(
        self,
        codes_of: Callable[[Sequence[Arch]], Tensor],
        archs: Sequence[Arch],
        generator: torch.Generator,
    ) -> Tensor:
        """r_c of m architectures, a scalar that can be differentiated.

        Args:
            codes_of: the simplex-net; A architectures to codes (A, K).
            archs: m architectures.
            generator: of the likenesses' widths.
        """
        m = len(archs)
        shown: list[Arch] = []
        distant = torch.zeros(m, m, dtype=torch.bool)
        for row, anchor in enumerate(archs):
            shown += [anchor, self.like(anchor, generator)]
            threshold = self.threshold_of(anchor)
            for column, other in enumerate(archs):
                shown.append(self.dressed(anchor, other))
                far = self.distance(anchor, shown[-1]) >= threshold
                distant[row, column] = row != column and far
        codes = codes_of(shown).view(m, m + 2, -1)
        # (m, m + 1): the likeness first, then all others.
        likeness = (codes[:, :1] * codes[:, 1:]).sum(2) / self.settings.width_temperature
        counts = torch.cat([torch.ones(m, 1, dtype=torch.bool), distant], 1)
        counts = counts.to(codes.device, non_blocking=True)
        total = likeness.masked_fill(~counts, -torch.inf).logsumexp(1)
        return (total - likeness[:, 0]).mean()

    def distance(self, one: Arch, other: Arch) -> int:
        """Steps between the widths of two architectures, whatever their operations."""
        return sum(abs(one[site] - other[site]) for site in self.width_sites)

    def dressed(self, arch: Arch, other: Arch) -> Arch:
        """``arch`` with the widths of ``other`` wherever they have an effect."""
        choices = list(arch)
        for site in self.used(arch):
            choices[site] = other[site]
        return tuple(choices)

    def like(self, arch: Arch, generator: torch.Generator) -> Arch:
        """``arch`` with widths drawn anew, site after site, where that keeps them near.

        Near is a distance below one that is drawn, uniform between 0 and m.
        """
        order = torch.randperm(len(self.width_sites), generator=generator).tolist()
        draws = torch.rand(len(order) + 1, generator=generator, dtype=torch.float64).tolist()
        choices, left = list(arch), draws.pop() * self.threshold_of(arch)
        used = set(self.used(arch))
        for position, draw in zip(order, draws, strict=True):
            site = self.width_sites[position]
            choice = int(draw * self.num_choices[site])
            if site in used and abs(choice - arch[site]) < left:
                left -= abs(choice - arch[site])
                choices[site] = choice
        return tuple(choices)
