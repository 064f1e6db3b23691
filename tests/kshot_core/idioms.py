"""What users' modules do with their parameters: one small supernet for each habit.

Every one takes ``x`` (5, 4) and an arch that most ignore. ``IDIOMS`` lists them,
``PLAIN`` what plain PyTorch is to run where it cannot do the same (recompute with merged weights).
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
from users_modules import (
    Containers,
    Marked,
    Net,
    Of,
    Recursive,
    References,
    Square,
    Statistics,
    Symmetric,
    Tied,
)

Arch = tuple[int, ...]


def net(run: Callable[[Any, Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: Net(run)


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


def _symmetric() -> nn.Linear:
    layer = nn.Linear(4, 4)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


def _cached(self: Any, x: Tensor) -> Tensor:
    with parametrize.cached():
        return self.layer(self.layer(x))


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


IDIOMS: dict[str, Callable[[], nn.Module]] = {
    "weight penalty over parameters()": net(_penalty),
    "named_parameters() by name": net(_by_name),
    "next(parameters()).device": net(_where),
    "get_parameter()": net(lambda s, x: x @ s.get_parameter("second.weight")),
    "parameter table as a dictionary": net(_table),
    "getattr by name": net(lambda s, x: getattr(s, "first")(x) * s.second.weight[0]),  # noqa: B009
    "parameters_to_vector": net(_vector),
    "apply, children, named_modules": net(_walk),
    "slices, no_grad, state_dict()": net(_by_hand),
    "hooks forward and backward": _hooked,
    "buffers": Statistics,
    "tied weights": Tied,
    "weight_norm": of(layer=lambda: parametrizations.weight_norm(nn.Linear(4, 4))),
    "spectral_norm": of(layer=lambda: parametrizations.spectral_norm(nn.Linear(4, 4))),
    "orthogonal": of(layer=lambda: parametrizations.orthogonal(nn.Linear(4, 4))),
    "parametrization of one's own": of(layer=_symmetric),
    "parametrize.cached()": of(_cached, layer=_symmetric),
    "autograd.Function of a weight": net(lambda s, x: x @ Square.apply(s.first.weight)),
    "containers": Containers,
    "modules in lists, closures, methods": References,
    "marks, frozen, scalar, empty, None": Marked,
    "recursion": Recursive,
    "gradient penalty": net(_gradient_penalty),
    "vmap": net(_per_sample),
    "vmap of grad": net(_jacobian),
    "deepcopy and copy of a layer": net(_copied),
    "autocast": net(_autocast),
    "checkpoint": net(_checkpointed(False)),
    "checkpoint, reentrant": net(_checkpointed(True)),
    "checkpoint in a checkpoint": net(_nested),
    "checkpoint_sequential": of(_sequential, layer=_stack),
    "checkpoint with dropout": net(_noisy),
    "LSTM": of(layer=lambda: nn.LSTM(4, 3, 2, bidirectional=True)),
    "LSTM with projection": of(layer=lambda: nn.LSTM(4, 3, proj_size=2)),
    "GRU": of(layer=lambda: nn.GRU(4, 3)),
    "RNN": of(layer=lambda: nn.RNN(4, 3, bias=False)),
    "LSTMCell": of(layer=lambda: nn.LSTMCell(4, 3)),
    "attention": of(lambda s, x: s.layer(x, x, x), layer=lambda: nn.MultiheadAttention(4, 2)),
    "transformer": of(layer=lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)),
    "embedding": of(lambda s, x: s.layer(_tokens(x)), layer=lambda: nn.Embedding(7, 3)),
    "embedding bag": of(lambda s, x: s.layer(_tokens(x)), layer=lambda: nn.EmbeddingBag(7, 3)),
    "group and layer norm": of(layer=lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.LayerNorm(4))),
    "bilinear": of(lambda s, x: s.layer(x, x), layer=lambda: nn.Bilinear(4, 4, 3)),
    "convolution": of(
        lambda s, x: s.layer(x[:, None]), layer=lambda: nn.Conv1d(1, 2, 3, padding=1)
    ),
    "torch.compile of a layer": _compiled,
}
PLAIN: dict[str, Callable[[], nn.Module]] = {
    "deepcopy and copy of a layer": net(_copied_plainly),
    "checkpoint": net(_not_checkpointed),
    "checkpoint, reentrant": net(_not_checkpointed),
    "checkpoint in a checkpoint": net(lambda s, x: s.layers(x).tanh()),
    "checkpoint_sequential": of(layer=_stack),
    "checkpoint with dropout": net(_not_noisy),
    "torch.compile of a layer": Net,
}
