"""Several recurrent cells in one pass, each with weights, text and dropout of its own.

Small products and activations leave a processor idle between kernels: here each is one kernel for
all members, whichever state they read and whichever activation they have.

Shapes: m members, B sequences of a member, T tokens, V tokens of the vocabulary, H of a state.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from kshot_core.space import Arch
from kshot_core.spaces.darts_ptb.dropout import Dropouts, Masks, draw_masks
from kshot_core.spaces.darts_ptb.genotype import NUM_STEPS, steps_of
from kshot_core.weights.many import Members, Weights

# Every activation is a tanh(b x) + c, and x besides where x is above d: one pass for all of them.
_FORMS = {
    "tanh": (1.0, 1.0, 0.0, torch.inf),
    "relu": (0.0, 0.0, 0.0, 0.0),
    "sigmoid": (0.5, 0.5, 0.5, torch.inf),
    "identity": (0.0, 0.0, 0.0, -torch.inf),
}


def forward_many(
    inputs: tuple[Tensor, Tensor | None],
    archs: Sequence[Arch],
    weights: Weights,
    dropouts: Dropouts,
    training: bool,
    normalised: bool,
) -> tuple[Tensor, Tensor]:
    """Logits (m, B, T, V) and states (m, B, H) of tokens (m, B, T) and states before them."""
    tokens, state = inputs
    members: Members = tuple(range(len(archs)))
    table = weights.take("embedding.weight", members)
    m, V, H = table.shape
    B = tokens.shape[1]
    if state is None:
        state = table.new_zeros(m, B, H)
    masks = Masks()
    if training and dropouts.any:
        counts = weights.take("dropout.count", members) + 1
        weights.store("dropout.count", members, counts)
        seeds = weights.take("dropout.seed", members).tolist()
        masks = draw_masks(dropouts, list(zip(seeds, counts.tolist(), strict=True)), B, table)
    if masks.words is not None:
        table = table * masks.words
    # One table of all members' vocabularies, one after another; (T, m, B, H).
    places = tokens + V * torch.arange(m, device=tokens.device)[:, None, None]
    x = F.embedding(places.permute(2, 0, 1), table.flatten(0, 1))
    if masks.embedded is not None:
        x = x * masks.embedded
    step_weights = [weights.take(f"cell.steps.{step}", members) for step in range(NUM_STEPS)]
    choices = _Choices(archs, table)
    first = weights.take("cell.first", members)
    outputs = []
    for now in torch.matmul(x, first[:, :H]).unbind(0):
        read = state if masks.state is None else state * masks.state
        gate, new = torch.baddbmm(now, read, first[:, H:]).chunk(2, 2)
        states = [_after(state, new.tanh(), gate, normalised)]
        for step, weight in enumerate(step_weights):
            before = choices.read(states, step)
            read = before if masks.state is None else before * masks.state
            gate, new = torch.bmm(read, weight).chunk(2, 2)
            states.append(_after(before, choices.activate(new, step), gate, normalised))
        state = mean(states[1:])
        outputs.append(state)
    hidden = torch.stack(outputs, 2)
    if masks.outputs is not None:
        hidden = hidden * masks.outputs[:, :, None]
    decoder = weights.take("embedding.weight", members).mT
    bias = weights.take("decoder.bias", members)
    logits = torch.baddbmm(bias[:, None], hidden.flatten(1, 2), decoder)
    return logits.view(m, B, -1, V), state


def mean(states: Sequence[Tensor]) -> Tensor:
    """The mean of tensors, without laying them side by side."""
    total = states[0]
    for one in states[1:]:
        total = total + one
    return total / len(states)


def _after(before: Tensor, new: Tensor, gate: Tensor, normalised: bool) -> Tensor:
    # Products may come in 16 bits; states stay what they are.
    after = torch.lerp(before, new.to(before.dtype), gate.sigmoid().to(before.dtype))
    if not normalised:
        return after
    m, B, H = after.shape
    # Statistics of each member's batch: members lie side by side as channels do.
    flat = after.transpose(0, 1).reshape(B, m * H)
    return F.batch_norm(flat, None, None, training=True).view(B, m, H).transpose(0, 1)


class _Choices:
    """What each member reads and how it activates, by step."""

    def __init__(self, archs: Sequence[Arch], like: Tensor) -> None:
        steps = list(zip(*map(steps_of, archs), strict=True))
        device, m = like.device, len(archs)
        # Of the states that anyone reads at a step, side by side: where each member's own is.
        self._distinct = [sorted({source for _, source in step}) for step in steps]
        self._rows = [
            torch.tensor([distinct.index(step[j][1]) * m + j for j in range(m)], device=device)
            for step, distinct in zip(steps, self._distinct, strict=True)
        ]
        self._kinds = [{name for name, _ in step} for step in steps]
        self._forms = [
            [
                torch.tensor(values, device=device, dtype=like.dtype)[:, None, None]
                for values in zip(*(_FORMS[name] for name, _ in step), strict=True)
            ]
            for step in steps
        ]

    def read(self, states: list[Tensor], step: int) -> Tensor:
        """The state that each member's step reads, (m, B, H)."""
        read = [states[source] for source in self._distinct[step]]
        return read[0] if len(read) == 1 else torch.cat(read).index_select(0, self._rows[step])

    def activate(self, x: Tensor, step: int) -> Tensor:
        """Each member's activation of (m, B, H)."""
        kinds = self._kinds[step]
        if len(kinds) == 1:
            (name,) = kinds
            activated: Tensor = x if name == "identity" else getattr(x, name)()
            return activated
        a, b, c, d = self._forms[step]
        squashed = torch.tanh(x * b)
        if kinds == {"tanh", "sigmoid"}:
            return torch.addcmul(c, a, squashed)
        return torch.addcmul(torch.addcmul(c, a, squashed), x, (x > d).to(x.dtype))
