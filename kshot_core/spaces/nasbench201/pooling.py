"""3×3 average pooling by the kernel that is fastest where it runs.

On x86 processors a depthwise convolution with ones takes half the time of PyTorch's own pooling in
channels-last memory. Both add the same pixels in the same order and divide by the same count, so
results and gradients are the same bits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST = 2**16
"""Numbers from which the convolution is faster; below, starting it costs more than it saves."""


def average_3x3(x: Tensor) -> Tensor:
    """Mean of each pixel and its neighbours inside the image; (B, C, H, W) to the same shape."""
    if not is_faster_by_convolution(x):
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    y: Tensor = _ByConvolution.apply(x)  # type: ignore[no-untyped-call]
    return y


def is_faster_by_convolution(x: Tensor) -> bool:
    """Whether ``average_3x3`` of these images is a convolution."""
    # Autocast would round a convolution to 16 bits, where pooling stays as precise as its input. A
    # graph for an exporter or a compiler is to hold a pooling.
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.numel() >= LEAST
        and x.shape[1] % 8 == 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and bool(torch.backends.mkldnn.enabled)
        and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class _ByConvolution(torch.autograd.Function):
    """Pooling and its gradient, which spreads each mean over the pixels it was taken of.

    Windows are symmetric, so spreading is summing again. Autograd's own gradient of the convolution
    sums in another order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _sum_3x3(x).div_(_counts(x))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        return _sum_3x3(gradient / _counts(gradient))


def _sum_3x3(x: Tensor) -> Tensor:
    ones = torch.ones(x.shape[1], 1, 3, 3)
    return F.conv2d(x, ones, padding=1, groups=x.shape[1])


def _counts(x: Tensor) -> Tensor:
    """Pixels of each window that lie inside the image, (H, W)."""
    inside = []
    for size in x.shape[2:]:
        line = torch.full((size,), 3.0)
        line[0] -= 1
        line[-1] -= 1
        inside.append(line)
    return torch.outer(*inside)
