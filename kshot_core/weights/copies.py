"""Copies of a network with weights of their own, drawn as its layers draw them."""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from kshot_core.streams import seeded


def drawn_copies(network: nn.Module, K: int, seed: int) -> list[nn.Module]:
    """K copies: the first has the network's parameters, the others are drawn anew.

    Each module draws its own by ``reset_parameters()`` (``_reset_parameters()`` in attention and
    transformers), inner modules first, as when it was made. What no module draws stays as it is:
    frozen parameters and constants (all entries equal: zero biases, unit scales) are meant to;
    for others a warning names them, since their K copies are one until training parts them.
    """
    copies = [copy.deepcopy(network) for _ in range(K)]
    kept: list[str] = []
    with seeded(seed):
        for other in copies[1:]:
            kept = _redraw(other.cpu())
    if kept:
        shown = ", ".join(kept[:5]) + (f" and {len(kept) - 5} more" if len(kept) > 5 else "")
        warnings.warn(
            f"no reset_parameters() draws {shown}: equal in all {K} copies at the start; give the "
            "module one, or use KShot.from_supernets",
            stacklevel=3,
        )
    return copies


@torch.no_grad()
def _redraw(network: nn.Module) -> list[str]:
    """Draw every parameter anew that a module can draw; returns the names of those to warn of."""
    before = {name: value.clone() for name, value in network.named_parameters()}
    for name, value in network.named_parameters():
        if not _is_original(name):
            value.fill_(math.nan)  # what is still not a number afterwards was not drawn
    for module in _inner_first(network, set()):
        if parametrize.is_parametrized(module):
            _redraw_parametrized(module)
        else:
            _reset(module)
    kept = []
    for name, value in network.named_parameters():
        left = value.isnan().any() or (_is_original(name) and torch.equal(value, before[name]))
        if left or not value.requires_grad:
            value.copy_(before[name])
            if value.requires_grad and value.numel() and (value != value.flatten()[0]).any():
                kept.append(name)
    return kept


def _inner_first(module: nn.Module, seen: set[nn.Module]) -> Iterator[nn.Module]:
    for child in module.children():
        yield from _inner_first(child, seen)
    if module not in seen:
        seen.add(module)
        yield module


def _is_original(name: str) -> bool:
    """Whether the parameter is one that a parametrisation computes a weight from."""
    return "parametrizations" in name.split(".")


def _reset(module: nn.Module) -> None:
    for name in ("reset_parameters", "_reset_parameters"):
        reset = getattr(module, name, None)
        if callable(reset) and not _wants_arguments(reset):
            reset()


def _wants_arguments(function: Callable[..., object]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(
        one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        for one in parameters
    )


def _redraw_parametrized(module: nn.Module) -> None:
    """As it was made: draw the plain module, then give its weights to the parametrisation."""
    names = [name for name, _ in cast(nn.ModuleDict, module.parametrizations).items()]
    # The plain module beneath. (Removing parametrisations from a copy removes them from the class
    # that it has in common with the original.)
    kind: Any = type(module).__bases__[0]
    plain: nn.Module = kind.__new__(kind)
    before = {name: getattr(module, name).clone() for name in names}
    weights = {name: nn.Parameter(value.clone()) for name, value in before.items()}
    modules = {name: one for name, one in module._modules.items() if name != "parametrizations"}
    parts = {"_parameters": {**module._parameters, **weights}, "_modules": modules}
    vars(plain).update(vars(module), **parts)
    _reset(plain)
    for name, value in before.items():
        if not torch.equal(weights[name], value):
            with suppress(NotImplementedError, RuntimeError):  # it has no right_inverse
                setattr(module, name, weights[name].data)
