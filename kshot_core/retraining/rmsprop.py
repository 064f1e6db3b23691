"""RMSProp in the form that MnasNet's recipe was written for.

It differs from ``torch.optim.RMSprop`` in what the recipe's numbers mean: ε is added to the mean
square before the root is taken, not to the root after it, so that 0.001 there is 0.03 here; the
mean square starts at one and not at zero, so that the first steps are small; and the learning rate
enters the momentum, so that a fall of the rate does not scale what is under way. Under torch's form
the same numbers take steps up to thirty times as long.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class RMSProp:
    """Steps of parameters by their gradients.

    A step of learning rate r: s ← ρs + (1-ρ)g², v ← μv + r·g/√(s+ε), w ← w - v, where weight decay
    has been added to g. Parameters of one dimension, which are biases and those of batch-norms, do
    not decay. Parameters without a gradient are left alone.

    Args:
        parameters: to be trained.
        decay: ρ, of the mean square.
        momentum: μ.
        epsilon: ε.
        weight_decay: of the weights.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        decay: float,
        momentum: float,
        epsilon: float,
        weight_decay: float,
    ) -> None:
        self.parameters = list(parameters)
        self.decay, self.momentum = decay, momentum
        self.epsilon, self.weight_decay = epsilon, weight_decay
        self.squares = [torch.ones_like(p, requires_grad=False) for p in self.parameters]
        self.momenta = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """The gradients there are."""
        return [p.grad for p in self.parameters if p.grad is not None]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update all parameters that have a gradient; changes the gradients too."""
        used = [at for at, parameter in enumerate(self.parameters) if parameter.grad is not None]
        if not used:
            return
        parameters: list[Tensor] = [self.parameters[at] for at in used]
        squares, momenta = [self.squares[at] for at in used], [self.momenta[at] for at in used]
        gradients = self.gradients()
        decaying = [at for at, parameter in enumerate(parameters) if parameter.ndim > 1]
        if self.weight_decay > 0 and decaying:
            torch._foreach_add_(
                [gradients[at] for at in decaying],
                [parameters[at] for at in decaying],
                alpha=self.weight_decay,
            )
        torch._foreach_mul_(squares, self.decay)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - self.decay)
        roots = torch._foreach_add(squares, self.epsilon)
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(momenta, self.momentum)
        torch._foreach_addcdiv_(momenta, gradients, roots, value=rate)
        torch._foreach_sub_(parameters, momenta)
