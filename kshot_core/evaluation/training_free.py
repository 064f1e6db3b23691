"""Scores of untrained networks: what a ranking by a supernet should be shown beside.

Each is a function of one network with initial weights and of one batch, higher for a network that
is thought better. The number of parameters and multiply-adds are the space's (``params``,
``flops``). Networks may be written with modules or with functions: what they compute is watched,
not how they are built. Shapes: B images of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_RECTIFIERS = {
    _aten.relu.default, _aten.relu_.default, _aten.hardtanh.default, _aten.hardtanh_.default,
}  # fmt: skip
_LINEAR_MAPS = ("ConvolutionBackward", "AddmmBackward", "MmBackward")


def depth(network: nn.Module, images: Tensor) -> float:
    """Convolutions and linear maps on the longest way from the images to the output.

    A separable convolution is two. Read from autograd's graph of one forward pass.
    """
    root = network(images).grad_fn
    longest: dict[Any, int] = {}
    waiting = [root]
    while waiting:
        node = waiting[-1]
        before = [one for one, _ in node.next_functions if one is not None]
        missing = [one for one in before if one not in longest]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        counts = node.name().startswith(_LINEAR_MAPS)
        longest[node] = counts + max((longest[one] for one in before), default=0)
    return float(longest[root])


@torch.no_grad()
def naswot(network: nn.Module, images: Tensor) -> float:
    """How different the images' patterns of active ReLUs are (NASWOT, Mellor et al., ICML 2021).

    The logarithm of the determinant of K, where K_ij is the number of ReLUs that are active for
    both or for neither of images i and j (their eq. 2); -inf where two images have one pattern.
    The network is as it trains, normalised by the batch.
    """
    watch = _Patterns(len(images))
    with watch:
        network(images)
    sign, logarithm = torch.linalg.slogdet(watch.kernel)
    return float(logarithm) if sign > 0 else -math.inf


class _Patterns(TorchDispatchMode):
    """Adds up the kernel of every ReLU that runs."""

    def __init__(self, num_images: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernel = torch.zeros(num_images, num_images, dtype=torch.float64)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _RECTIFIERS:
            active = (args[0] > 0).flatten(1).float()
            both = active @ active.T + (1 - active) @ (1 - active).T
            self.kernel += both.double().cpu()
        return func(*args, **(kwargs or {}))


def synflow(network: nn.Module, images: Tensor) -> float:
    """Logarithm of the flow through all weights (SynFlow, Tanaka et al., NeurIPS 2020).

    The sum over weights of |w · dR/dw|, where R is the sum of the outputs for an image of ones,
    with every weight at its absolute value and without batch-norms, as Abdelfattah et al. (ICLR
    2021) rank networks with it. ReLUs have no bound at 6, which untrained flows pass. In 64 bits;
    -inf where nothing flows.
    """
    parameters = {name: p.detach().double().abs() for name, p in network.named_parameters()}
    for value in parameters.values():
        value.requires_grad_()
    # Buffers are floating point or counters; without batch-norms none is read.
    buffers = {
        name: buffer.double() if buffer.is_floating_point() else buffer
        for name, buffer in network.named_buffers()
    }
    ones = torch.ones_like(images[:1], dtype=torch.float64)
    with _Linear():
        output = torch.func.functional_call(network, {**parameters, **buffers}, (ones,))
    output.sum().backward()
    flow = 0.0
    for value in parameters.values():
        # Weights that the network has and does not use have no gradient.
        if value.grad is not None:
            flow += float((value.detach() * value.grad).sum())
    return math.log(flow) if flow > 0 else -math.inf


class _Linear(TorchFunctionMode):
    """Batch-norms hand on what comes in, and ReLUs what is above 0."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in (F.batch_norm, torch.batch_norm):
            return args[0]
        if func in (F.relu6, F.hardtanh):
            return F.relu(args[0])
        return func(*args, **(kwargs or {}))


TRAINING_FREE: dict[str, Callable[[nn.Module, Tensor], float]] = {
    "depth": depth,
    "naswot": naswot,
    "synflow": synflow,
}
"""The scores, by name."""
