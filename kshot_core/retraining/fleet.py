"""Networks of different architectures, each with weights of its own, run and trained side by side.

Small networks leave a processor idle between kernels. A fleet stacks the parameters of its members
by name and, where the networks can (``ManyPaths``), runs all of them in one pass. What a member
computes and how it trains is to float tolerance what it would be alone, as long as the optimiser
treats every scalar by itself (SGD, Adam), and norms are clipped member by member.

Shapes: m members, B images of a member.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from kshot_core.space import Arch
from kshot_core.weights.bank import table_key
from kshot_core.weights.many import Members, runs_many_paths


class Fleet(nn.Module):
    """Stand-alone networks side by side, called as ``fleet(images)``.

    Those of a task that carries a state are called, as one of them is, with the pair of inputs and
    states, and return the pair of outputs and new states, all of them (m, B, ...).

    Args:
        networks: m networks, each called as ``network(images)``. Their weights are copied; the
            networks themselves are kept for their structure.
        archs: the architecture of each.
    """

    def __init__(self, networks: Sequence[nn.Module], archs: Sequence[Arch]) -> None:
        super().__init__()
        if not networks or len(networks) != len(archs):
            raise ValueError(
                "a fleet needs at least one network and an architecture for each, "
                f"got {len(networks)} networks and {len(archs)} architectures"
            )
        self.archs = list(archs)
        # In a tuple, out of sight of parameters() and to(): their own tensors are not in use.
        self._networks = tuple(networks)
        # By stack: which members have it, and where in the stack they have it. A stack has the name
        # of its tensors; a further shape under the same name has a stack of its own.
        self._place: dict[str, dict[int, int]] = {}
        self._name: dict[str, str] = {}
        shapes: dict[str, torch.Size] = {}
        self._indices: dict[tuple[str, Members, torch.device], Tensor] = {}
        self.stacks = nn.ParameterDict()
        values: dict[str, list[Tensor]] = {}
        trained: set[str] = set()
        for member, network in enumerate(networks):
            trained |= {name for name, _ in network.named_parameters()}
            for name, value in (*network.named_parameters(), *network.named_buffers()):
                first = shapes.setdefault(name, value.shape)
                size = "x".join(map(str, value.shape))
                key = name if value.shape == first else f"{name}:{size}"
                self._name[key] = name
                place = self._place.setdefault(key, {})
                place[member] = len(place)
                values.setdefault(key, []).append(value.detach())
        for key, of_members in values.items():
            stack = torch.stack(of_members)
            # Buffers too, without gradient: one table, which moves and is saved as a whole.
            is_trained = self._name[key] in trained
            self.stacks[table_key(key)] = nn.Parameter(stack, requires_grad=is_trained)

    @property
    def members(self) -> tuple[nn.Module, ...]:
        """The networks as they were built; their weights are not the fleet's, see ``network``."""
        return self._networks

    def forward(self, x: Any) -> Any:
        """Outputs (m, B, num_classes) of images (m, B, C, H, W); see ``ManyPaths``."""
        first = self._networks[0]
        first.train(self.training)
        if runs_many_paths(first):
            return first.forward_many(x, self.archs, self)
        members = range(len(self.archs))
        if isinstance(x, Tensor):
            return torch.stack([self._run_one(x[member], member) for member in members])
        inputs, states = x
        each = [
            self._run_one((inputs[member], None if states is None else states[member]), member)
            for member in members
        ]
        return tuple(torch.stack(parts) for parts in zip(*each, strict=True))

    @torch.no_grad()
    def clip_gradients(self, largest: float) -> None:
        """Scale each member's gradient down to the norm ``largest`` where it is longer."""
        squares = torch.zeros(len(self.archs), device=next(self.parameters()).device)
        found = [
            (stack.grad, torch.tensor(list(place), device=stack.device))
            for key, place in self._place.items()
            if (stack := self.stacks[table_key(key)]).grad is not None
        ]
        for gradient, members in found:
            squares[members] += gradient.flatten(1).float().square().sum(1)
        # An infinite norm leaves nothing of its member's gradient, and NaN stays NaN.
        scales = (largest / squares.sqrt().clamp(min=1e-12)).clamp(max=1)
        for gradient, members in found:
            gradient.mul_(scales[members].view(-1, *[1] * (gradient.ndim - 1)))

    def network(self, member: int) -> nn.Module:
        """One network by itself, with the weights it has now."""
        network, state = self._networks[member], self._state(member)
        with torch.no_grad():
            for name, value in (*network.named_parameters(), *network.named_buffers()):
                value.copy_(state[name])
        return network

    def take(self, name: str, members: Members) -> Tensor:
        """See ``Weights``."""
        stack: Tensor = self.stacks[table_key(name)]
        return stack if len(members) == len(stack) else stack[self._index(name, members)]

    def store(self, name: str, members: Members, value: Tensor) -> None:
        """See ``Weights``."""
        self.stacks[table_key(name)].detach()[self._index(name, members)] = value

    def _index(self, name: str, members: Members) -> Tensor:
        device = self.stacks[table_key(name)].device
        key = (name, members, device)
        if key not in self._indices:
            places = [self._place[name][member] for member in members]
            self._indices[key] = torch.tensor(places, device=device)
        return self._indices[key]

    def _state(self, member: int) -> dict[str, Tensor]:
        return {
            self._name[key]: self.stacks[table_key(key)][place[member]]
            for key, place in self._place.items()
            if member in place
        }

    def _run_one(self, x: Any, member: int) -> Any:
        network = self._networks[member].train(self.training)
        # Views, so that buffers written in place are those of the fleet.
        return functional_call(network, self._state(member), (x,))
