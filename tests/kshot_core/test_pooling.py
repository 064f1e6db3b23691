"""Average pooling: whichever kernel runs, the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kshot_core.spaces.nasbench201 import pooling
from kshot_core.spaces.nasbench201.pooling import average_3x3

X86 = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def _images(*shape: int, seed: int = 0) -> Tensor:
    """Of many magnitudes, so that another order of adding up would show."""
    generator = torch.Generator().manual_seed(seed)
    exponents = torch.randint(-8, 9, shape, generator=generator)
    x = torch.randn(shape, generator=generator) * 2.0**exponents
    return x.to(memory_format=torch.channels_last)


def _plain(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


@pytest.fixture
def convolutions(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What was summed by convolutions."""
    summed: list[Tensor] = []
    sum_3x3 = pooling._sum_3x3

    def spy(x: Tensor) -> Tensor:
        summed.append(x)
        return sum_3x3(x)

    monkeypatch.setattr(pooling, "_sum_3x3", spy)
    return summed


@pytest.mark.parametrize(
    "shape",
    [(64, 16, 32, 32), (64, 32, 16, 16), (64, 64, 8, 8), (4, 256, 32, 32), (7, 24, 21, 20),
     (9, 8, 31, 33), (4096, 16, 1, 1), (2100, 16, 1, 2), (1100, 32, 2, 1)],
)  # fmt: skip
def test_bits_are_those_of_pooling(shape: tuple[int, ...], convolutions: list[Tensor]) -> None:
    results = []
    for pool in (average_3x3, _plain):
        x = _images(*shape).requires_grad_()
        y = pool(x)
        (gradient,) = torch.autograd.grad(y, x, _images(*shape, seed=1))
        results.append((y.detach(), gradient))
    assert len(convolutions) == (2 if X86 else 0)
    for ours, pooled in zip(*results, strict=True):
        assert torch.equal(ours, pooled)
        assert ours.is_contiguous(memory_format=torch.channels_last)


def test_a_gradient_in_any_memory_is_taken() -> None:
    x = _images(64, 16, 32, 32).requires_grad_()
    for gradient in (torch.ones(()).expand_as(x), torch.randn(x.shape)):
        (ours,) = torch.autograd.grad(average_3x3(x), x, gradient)
        (pooled,) = torch.autograd.grad(_plain(x), x, gradient)
        assert torch.equal(ours, pooled)


def test_second_derivatives_are_those_of_pooling() -> None:
    results = []
    for pool in (average_3x3, _plain):
        x = _images(16, 16, 16, 16).requires_grad_()
        (first,) = torch.autograd.grad(pool(x).square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        results.append(second)
    torch.testing.assert_close(*results)


@pytest.mark.parametrize(
    "x",
    [
        _images(64, 16, 32, 32).double(),
        _images(64, 16, 32, 32).bfloat16(),
        _images(64, 16, 32, 32).contiguous(),
        _images(64, 12, 32, 32),
        _images(2, 16, 32, 32),
    ],
    ids=["double", "bfloat16", "channels first", "12 channels", "small"],
)
def test_whatever_the_convolution_is_not_for_is_pooled(
    x: Tensor, convolutions: list[Tensor]
) -> None:
    y = average_3x3(x)
    assert torch.equal(y, _plain(x))
    assert y.dtype == x.dtype
    assert not convolutions


def test_autocast_does_not_round_the_sums(convolutions: list[Tensor]) -> None:
    x = _images(64, 16, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        y = average_3x3(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, _plain(x))
    assert not convolutions
