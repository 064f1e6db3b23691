"""The calls in progress: whose weights a network reads, in this thread and in this task.

A call stands in a context variable, so threads, tasks and calls within calls each have their own.
Checkpointing runs parts of a network again in the backward pass, in whatever thread that is in and
when the call is long over; ``follow_checkpoints`` makes it take the call along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

_T = TypeVar("_T")
Mode = bool | str
"""How autograd looks on what is computed: recorded, not recorded, or in inference mode."""


class Call:
    """A code, and the weights that it has merged so far.

    Args:
        owner: whose weights they are.
        code: (K,).
    """

    __slots__ = ("checkpointed", "code", "copies", "ended", "flats", "owner", "weights")

    def __init__(self, owner: object, code: Tensor) -> None:
        self.owner, self.code = owner, code
        self.weights: dict[tuple[Mode, str], Tensor] = {}
        # Every merge that has been computed, and its version, which a write to it raises.
        self.flats: list[tuple[str, Tensor, int]] = []
        self.copies: dict[str, nn.Parameter] = {}
        self.checkpointed = self.ended = False

    def refuse_writes(self) -> None:
        """Raise ``RuntimeError`` if a merged weight was written to: what was written is lost."""
        for name, flat, version in self.flats:
            if flat._version != version:
                raise RuntimeError(
                    f"the network wrote to {name} (or to a parameter of its group), a merge of "
                    "copies that keeps nothing; write to the bank, or use tensors that are no "
                    "parameters"
                )


_Node = tuple[Call, Any]
"""A call and, as another node or ``None``, the one it was made in."""
_NOW: ContextVar[_Node | None] = ContextVar("kshot_calls", default=None)


def mode() -> Mode:
    """Tensors of one mode are of no use in another."""
    return torch.is_grad_enabled() or ("inference" if torch.is_inference_mode_enabled() else False)


def current(owner: object) -> Call | None:
    """The innermost call of the owner's that is in progress here."""
    node = _NOW.get()
    while node is not None:
        call, node = node
        if call.owner is owner:
            return call
    return None


def eagerly(function: Callable[..., _T], *args: Any) -> _T:
    """Call a function outside of what ``torch.compile`` compiles, if anything is compiled now."""
    if torch.compiler.is_compiling():
        function = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
    return function(*args)


class Entered:
    """``with Entered(call):`` the call is in progress here."""

    __slots__ = ("_call", "_token")

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> Call:
        """The call."""
        self._token = _NOW.set((self._call, _NOW.get()))
        return self._call

    def __exit__(self, *_: object) -> None:
        """End it."""
        _NOW.reset(self._token)


def follow_checkpoints() -> None:
    """Let ``torch.utils.checkpoint`` recompute what it ran within a call within that call again.

    Outside calls nothing changes. Both ways of checkpointing run as ``use_reentrant=False`` here:
    the other one has a backward pass of its own for each segment, which would go through the merge
    and the sharing strategy once for every segment.
    """
    if torch.utils.checkpoint.CheckpointFunction is not _Reentrant:
        torch.utils.checkpoint.CheckpointFunction = _Reentrant  # type: ignore[misc]
        torch.utils.checkpoint._checkpoint_without_reentrant_generator = _without_reentrance  # type: ignore[assignment]


_original_generator = torch.utils.checkpoint._checkpoint_without_reentrant_generator
_original_function = torch.utils.checkpoint.CheckpointFunction


class _Reentrant(_original_function):
    @classmethod
    def apply(cls, function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        if _NOW.get() is None:
            return _original_function.apply(function, preserve, *args)  # type: ignore[no-untyped-call]
        return torch.utils.checkpoint.checkpoint(
            function, *args, use_reentrant=False, preserve_rng_state=preserve
        )


def _without_reentrance(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    node = _NOW.get()
    if node is None:
        return _original_generator(function, *args, **kwargs)
    for call in _calls(node):
        call.checkpointed = True

    def again(*inputs: Any, **named: Any) -> Any:
        with _put(node):
            return function(*inputs, **named)

    return _original_generator(again, *args, **kwargs)


def _calls(node: _Node | None) -> Iterator[Call]:
    while node is not None:
        call, node = node
        yield call


@contextmanager
def _put(node: _Node) -> Iterator[None]:
    token = _NOW.set(node)
    try:
        yield
    finally:
        _NOW.reset(token)
