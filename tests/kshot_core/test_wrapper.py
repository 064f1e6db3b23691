"""KShot as a module: what its parameters are, copies, pickles, precisions, modules around it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import ddp_ranks
import made_up
import pytest
import torch
from safetensors.torch import load_file
from test_distributed import torchrun
from torch import Tensor, nn
from users_modules import Net, Of, Statistics

from kshot_core.weights.bank import KShot

K = 3
ARCH = (1, 2)


def _lstm() -> nn.Module:
    return Of(layer=nn.LSTM(4, 3, 2))


def _shared(make: Callable[[], nn.Module] = Net, K: int = K) -> KShot:
    networks = []
    for seed in range(K):
        torch.manual_seed(seed)
        networks.append(make())
    return KShot.from_supernets(networks)


def _x() -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(9))


def _code(seed: int = 0) -> Tensor:
    return torch.randn(K, generator=torch.Generator().manual_seed(seed)).softmax(0)


# Looking at parameters.


LOOKS: dict[str, Callable[[nn.Module], object]] = {
    "parameters": lambda net: list(net.parameters()),
    "named_parameters": lambda net: dict(net.named_parameters()),
    "next": lambda net: next(net.parameters()).device,
    "of a child": lambda net: list(net.first.parameters()),
    "attribute": lambda net: net.first.weight,
    "get_parameter": lambda net: net.get_parameter("first.weight"),
    "state_dict": lambda net: net.state_dict(),
    "items": lambda net: list(net.first._parameters.items()),
    "values": lambda net: list(net.first._parameters.values()),
    "get": lambda net: net.first._parameters.get("weight"),
    "dict": lambda net: dict(net.first._parameters),
    "copy": lambda net: net.first._parameters.copy(),
    "update": lambda net: {}.update(net.first._parameters),
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "zero_grad": lambda net: net.zero_grad(),
    "requires_grad_": lambda net: net.requires_grad_(False),
    "double": lambda net: net.double(),
    "forward": lambda net: net(_x(), ARCH),
}


@pytest.mark.parametrize("look", LOOKS)
def test_outside_a_merge_no_way_of_looking_is_silent(look: str) -> None:
    shared = _shared()
    before = copy.deepcopy(shared.state_dict())
    with pytest.raises(RuntimeError, match=r"exists only while a code merges it: call shared\("):
        LOOKS[look](shared.network)
    torch.testing.assert_close(shared.state_dict(), before)


def test_the_network_of_a_merge_is_the_plain_network_with_merged_weights() -> None:
    shared = _shared(Statistics)
    with shared.merged(_code()) as network:
        assert isinstance(network, Statistics)
        weights = shared.weights(_code())
        assert {name for name, _ in network.named_parameters()} == {
            "layer.weight", "layer.bias", "norm.weight", "norm.bias"
        }  # fmt: skip
        for name, parameter in network.named_parameters():
            assert torch.equal(parameter, weights[name])
            assert isinstance(parameter, nn.Parameter)
        state = network.state_dict()
        assert state.keys() == weights.keys() == Statistics().state_dict().keys()
        for name, value in state.items():
            assert torch.equal(value, weights[name])
        assert type(copy.copy(network)) is Statistics
        plain = [copy.deepcopy(network), pickle.loads(pickle.dumps(network))]  # noqa: S301
        network.eval()
        expected = network(_x(), ARCH)
    for one in plain:
        assert type(one) is Statistics
        assert all(type(p) is nn.Parameter and p.is_leaf for p in one.parameters())
        torch.testing.assert_close(one.eval()(_x(), ARCH), expected)
    assert not shared.network.training


@pytest.mark.parametrize("make", [Net, _lstm, Statistics])
def test_the_wrapper_sees_the_bank_alone_inside_and_outside(make: Callable[[], nn.Module]) -> None:
    shared = _shared(make)
    names = {f"bank.{key}" for key in shared.bank}

    def look() -> None:
        assert {name for name, _ in shared.named_parameters()} == names
        assert all(parameter.is_leaf for parameter in shared.parameters())
        saved = {name for name in shared.state_dict() if not name.startswith("network.")}
        assert saved == names
        assert "network" in repr(shared)
        shared.zero_grad()

    look()
    with shared.merged(_code()):
        look()


# The wrapper as a module.


@pytest.mark.parametrize("make", [Net, _lstm, Statistics, made_up.Slimmable])
def test_copies_and_pickles_are_independent_and_complete(make: Callable[[], nn.Module]) -> None:
    shared = _shared(make)
    arch = (2, 1, 1) if make is made_up.Slimmable else ARCH
    x = torch.rand(2, 3, 5, 5) if make is made_up.Slimmable else _x()
    shared(
        x, arch, _code()
    ).sum().backward()  # which must leave nothing behind that cannot go along
    shared.zero_grad()
    with shared.merged(_code(1)):
        others = [copy.deepcopy(shared), pickle.loads(pickle.dumps(shared)), copy.copy(shared)]  # noqa: S301
    expected = shared.eval()(x, arch, _code())
    for other in others[:2]:
        assert torch.equal(other.eval()(x, arch, _code()), expected)
        kinds = [type(module) for module in other.network.modules()]
        assert kinds == [type(module) for module in shared.network.modules()]
        other(x, arch, _code()).sum().backward()
        assert any(parameter.grad is not None for parameter in other.parameters())
        assert all(parameter.grad is None for parameter in shared.parameters())
        with torch.no_grad():
            next(other.parameters()).zero_()
        with pytest.raises(RuntimeError, match="exists only while"):
            other.network(x, arch)
    assert torch.equal(shared(x, arch, _code()), expected)
    assert torch.equal(others[2].eval()(x, arch, _code()), expected)


@pytest.mark.parametrize("make", [Net, _lstm, Statistics])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_the_code_is_brought_to_the_precision_of_the_bank(
    make: Callable[[], nn.Module], dtype: torch.dtype
) -> None:
    shared = _shared(make)
    expected = shared(_x(), ARCH, _code())
    shared = _shared(make).to(dtype)
    code = _code().requires_grad_()
    output = shared(_x().to(dtype), ARCH, code)
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), expected, rtol=0.05, atol=0.05)
    output.float().sum().backward()
    assert code.grad is not None
    assert code.grad.dtype == torch.float32
    assert all(buffer.dtype in (dtype, torch.int64) for buffer in shared.network.buffers())
    one_hot = nn.functional.one_hot(torch.tensor(1), K)  # of integers
    _shared(make)(_x(), ARCH, one_hot)


def test_the_mode_is_taken_over_and_set() -> None:
    mixed = Statistics().train()
    mixed.norm.eval()
    for network in (Statistics().eval(), Statistics().train(), mixed):
        for shared in (KShot(network, 2), KShot.from_supernets([network, network])):
            assert shared.training == network.training
            modes = [module.training for module in shared.network.modules()]
            assert modes == [module.training for module in network.modules()]
            assert not any(module.training for module in shared.eval().network.modules())
            assert all(module.training for module in shared.train().network.modules())


def test_modules_of_the_network_can_be_reached_from_the_wrapper() -> None:
    shared, called = _shared(Statistics), []
    for name, module in shared.named_modules():
        if isinstance(module, nn.BatchNorm1d):
            assert name == "network.norm"
            module.momentum = 0.5
            module.register_forward_hook(lambda m, args, output: called.append(m))
    assert shared.network.norm.momentum == 0.5
    shared(_x(), ARCH, _code())
    assert called == [shared.network.norm]


def test_a_module_around_it_sees_the_bank_and_the_buffers() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.head = _shared(Statistics), nn.Linear(4, 2)

    outer, other = Around(), Around()
    names = {name for name, _ in outer.named_parameters()}
    bank = {f"shared.bank.{key}" for key in outer.shared.bank}
    assert names == bank | {"head.weight", "head.bias"}
    assert "shared.network.total" in dict(outer.named_buffers())
    outer.shared(_x(), ARCH, _code())
    with torch.no_grad():
        for parameter in outer.parameters():
            parameter.add_(1)
    other.load_state_dict(outer.state_dict())
    expected = outer.double().eval().shared(_x().double(), ARCH, _code())
    assert torch.equal(other.double().eval().shared(_x().double(), ARCH, _code()), expected)
    assert torch.equal(copy.deepcopy(outer).shared(_x().double(), ARCH, _code()), expected)


def test_frozen_banks_and_inference_mode() -> None:
    shared = _shared()
    shared.requires_grad_(False)
    assert not shared(_x(), ARCH, _code()).requires_grad
    shared.requires_grad_(True)
    with shared.merged(_code()) as network:
        with torch.inference_mode():
            first = network(_x(), ARCH).clone()
        second = network(_x(), ARCH)
    second.sum().backward()
    assert all(parameter.grad is not None for parameter in shared.parameters())
    assert torch.equal(first, second)


@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize("what", ["shared", "network", "a step"])
def test_compiled_training_is_training(what: str) -> None:
    torch._dynamo.reset()
    states = []
    for compiled in (False, True):
        shared = _shared()
        optimizer = torch.optim.SGD(shared.parameters(), 0.1)

        def run(code: Tensor, shared: KShot = shared) -> Tensor:
            return shared(_x(), ARCH, code).square().sum()

        call = run
        if compiled and what == "shared":
            shared.compile(backend="aot_eager")
        elif compiled and what == "network":
            shared.network.compile(backend="aot_eager")
        elif compiled:
            call = torch.compile(run, backend="aot_eager")
        for seed in range(3):
            optimizer.zero_grad()
            call(_code(seed)).backward()
            optimizer.step()
        states.append(dict(shared.bank.named_parameters()))
    torch.testing.assert_close(*states)


def test_distributed_data_parallel_on_two_ranks(tmp_path: Path) -> None:
    torchrun(str(Path(ddp_ranks.__file__)), str(tmp_path))
    first, second = load_file(tmp_path / "0"), load_file(tmp_path / "1")
    alone = ddp_ranks.Model()

    def mean(x: Tensor, arch: tuple[int, ...], row: int) -> Tensor:
        return torch.stack([alone(half, arch, row).square().mean() for half in x.split(2)]).mean()

    ddp_ranks.train(alone, mean)
    assert first.keys() == second.keys() == alone.state_dict().keys()
    for name, value in alone.named_parameters():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value.detach(), rtol=1e-5, atol=1e-6)


def test_data_parallel_is_refused_where_it_would_copy() -> None:
    assert nn.DataParallel(_shared())(_x(), ARCH, _code()).shape == (5, 4)  # nothing to copy here
    with pytest.raises(RuntimeError, match=r"use torch\.nn\.parallel.DistributedDataParallel"):
        _shared()._replicate_for_data_parallel()
