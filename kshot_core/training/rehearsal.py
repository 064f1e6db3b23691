"""A step on PyTorch's ``meta`` device: what a GPU would be asked to do, without one.

Tensors of the meta device have shapes and no numbers, so whatever needs a number fails, and what a
GPU would forgive or wait for in silence can be refused. What is counted is what is dispatched: an
operation that is no mere view is one kernel (a backward convolution is two or three), and moves its
operands and results through memory once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from kshot_core.names import check_one_of
from kshot_core.training.trainer import Trainer

DEVICE = torch.device("meta")
"""Where a rehearsed training lies."""

_WAITS = (
    "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal",
    "repeat_interleave", "is_nonzero",
)  # fmt: skip
"""Operations whose result has a number or a shape that the processor must know to go on."""
_COPIES = ("_to_copy", "copy_")
_NO_KERNELS = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach")


class Operation(NamedTuple):
    """One operation on the device: its name, what it reads and writes, and twice its products."""

    name: str
    num_bytes: int
    flops: int


class RehearsalError(RuntimeError):
    """A step mixes devices, or waits for the device."""


class Rehearsal(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the operations on the meta device while it is entered, and refuses what is wrong.

    Floating-point operations are those of convolutions and products, two a multiply-add. On a GPU
    optimisers take all parameters at once; here they do where their groups say ``foreach``.

    Raises:
        RehearsalError: from within, where tensors of two devices meet in an operation (but for a
            number, a tensor without dimensions), where something is copied from the device or
            waits for it, or goes to it by a copy that waits.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []

    @property
    def num_kernels(self) -> int:
        """How many operations there were."""
        return len(self.operations)

    @property
    def num_bytes(self) -> int:
        """What all of them read and write."""
        return sum(one.num_bytes for one in self.operations)

    @property
    def flops(self) -> int:
        """Floating-point operations of all of them."""
        return sum(one.flops for one in self.operations)

    def by_name(self) -> Counter[str]:
        """How often each was asked for."""
        return Counter(one.name for one in self.operations)

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Check, run and count one operation."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        before = _tensors((args, kwargs))
        self._check(name, before, args, kwargs)
        result = func(*args, **kwargs)
        after = _tensors(result)
        if any(one.device == DEVICE for one in (*before, *after)):
            self._count(func, name, (*before, *after), args, kwargs, result)
        return result

    def _check(
        self, name: str, tensors: Sequence[Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        here = [one for one in tensors if one.device == DEVICE]
        if name in _COPIES:
            source = args[1] if name == "copy_" else args[0]
            target = args[0].device if name == "copy_" else kwargs.get("device") or source.device
            if source.device == DEVICE and torch.device(target) != DEVICE:
                raise RehearsalError(f"{name} waits for the device: a copy from it to {target}")
            waits = not (kwargs.get("non_blocking") or (name == "copy_" and args[2:3] == (True,)))
            if source.device != DEVICE and torch.device(target) == DEVICE and waits:
                raise RehearsalError(f"{name} to the device waits for it: not non_blocking")
            return
        by_mask = name.startswith("index") and any(
            one.dtype == torch.bool for one in _tensors(args[1])
        )
        if here and (name in _WAITS or by_mask):
            raise RehearsalError(f"{name} waits for the device")
        if here and any(one.device != DEVICE and one.ndim > 0 for one in tensors):
            devices = sorted({str(one.device) for one in tensors})
            raise RehearsalError(f"{name} mixes devices: {', '.join(devices)}")

    def _count(
        self,
        func: torch._ops.OpOverload,
        name: str,
        tensors: Sequence[Tensor],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        result: Any,
    ) -> None:
        if func.is_view or name in _NO_KERNELS or name == "_unsafe_view":
            return
        flops = _flops(func, name, args, kwargs, result)
        self.operations.append(Operation(name, sum(map(_bytes, tensors)), flops))


def rehearse_step(trainer: Trainer, kind: str, x: Tensor, y: Tensor) -> Rehearsal:
    """What one step of a training on the meta device asks for, update and all.

    Args:
        trainer: its bank and simplex-net are on the device.
        kind: ``"weight"`` or ``"simplex"``.
        x: inputs (B, ...) on the device.
        y: targets (B, ...) on the device.

    Raises:
        ValueError: another kind, or the strategy has no simplex steps.
        RehearsalError: see ``Rehearsal``.
    """
    check_one_of("kind", kind, ("weight", "simplex"))
    if kind == "simplex" and trainer.simplex_optimizer is None:
        raise ValueError("a strategy without parameters has no simplex steps")
    for optimizer in (trainer.optimizer, trainer.simplex_optimizer):
        for group in optimizer.param_groups if optimizer else ():
            group["foreach"] = True
    seen = Rehearsal()
    with seen:
        if kind == "weight":
            trainer._weight_step(x, y, warm=False)
        else:
            trainer._simplex_step(x, y)
    return seen


def _flops(
    func: torch._ops.OpOverload,
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    result: Any,
) -> int:
    if name.startswith("convolution"):
        # PyTorch's own count takes a grouped convolution's backward pass for a full one's.
        backward = name == "convolution_backward"
        output, weight = (args[0], args[2]) if backward else (result, args[1])
        num_products = sum(args[10][:2]) if backward else 1
        return int(2 * num_products * output.numel() * weight[0].numel())
    count: Callable[..., int] | None = flop_registry.get(func.overloadpacket)
    return count(*args, **kwargs, out_val=result) if count else 0


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensor: Tensor) -> int:
    """Numbers that are there: an expanded tensor has each once."""
    num = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        num *= size if stride else 1
    return num * tensor.element_size()
