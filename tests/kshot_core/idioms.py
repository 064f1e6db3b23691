"""What users' modules do with their parameters: one small supernet for each habit.

Every one takes ``x`` (5, 4) and an arch that most ignore. ``IDIOMS`` lists them with what plain
PyTorch is to run in their place where it cannot do the same (recompute with merged weights, say).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

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


def net(run: Callable[[Any, Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: Net(run)


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


def of(run: Callable[[Any, Tensor], Any] | None = None, **modules: Any) -> Callable[[], nn.Module]:
    """Modules are given as functions that make them."""
    return lambda: Of(run, **{name: make() for name, make in modules.items()})


def _table(self: Any, x: Tensor) -> Tensor:
    table = self.first._parameters
    assert isinstance(table, dict)
    assert len(table) == 2
    assert table
    assert list(table) == list(table.keys()) == ["weight", "bias"]
    assert "weight" in table
    assert "none" not in table
    assert self.second._parameters.get("bias", 0) is None
    assert table.get("none") is None
    weight = table["weight"]
    copies = [dict(table), {**table}, table.copy(), copy.copy(table), table | {}, {} | table]
    assert all(one["weight"] is weight for one in copies)
    assert table.get("weight") is weight
    assert dict(table.items())["weight"] is weight
    assert next(iter(table.values())) is weight
    assert table == {**table}
    assert [*reversed(table)] == ["bias", "weight"]
    return F.linear(x, weight, table.setdefault("bias", None))


def _hooked() -> nn.Module:
    module = Net()
    module.first.register_forward_pre_hook(lambda m, args: (args[0] * m.weight.mean(),))
    module.first.register_forward_hook(lambda m, args, output: output + m.bias.square())
    module.second.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    return module


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


def _symmetric() -> nn.Linear:
    layer = nn.Linear(4, 4)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


def _cached(self: Any, x: Tensor) -> Tensor:
    with parametrize.cached():
        return self.layer(self.layer(x))


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


def _walk(self: Any, x: Tensor) -> Tensor:
    found = []
    self.apply(lambda module: found.extend(module.parameters(recurse=False)))
    for _, module in self.named_modules():
        found += list(module._parameters.values())
    for child in self.children():
        found.append(child.get_parameter("weight"))
    found.append(self.get_submodule("first").weight)
    return x * sum(p.square().sum() for p in found if p is not None)


def _gradient_penalty(self: Any, x: Tensor) -> Tensor:
    loss = self.layers(x).square().sum()
    (gradient,) = torch.autograd.grad(loss, self.first.weight, create_graph=True)
    return self.layers(x) + gradient.square().sum()


def _per_sample(self: Any, x: Tensor) -> Tensor:
    return torch.func.vmap(self.layers)(x)


def _jacobian(self: Any, x: Tensor) -> Tensor:
    return torch.func.vmap(torch.func.grad(lambda row: self.layers(row).sum()))(x)


def _copied(self: Any, x: Tensor) -> Tensor:
    teacher = copy.deepcopy(self.first)
    assert type(teacher.weight) is nn.Parameter
    assert teacher.weight.is_leaf
    with torch.no_grad():
        teacher.weight.zero_()
    return self.layers(x) + teacher(x).detach() + copy.copy(self.first)(x)


def _copied_plainly(self: Any, x: Tensor) -> Tensor:
    return self.layers(x) + self.first.bias.detach() + self.first(x)


def _autocast(self: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return self.layers(self.layers(x)).float()


def _checkpointed(reentrant: bool) -> Callable[[Any, Tensor], Tensor]:
    """Two segments that share a layer, one of them a closure that reads a parameter itself."""

    def run(self: Any, x: Tensor) -> Tensor:
        x = checkpoint(self.layers, x.requires_grad_(), use_reentrant=reentrant)
        x = checkpoint(lambda x: x @ self.first.weight.tanh(), x, use_reentrant=reentrant)
        return self.first(x)

    return run


def _not_checkpointed(self: Any, x: Tensor) -> Tensor:
    return self.first(self.layers(x.requires_grad_()) @ self.first.weight.tanh())


def _nested(self: Any, x: Tensor) -> Tensor:
    def inner(x: Tensor) -> Tensor:
        return checkpoint(self.layers, x, use_reentrant=False).tanh()

    return checkpoint(inner, x, use_reentrant=False)


def _sequential(self: Any, x: Tensor) -> Tensor:
    return checkpoint_sequential(self.layer, 2, x.requires_grad_(), use_reentrant=False)


def _noisy(self: Any, x: Tensor) -> Tensor:
    torch.manual_seed(3)
    return checkpoint(lambda x: F.dropout(self.layers(x)), x.requires_grad_(), use_reentrant=True)


def _not_noisy(self: Any, x: Tensor) -> Tensor:
    torch.manual_seed(3)
    return F.dropout(self.layers(x))


def _stack() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 4))


def _tokens(x: Tensor) -> Tensor:
    return (x * 10).long().abs() % 7


def _by_hand(self: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        norm = self.first.weight.norm() + sum(v.sum() for v in self.state_dict().values())
    weight = self.first.weight - self.first.weight.mean()
    return F.linear(x[:, :3], weight[:2, :3], self.first.bias[:2]) / norm.detach()


def _compiled() -> nn.Module:
    module = Net()
    module.first = torch.compile(module.first, backend="aot_eager")
    return module


def _penalty(self: Any, x: Tensor) -> Tensor:
    norms = [p.square().sum() for p in self.parameters()]
    assert len(norms) == 3
    return self.layers(x) + 0.1 * torch.stack(norms).sum()


def _by_name(self: Any, x: Tensor) -> Tensor:
    decayed = [p for name, p in self.named_parameters() if not name.endswith("bias")]
    return self.layers(x) + sum(p.abs().sum() for p in decayed)


def _where(self: Any, x: Tensor) -> Tensor:
    first = next(self.parameters())
    return self.layers(x.to(first.device, first.dtype)) * next(self.second.parameters()).sum()


def _vector(self: Any, x: Tensor) -> Tensor:
    return x * nn.utils.parameters_to_vector(self.parameters()).norm()


IDIOMS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module] | None]] = {
    "weight penalty over parameters()": (net(_penalty), None),
    "named_parameters() by name": (net(_by_name), None),
    "next(parameters()).device": (net(_where), None),
    "get_parameter()": (net(lambda s, x: x @ s.get_parameter("second.weight")), None),
    "parameter table as a dictionary": (net(_table), None),
    "getattr by name": (net(lambda s, x: getattr(s, "first")(x) * s.second.weight[0]), None),  # noqa: B009
    "parameters_to_vector": (net(_vector), None),
    "apply, children, named_modules": (net(_walk), None),
    "slices, no_grad, state_dict()": (net(_by_hand), None),
    "hooks forward and backward": (_hooked, None),
    "buffers": (Statistics, None),
    "tied weights": (Tied, None),
    "weight_norm": (of(layer=lambda: parametrizations.weight_norm(nn.Linear(4, 4))), None),
    "spectral_norm": (of(layer=lambda: parametrizations.spectral_norm(nn.Linear(4, 4))), None),
    "orthogonal": (of(layer=lambda: parametrizations.orthogonal(nn.Linear(4, 4))), None),
    "parametrization of one's own": (of(layer=_symmetric), None),
    "parametrize.cached()": (of(_cached, layer=_symmetric), None),
    "autograd.Function of a weight": (net(lambda s, x: x @ Square.apply(s.first.weight)), None),
    "containers": (Containers, None),
    "modules in lists, closures, methods": (References, None),
    "marks, frozen, scalar, empty, None": (Marked, None),
    "recursion": (Recursive, None),
    "gradient penalty": (net(_gradient_penalty), None),
    "vmap": (net(_per_sample), None),
    "vmap of grad": (net(_jacobian), None),
    "deepcopy and copy of a layer": (net(_copied), net(_copied_plainly)),
    "autocast": (net(_autocast), None),
    "checkpoint": (net(_checkpointed(False)), net(_not_checkpointed)),
    "checkpoint, reentrant": (net(_checkpointed(True)), net(_not_checkpointed)),
    "checkpoint in a checkpoint": (net(_nested), net(lambda s, x: s.layers(x).tanh())),
    "checkpoint_sequential": (of(_sequential, layer=_stack), of(layer=_stack)),
    "checkpoint with dropout": (net(_noisy), net(_not_noisy)),
    "LSTM": (of(layer=lambda: nn.LSTM(4, 3, 2, bidirectional=True)), None),
    "LSTM with projection": (of(layer=lambda: nn.LSTM(4, 3, proj_size=2)), None),
    "GRU": (of(layer=lambda: nn.GRU(4, 3)), None),
    "RNN": (of(layer=lambda: nn.RNN(4, 3, bias=False)), None),
    "LSTMCell": (of(layer=lambda: nn.LSTMCell(4, 3)), None),
    "attention": (
        of(lambda s, x: s.layer(x, x, x), layer=lambda: nn.MultiheadAttention(4, 2)),
        None,
    ),
    "transformer": (
        of(layer=lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)),
        None,
    ),
    "embedding": (of(lambda s, x: s.layer(_tokens(x)), layer=lambda: nn.Embedding(7, 3)), None),
    "embedding bag": (
        of(lambda s, x: s.layer(_tokens(x)), layer=lambda: nn.EmbeddingBag(7, 3)),
        None,
    ),
    "group and layer norm": (
        of(layer=lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.LayerNorm(4))),
        None,
    ),
    "bilinear": (of(lambda s, x: s.layer(x, x), layer=lambda: nn.Bilinear(4, 4, 3)), None),
    "convolution": (
        of(lambda s, x: s.layer(x[:, None]), layer=lambda: nn.Conv1d(1, 2, 3, padding=1)),
        None,
    ),
    "torch.compile of a layer": (_compiled, Net),
}  # fmt: skip
