"""DARTS-PTB: recurrent cells of eight steps, for language modelling (Liu et al., ICLR 2019).

Each step has one of four activations and reads one earlier state: 4^8 · 8! = 2,642,411,520 cells,
written ``|tanh~0|relu~1|...|`` with the state that each step reads after the ``~``. The output is
the mean of all steps, so that every one of them counts. With 10,000 tokens and 850 hidden units,
the defaults, a network has the published 23 million parameters, whatever its cell.

Every architecture stands for itself: cells that differ in the order of their steps alone are the
same network when trained alone, but not paths of the same weights in a supernet.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from kshot_core.checks import check_at_least
from kshot_core.drawing import Edge, Graph
from kshot_core.settings import setting
from kshot_core.space import Arch, Generator, Site, check_arch, in_range, uniform_arch
from kshot_core.spaces.darts_ptb.dropout import Dropouts
from kshot_core.spaces.darts_ptb.genotype import (
    ACTIVATIONS,
    NUM_CHOICES,
    NUM_STEPS,
    Step,
    arch_of,
    genotype,
    read,
    steps_of,
    written,
)
from kshot_core.spaces.darts_ptb.network import Standalone, Supernet
from kshot_core.tasks.language import LanguageModelling


@dataclass(frozen=True)
class DARTSPTB:
    """The space with its sizes. Dropouts are shares 0..1, by default those that DARTS trained with.

    Args:
        units: of a state and of an embedded token. 850 in DARTS's networks and 300 in its
            search; 64 makes one that two cores can train.
        num_classes: tokens of the vocabulary.
        dropout: of outputs, before the decoder.
        dropouth: of the state, wherever the cell multiplies it.
        dropoutx: of embedded tokens, as the cell reads them.
        dropouti: of embedded tokens, before that.
        dropoute: of whole words of the embedding.
        normalise: whether the supernet's states pass a batch-norm without scale, as in DARTS's
            search. Networks trained alone have none, as DARTS's have not.
    """

    units: int = setting(
        850, "of a state and of an embedded token (850 in DARTS, 300 in its search)"
    )
    num_classes: int = 10000
    dropout: float = setting(0.75, "share of outputs dropped before the decoder")
    dropouth: float = setting(0.25, "share of the state dropped where the cell multiplies it")
    dropoutx: float = setting(
        0.75, "share of embedded tokens' units dropped as the cell reads them"
    )
    dropouti: float = setting(0.2, "share of embedded tokens' units dropped before that")
    dropoute: float = setting(0.1, "share of whole words of the embedding dropped")
    normalise: bool = setting(
        True, "whether the supernet's states pass a batch-norm without scale", alone=True
    )

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_at_least(self, {"units": 1, "num_classes": 2})
        for name in ("dropout", "dropouth", "dropoutx", "dropouti", "dropoute"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share from 0 to below 1, got {getattr(self, name)}")

    @property
    def name(self) -> str:
        """Name of the space in records."""
        return "darts_ptb"

    @property
    def task(self) -> LanguageModelling:
        """Language modelling: its networks carry a state."""
        return LanguageModelling()

    @property
    def num_choices(self) -> tuple[int, ...]:
        """Of each step four activations and, from the second on, the states before it."""
        return NUM_CHOICES

    @property
    def width_sites(self) -> tuple[int, ...]:
        """None: every state has the same width."""
        return ()

    def sites(self) -> tuple[Site, ...]:
        """Of each step its activation, then the state that it reads."""
        sites = [Site("1", ACTIVATIONS)]
        for step in range(2, NUM_STEPS + 1):
            states = tuple(str(state) for state in range(step))
            activation = Site(str(step), ACTIVATIONS)
            sites += [activation, Site(f"{step} reads", states, is_operation=False)]
        return tuple(sites)

    def sample(self, generator: Generator) -> Arch:
        """An architecture, every site's choice uniform."""
        return uniform_arch(self.num_choices, generator)

    def contains(self, arch: Arch) -> bool:
        """Whether every site has one of its choices."""
        return in_range(arch, self.num_choices)

    def extremes(self) -> tuple[Arch, Arch]:
        """All cost the same; a chain of identities, and one of tanh."""
        chains = ([(name, source) for source in range(NUM_STEPS)] for name in ("identity", "tanh"))
        least, most = map(arch_of, chains)
        return least, most

    def canonical(self, arch: Arch) -> Arch:
        """``arch``: no two are the same function of a supernet's weights."""
        return check_arch(arch, NUM_CHOICES)

    def is_valid(self, arch: Arch) -> bool:
        """Always: the first state has the token, and every step reads it or one made of it."""
        return bool(check_arch(arch, NUM_CHOICES))

    def num_convolutions(self, arch: Arch) -> int:
        """Number of steps, 0..8, whose activation is not the identity."""
        return sum(name != "identity" for name, _ in self._steps(arch))

    def flops(self, arch: Arch) -> float:
        """Multiply-adds of one token in matrix products, the decoder's among them; all the same."""
        check_arch(arch, NUM_CHOICES)
        products = (4 + 2 * NUM_STEPS) * self.units**2
        return float(products + self.units * self.num_classes)

    def params(self, arch: Arch) -> int:
        """Trainable scalars of the stand-alone network; all the same."""
        check_arch(arch, NUM_CHOICES)
        cell = (4 + 2 * NUM_STEPS) * self.units**2
        return cell + (self.units + 1) * self.num_classes

    def to_string(self, arch: Arch) -> str:
        """Activation and source of each step: ``|tanh~0|relu~1|...|``."""
        return written(self._steps(arch))

    def genotype(self, arch: Arch) -> str:
        """The cell as DARTS writes it: ``Genotype(recurrent=[('tanh', 0), ...], ...)``."""
        return genotype(self._steps(arch))

    def from_string(self, text: str) -> Arch:
        """Parse ``to_string``'s text, or ``genotype``'s.

        Raises:
            ValueError: it is neither, or of another space; the message says what is wrong with it.
        """
        return arch_of(read(text))

    def _steps(self, arch: Arch) -> list[Step]:
        return steps_of(check_arch(arch, NUM_CHOICES))

    def drawing(self, arch: Arch) -> tuple[Graph]:
        """The cell's states; the output is the mean of those of all steps."""
        steps = self._steps(arch)
        edges = tuple(Edge(source, number) for number, (_, source) in enumerate(steps, start=1))
        names = tuple(f"{number} {name}" for number, (name, _) in enumerate(steps, start=1))
        kinds = tuple(ACTIVATIONS.index(name) + 1 for name, _ in steps)
        return (Graph(("x, h", *names), edges, (0, *kinds)),)

    def parameter_group(self, name: str) -> str:
        """One group: whatever the path, all weights serve."""
        return "all"

    @property
    def _dropouts(self) -> Dropouts:
        return Dropouts(self.dropout, self.dropouth, self.dropoutx, self.dropouti, self.dropoute)

    def supernet(self) -> nn.Module:
        """All architectures' network, called as ``supernet((tokens, state), arch)``."""
        return Supernet(self.num_classes, self.units, self._dropouts, self.normalise)

    def standalone(self, arch: Arch) -> nn.Module:
        """The network of one architecture alone, called as ``network((tokens, state))``."""
        steps = self._steps(arch)
        return Standalone(self.num_classes, self.units, self._dropouts, steps)
