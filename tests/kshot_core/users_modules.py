"""Modules as users write them: what ``idioms`` and the tests of ``KShot`` wrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Arch = tuple[int, ...]


class Net(nn.Module):
    """Two linear maps, the second one without bias, and a function that says what is done."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.run = run

    def layers(self, x: Tensor) -> Tensor:
        output: Tensor = self.second(self.first(x).tanh())
        return output

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        return self.layers(x) if self.run is None else self.run(self, x)


class Of(nn.Module):
    """A supernet of given modules; ``run`` says how they are used."""

    def __init__(self, run: Callable[[Any, Tensor], Any] | None = None, **modules: Any) -> None:
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.run = run

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        output = self.layer(x) if self.run is None else self.run(self, x)
        while isinstance(output, tuple):
            output = output[0]
        return output


class Statistics(nn.Module):
    """Buffers written in place and set anew, one of them not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.register_buffer("total", torch.zeros(4))
        self.register_buffer("last", torch.zeros(4), persistent=False)
        self.times = 0

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        x = self.norm(self.layer(x))
        if self.training:
            self.total += x.detach().sum(0)
            self.last = x.detach().mean(0)
        self.times += 1
        return x + self.total


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.again = self.first

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        assert self.second.weight is self.first.weight
        assert len(list(self.parameters())) == 3
        assert len(list(self.named_parameters(remove_duplicate=False))) == 6
        return self.again(self.second(self.first(x).relu()))


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).mT

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight.triu()


class Square(torch.autograd.Function):
    """A function of a weight, with a backward pass of its own."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return weight.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * gradient


class Containers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.list = nn.ParameterList([torch.rand(4), torch.rand(4)])
        self.dict = nn.ParameterDict({"a": torch.rand(4), "b": torch.rand(4)})
        self.modules_ = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
        self.sequence = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.PReLU())

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        for parameter in self.list:
            x = x * parameter + self.list[-1]
        for parameter in self.dict.values():
            x = x * parameter
        x = x + self.dict["a"]
        for module in self.modules_.values():
            x = x + module(x)
        return self.sequence(self.sequence[:2](x))


class References(nn.Module):
    """Modules kept in lists, closures and bound methods beside their registration."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.plain = [self.first, self.second]
        self.by_module = {self.first: 2.0}
        self.method = self.second.forward
        first = self.first
        self.closure = lambda x: F.linear(x, first.weight)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        for module in self.plain:
            assert type(module) is nn.Linear
            x = module(x)
        return self.closure(self.method(x)) * self.by_module[self.first]

    def __deepcopy__(self, memo: dict[int, Any]) -> References:
        # A closure cannot be copied: make it anew, as users of closures have to.
        other = References().train(self.training)
        with torch.no_grad():
            for ours, theirs in zip(self.parameters(), other.parameters(), strict=True):
                theirs.copy_(ours)
        return other


class Marked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4))
        self.weight.rate = 3.0
        self.frozen = nn.Parameter(torch.rand(4), requires_grad=False)
        self.scalar, self.empty = nn.Parameter(torch.rand(())), nn.Parameter(torch.rand(0, 4))
        self.nothing: nn.Parameter | None
        self.register_parameter("nothing", None)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        assert isinstance(self.weight, nn.Parameter)
        assert self.weight.requires_grad
        assert self.nothing is None
        assert self.empty.numel() == 0
        assert {name for name, _ in self.named_parameters()} == {
            "weight", "frozen", "scalar", "empty"
        }  # fmt: skip
        return x * self.weight * self.weight.rate + self.frozen * self.scalar


class Recursive(Net):
    """Calls itself."""

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        x = self.layers(x)
        return self(x, arch[1:]) if arch else x
