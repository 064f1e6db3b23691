"""Contract of KShot: what a module of a user's does, it does with the merged weights.

Every idiom is compared with the plain network into which the merged weights were put by hand:
outputs, buffers, gradients to the bank and to the code, in training and in evaluation.
"""

from __future__ import annotations

import copy

import pytest
import torch
from idioms import IDIOMS, PLAIN
from torch import Tensor, nn

from kshot_core.weights.bank import KShot, table_key

K = 3
ARCH = (1, 2)


def _x() -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(9))


def _code(seed: int = 0) -> Tensor:
    code = torch.randn(K, generator=torch.Generator().manual_seed(seed)).softmax(0)
    return code.requires_grad_()


def _supernets(make: object) -> list[nn.Module]:
    """K networks of one kind and with different weights."""
    networks = []
    for seed in range(K):
        torch.manual_seed(seed)
        networks.append(make())  # type: ignore[operator]
    for network in networks:
        for ours, theirs in zip(network.buffers(), networks[0].buffers(), strict=True):
            ours.copy_(theirs)
    return networks


def _modules(network: nn.Module) -> list[nn.Module]:
    return [one for one in network.modules() if type(one).__name__ != "OptimizedModule"]


def _put_merged(plain: nn.Module, networks: list[nn.Module], code: Tensor) -> dict[str, Tensor]:
    """Set the plain network's parameters to merges; returns the leaves (K, P) by name."""
    each = [dict(network.named_parameters()) for network in networks]
    names = {id(parameter): name for name, parameter in each[0].items()}
    leaves, merged = {}, {}
    for name, first in each[0].items():
        stack = torch.stack([one[name].detach().flatten() for one in each])
        leaves[name] = stack.requires_grad_(first.requires_grad)
        merged[name] = (code @ stack).view_as(first)
        merged[name].__dict__.update(vars(first), _is_param=True)
    for ours, theirs in zip(_modules(networks[0]), _modules(plain), strict=True):
        for local, parameter in ours._parameters.items():
            if parameter is not None:
                theirs._parameters[local] = merged[names[id(parameter)]]  # type: ignore[assignment]
    return leaves


def _loss(output: Tensor) -> Tensor:
    return (output * torch.linspace(-1, 2, output.numel()).view_as(output)).sum()


# Of torch.compile on any tensor that is no leaf, and of LSTMs on this processor.
@pytest.mark.filterwarnings("ignore:The .grad attribute", "ignore:LSTM with projections")
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("idiom", IDIOMS)
def test_an_idiom_does_with_merged_weights_what_it_does_with_its_own(
    idiom: str, training: bool
) -> None:
    make, make_plain = IDIOMS[idiom], PLAIN.get(idiom)
    torch._dynamo.reset() if "compile" in idiom else None
    networks = _supernets(make)
    for network in networks:
        network.train(training)
    shared = KShot.from_supernets(networks)
    plain = copy.deepcopy(networks[0]) if make_plain is None else make_plain().train(training)
    assert shared.training == training
    # Twice, with different codes: nothing may stay behind of the first one.
    for seed in range(2):
        code, expected_code = _code(seed), _code(seed)
        leaves = _put_merged(plain, networks, expected_code)
        expected = plain(_x(), ARCH)
        output = shared(_x(), ARCH, code)
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
        shared.zero_grad()
        _loss(output).backward()
        _loss(expected).backward()
        torch.testing.assert_close(code.grad, expected_code.grad, rtol=1e-4, atol=1e-5)
        for name, leaf in leaves.items():
            actual = shared.bank[table_key(name)].grad
            torch.testing.assert_close(actual, leaf.grad, rtol=1e-4, atol=1e-5, msg=name)
        buffers = dict(plain.named_buffers())
        assert {name for name, _ in shared.network.named_buffers()} == set(buffers)
        for name, value in shared.network.named_buffers():
            torch.testing.assert_close(value, buffers[name], msg=name)


def test_there_are_many_idioms() -> None:
    assert len(IDIOMS) >= 25
