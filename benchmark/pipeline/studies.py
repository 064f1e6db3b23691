"""The paper's ablations as lists of searches that differ in a few settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.config.search import SearchConfig, search_config


@dataclasses.dataclass(frozen=True)
class Study:
    """What a study needs.

    Args:
        searches: one for each row of a table or point of a figure.
        retrains: whether what they find is retrained.
    """

    searches: list[SearchConfig]
    retrains: bool = True


@dataclasses.dataclass(frozen=True)
class Base:
    """What the searches of a study have in common.

    Args:
        preset: settings to start from.
        dataset: the data set.
        run: settings of the supernets that differ from the preset's.
        search: settings of the searches that do.
    """

    preset: str
    dataset: str
    run: dict[str, Any]
    search: dict[str, Any]

    def config(self, **changes: Any) -> SearchConfig:
        """The settings with some changed."""
        own = {field.name for field in dataclasses.fields(SearchConfig)}
        search = {name: value for name, value in changes.items() if name in own}
        run = {name: value for name, value in changes.items() if name not in own}
        return search_config(self.preset, self.dataset, self.run | run, self.search | search)

    def value(self, name: str) -> Any:
        """A setting as it is without changes."""
        return self.config().to_dict()[name]


def single(base: Base) -> Study:
    """The settings as they are: one supernet, one search, one retraining."""
    return Study([base.config()])


def table1(base: Base) -> Study:
    """Time and memory at K = 1, 2, 4, 8 and 12."""
    return Study([base.config(K=K) for K in (1, 2, 4, 8, 12)], retrains=False)


def table3(base: Base) -> Study:
    """NAS-Bench-201: one-shot and K-shot supernets searched by NSGA-II, and at random."""
    K = base.value("K")
    shared = [base.config(K=1), base.config(K=K), base.config(K=1, method="random")]
    return Study([*shared, base.config(K=K, method="random")], retrains=False)


def table5(base: Base) -> Study:
    """What each part contributes: copies, simplex-net, widths, r_c."""
    widest = "1.0"
    return Study(
        [
            base.config(K=1, factors=widest),
            base.config(K=1),
            base.config(sharing="fixed", factors=widest),
            base.config(factors=widest),
            base.config(regularisation=0.0),
            base.config(),
        ]
    )


def table6(base: Base) -> Study:
    """One-shot, random, fixed and learnt codes under two limits, the paper's 330 and 420 M."""
    limit = base.value("max_flops")
    if not limit:
        raise UserError("study table6 compares two limits: give the larger one with --max-flops")
    return Study(
        [
            base.config(max_flops=most, **sharing)
            for most in (round(limit * 330 / 420), limit)
            for sharing in (
                {"K": 1},
                {"sharing": "random"},
                {"sharing": "fixed"},
                {"sharing": "simplex"},
            )
        ]
    )


def table8(base: Base) -> Study:
    """Two supernets trained apart and joined at the end, against K copies of one."""
    joined = [base.config(K=2, ensemble=how) for how in ("max", "average")]
    return Study([base.config(K=1), *joined, *(base.config(K=K) for K in (2, 4, 8))])


def figure7(base: Base) -> Study:
    """K against the number of epochs: half, once and twice as many."""
    epochs = base.value("epochs")
    several = sorted({max(1, epochs // 2), epochs, 2 * epochs})
    # The same warm-up for all, so that they differ in epochs alone.
    warmup = min(base.value("warmup_epochs"), several[0] // 2)
    return Study(
        [
            base.config(K=K, epochs=num, warmup_epochs=warmup)
            for K in (1, 2, 4, 8)
            for num in several
        ]
    )


def figure8(base: Base) -> Study:
    """The codes of searched architectures at K = 2, 3 and 4."""
    return Study([base.config(K=K) for K in (2, 3, 4)], retrains=False)


def figure9(base: Base) -> Study:
    """Training in turns and jointly, for m = 1 to 32."""
    # Each of 32 groups needs two images.
    batch_size = max(64, base.value("batch_size"))
    return Study(
        [
            base.config(schedule=schedule, num_groups=m, batch_size=batch_size)
            for schedule in ("alternate", "joint")
            for m in (1, 2, 4, 8, 16, 32)
        ]
    )


STUDIES: dict[str, Callable[[Base], Study]] = {
    "single": single,
    "table1": table1,
    "table3": table3,
    "table5": table5,
    "table6": table6,
    "table8": table8,
    "figure7": figure7,
    "figure8": figure8,
    "figure9": figure9,
}
