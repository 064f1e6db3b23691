"""RMSProp against arithmetic written out, a number at a time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kshot_core.retraining.rmsprop import RMSProp

GRADIENTS = (0.5, -2.0, 0.01, 0.01)
RATES = (0.1, 0.1, 0.05, 0.2)


def written_out(weight: float, weight_decay: float) -> float:
    """The weight after four steps: decay .8, momentum .7, ε .01."""
    square, moving = 1.0, 0.0
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        total = gradient + weight_decay * weight
        square = 0.8 * square + 0.2 * total**2
        moving = 0.7 * moving + rate * total / math.sqrt(square + 0.01)
        weight -= moving
    return weight


def stepped(shape: tuple[int, ...], weight_decay: float) -> torch.Tensor:
    parameter = nn.Parameter(torch.full(shape, 1.5))
    optimizer = RMSProp([parameter], 0.8, 0.7, 0.01, weight_decay)
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        optimizer.zero_grad()
        parameter.grad = torch.full(shape, gradient)
        optimizer.step(rate)
    return parameter.detach()


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_steps_are_the_formula(weight_decay: float) -> None:
    expected = written_out(1.5, weight_decay)
    torch.testing.assert_close(stepped((2, 3), weight_decay), torch.full((2, 3), expected))


def test_biases_and_batch_norms_do_not_decay() -> None:
    assert torch.equal(stepped((3,), 0.3), stepped((3,), 0.0))
    assert not torch.equal(stepped((3, 1), 0.3), stepped((3, 1), 0.0))


def test_parameters_without_a_gradient_are_left_alone() -> None:
    used, idle = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimizer = RMSProp([idle, used], 0.9, 0.9, 1e-3, 0.5)
    optimizer.step(1.0)
    assert torch.equal(used, torch.ones(2, 2)), "there was nothing to do"
    used.grad = torch.ones(2, 2)
    assert len(optimizer.gradients()) == 1
    optimizer.step(1.0)
    assert torch.equal(idle, torch.ones(2, 2))
    assert torch.equal(optimizer.squares[0], torch.ones(2, 2))
    assert not torch.equal(used, torch.ones(2, 2))
    optimizer.zero_grad()
    assert optimizer.gradients() == []
