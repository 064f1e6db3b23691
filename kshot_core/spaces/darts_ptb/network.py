"""The recurrent network of DARTS (Liu et al., ICLR 2019, section 3.2 and appendix A.2).

A cell makes of the embedded token x_t and the state h_{t-1} a first state ::

    c, h = sigmoid, tanh of [x_t, h_{t-1}] W_0        s_0 = h_{t-1} + c (h - h_{t-1})

and in eight steps further ones, each from one earlier state p with an activation f ::

    c, h = sigmoid, f of s_p W_i                      s_i = s_p + c (h - s_p)

The new state h_t is the mean of s_1 ... s_8. A step's weights W_i serve whichever state it reads
and whichever activation it has: so the shared weights of all architectures are as many as those
of one alone. Dropout lies where the published network has it, each mask drawn once for a window
of tokens: on whole words of the embedding (``dropoute``), on embedded tokens (``dropouti``), on
them again as the cell reads them (``dropoutx``), on the state wherever the cell multiplies it
(``dropouth``), on the outputs (``dropout``). The decoder's weights are the embedding's.

Shapes: B sequences, T tokens, V tokens of the vocabulary, E of an embedding, H of a state.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.space import Arch, check_arch
from kshot_core.spaces.darts_ptb.dropout import Dropout, Dropouts, Masks, draw_masks
from kshot_core.spaces.darts_ptb.genotype import NUM_CHOICES, NUM_STEPS, Step, steps_of
from kshot_core.spaces.darts_ptb.many import forward_many, mean
from kshot_core.weights.many import Weights

INITIAL_RANGE = 0.04
"""Weights begin uniform between minus and plus this."""

Inputs = tuple[Tensor, Tensor | None]
"""Tokens int64 (B, T), and the state (B, H) they begin with; None for zeros."""


class Cell(nn.Module):
    """The weights of a cell's first state and of its steps."""

    def __init__(self, embedding: int, hidden: int, normalised: bool) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(embedding + hidden, 2 * hidden))
        self.steps = nn.ParameterList(
            nn.Parameter(torch.empty(hidden, 2 * hidden)) for _ in range(NUM_STEPS)
        )
        self.norm = (
            nn.BatchNorm1d(hidden, affine=False, track_running_stats=False) if normalised else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights."""
        for weight in (self.first, *self.steps):
            nn.init.uniform_(weight, -INITIAL_RANGE, INITIAL_RANGE)

    def forward(
        self, x: Tensor, state: Tensor, steps: Sequence[Step], dropped: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """States (T, B, H) after each token, and the last of them (B, H).

        Args:
            x: embedded tokens (T, B, E), those dropped at zero.
            state: before the first of them (B, H).
            steps: the architecture.
            dropped: mask (B, H) of states that are multiplied; None for none.
        """
        size = x.shape[2]
        # Of all tokens at once: only the state's part has to wait for the token before.
        given = x @ self.first[:size]
        recurrent, weights = self.first[size:], list(self.steps)
        outputs = []
        for now in given.unbind(0):
            gate, new = (now + _masked(state, dropped) @ recurrent).chunk(2, 1)
            states = [self._state(state, gate, new.tanh())]
            for weight, (name, source) in zip(weights, steps, strict=True):
                read = states[source]
                gate, new = (_masked(read, dropped) @ weight).chunk(2, 1)
                if name != "identity":
                    new = getattr(new, name)()
                states.append(self._state(read, gate, new))
            state = mean(states[1:])
            outputs.append(state)
        return torch.stack(outputs), state

    def _state(self, before: Tensor, gate: Tensor, new: Tensor) -> Tensor:
        # Products may come in 16 bits; states stay what they are.
        after = torch.lerp(before, new.to(before.dtype), gate.sigmoid().to(before.dtype))
        return after if self.norm is None else self.norm(after)


def _masked(state: Tensor, dropped: Tensor | None) -> Tensor:
    return state if dropped is None else state * dropped


class Network(nn.Module):
    """Embedding, cell and decoder.

    Args:
        num_tokens: V.
        hidden: H, and E.
        dropouts: what is dropped in training.
        normalised: whether every state of a cell passes a batch-norm without scale, as in DARTS's
            search; here by the batch's own statistics, since each path has others.
    """

    def __init__(self, num_tokens: int, hidden: int, dropouts: Dropouts, normalised: bool) -> None:
        super().__init__()
        self.dropouts, self.normalised = dropouts, normalised
        self.embedding = nn.Embedding(num_tokens, hidden)
        self.cell = Cell(hidden, hidden, normalised)
        self.decoder = nn.Linear(hidden, num_tokens)
        self.decoder.weight = self.embedding.weight
        self.dropout = Dropout()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the embedding; biases begin at zero."""
        nn.init.uniform_(self.embedding.weight, -INITIAL_RANGE, INITIAL_RANGE)
        nn.init.zeros_(self.decoder.bias)

    def compute(self, inputs: Inputs, steps: Sequence[Step]) -> tuple[Tensor, Tensor]:
        """Logits (B, T, V) of the next token, and the state (B, H) after the last."""
        tokens, state = inputs
        table = weight = self.embedding.weight
        if state is None:
            state = weight.new_zeros(len(tokens), weight.shape[1])
        masks = Masks()
        if self.training and self.dropouts.any:
            masks = draw_masks(self.dropouts, [self.dropout.next()], len(tokens), weight)
        if masks.words is not None:
            table = weight * masks.words[0]
        x = F.embedding(tokens.T, table)
        if masks.embedded is not None:
            x = x * masks.embedded
        dropped = None if masks.state is None else masks.state[0]
        outputs, state = self.cell(x, state, steps, dropped)
        if masks.outputs is not None:
            outputs = outputs * masks.outputs
        logits: Tensor = self.decoder(outputs.transpose(0, 1))
        return logits, state

    @property
    def runs_many_paths(self) -> bool:
        """Always; see ``ManyPaths``."""
        return True

    def forward_many(
        self, x: Inputs, archs: Sequence[Arch], weights: Weights
    ) -> tuple[Tensor, Tensor]:
        """Logits (m, B, T, V) and states (m, B, H) of members; see ``ManyPaths``."""
        return forward_many(x, archs, weights, self.dropouts, self.training, self.normalised)


class Supernet(Network):
    """All architectures in one network, called as ``supernet((tokens, state), arch)``."""

    def forward(self, inputs: Inputs, arch: Arch) -> tuple[Tensor, Tensor]:
        """Logits (B, T, V) of the next token, and the state (B, H) after the last."""
        return self.compute(inputs, steps_of(check_arch(arch, NUM_CHOICES)))


class Standalone(Network):
    """The network of one architecture, called as ``network((tokens, state))``."""

    def __init__(
        self, num_tokens: int, hidden: int, dropouts: Dropouts, steps: Sequence[Step]
    ) -> None:
        super().__init__(num_tokens, hidden, dropouts, normalised=False)
        self.steps = tuple(steps)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Logits (B, T, V) of the next token, and the state (B, H) after the last."""
        return self.compute(inputs, self.steps)
