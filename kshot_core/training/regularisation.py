"""Codes that tell widths apart: the regularisation r_c of the simplex-net (paper eq. 13-17).

Under one architecture, two settings of the layers' widths that are close should get similar codes
and distant ones different codes; similar means a large inner product (eq. 14). What the paper
leaves open, and what was decided:

* The distance of two settings is the ℓ1 distance of the paper, in steps from one width to the next.
* The threshold m is a share of the mean distance of random widths, so that it means the same in
  every space. At its default, a half, two random settings are almost always distant.
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
    """

    num_choices: tuple[int, ...]
    width_sites: tuple[int, ...]
    settings: WidthSettings = WidthSettings()

    @property
    def threshold(self) -> float:
        """The distance m, in steps; 0 where no site has two widths."""
        # Two uniform choices of n are (n² - 1) / 3n steps apart on average.
        nums = [self.num_choices[site] for site in self.width_sites]
        return self.settings.width_distance * sum((num**2 - 1) / (3 * num) for num in nums)

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
            for column, other in enumerate(archs):
                shown.append(self.dressed(anchor, other))
                far = self.distance(anchor, other) >= self.threshold
                distant[row, column] = row != column and far
        codes = codes_of(shown).view(m, m + 2, -1)
        # (m, m + 1): the likeness first, then all others.
        likeness = (codes[:, :1] * codes[:, 1:]).sum(2) / self.settings.width_temperature
        counts = torch.cat([torch.ones(m, 1, dtype=torch.bool), distant], 1).to(codes.device)
        total = likeness.masked_fill(~counts, -torch.inf).logsumexp(1)
        return (total - likeness[:, 0]).mean()

    def distance(self, one: Arch, other: Arch) -> int:
        """Steps between the widths of two architectures, whatever their operations."""
        return sum(abs(one[site] - other[site]) for site in self.width_sites)

    def dressed(self, arch: Arch, other: Arch) -> Arch:
        """``arch`` with the widths of ``other``."""
        choices = list(arch)
        for site in self.width_sites:
            choices[site] = other[site]
        return tuple(choices)

    def like(self, arch: Arch, generator: torch.Generator) -> Arch:
        """``arch`` with widths drawn anew, site after site, where that keeps them near.

        Near is a distance below one that is drawn, uniform between 0 and m.
        """
        order = torch.randperm(len(self.width_sites), generator=generator).tolist()
        draws = torch.rand(len(order) + 1, generator=generator, dtype=torch.float64).tolist()
        choices, left = list(arch), draws.pop() * self.threshold
        for position, draw in zip(order, draws, strict=True):
            site = self.width_sites[position]
            choice = int(draw * self.num_choices[site])
            if abs(choice - arch[site]) < left:
                left -= abs(choice - arch[site])
                choices[site] = choice
        return tuple(choices)
