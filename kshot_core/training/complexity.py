"""How complex an architecture is beside the others of its space, for a learning rate of its own.

One learning rate for all paths favours the simple ones: they have learnt what they can when the
rate has fallen, complex ones have not (Jeon et al., "Subnet-Aware Dynamic Supernet Training",
CVPR 2025, whose rate falls the later the more complex a path is). In rankings of NAS-Bench-201 by
supernets trained here, architectures of many convolutions stand too low (LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable

from kshot_core.space import Arch, Priced, Space

Complexity = Callable[[Arch], float]
"""From -1 for the simplest architecture of a space to 1 for the most complex."""


def complexity_of(space: Space) -> Complexity:
    """Complexity by the number of convolutions that reach the output.

    Args:
        space: which knows its extremes.

    Raises:
        ValueError: it does not, or these have equally many convolutions.
    """
    least = most = 0
    if isinstance(space, Priced):
        least, most = (space.num_convolutions(arch) for arch in space.extremes())
    if least == most:
        raise ValueError(
            f"complexity_decay goes by the number of convolutions, in which {space.name}'s "
            "architectures are not known to differ; leave it at 1"
        )
    return lambda arch: 2 * (space.num_convolutions(arch) - least) / (most - least) - 1


def later_by(complexity: float, decay: float, share: float) -> float:
    """The share of its range that a path's learning rate has, where that of all alike is ``share``.

    Args:
        complexity: of the path, in [-1, 1].
        decay: b; the share is raised to b for the simplest path and to 1/b for the most complex.
        share: in [0, 1].
    """
    return float(share ** (decay**-complexity))
