"""What a training may take hold of: parameters for a while, its state as tensors by name.

Such a state can be kept in files that run no code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def part_of(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by the rest of their names."""
    return {name[len(prefix) :]: v for name, v in state.items() if name.startswith(prefix)}


@contextmanager
def frozen(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Parameters that ask for no gradient for a while, so that none is computed for them."""
    asking = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in asking:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)


@contextmanager
def refused_if_unfit() -> Iterator[None]:
    """Taking up a state: one of another training is refused with ``ValueError``."""
    try:
        yield
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"the state does not fit this training: {error}") from None


def statistics_of(network: nn.Module) -> list[Tensor]:
    """Running statistics, without their counters."""
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]


def named_statistics(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """The same by their names in a state, which ``prefix`` precedes."""
    floats = {name: one for name, one in network.named_buffers() if one.is_floating_point()}
    kept = network.state_dict().keys()
    return {prefix + name: value for name, value in floats.items() if name in kept}


def optimizer_state(
    label: str, optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter]
) -> dict[str, Tensor]:
    """Per-parameter tensors; a parameter that never had a gradient has none yet."""
    return {
        f"{label}/{index}/{name}": value
        for index, parameter in enumerate(parameters)
        for name, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(
    label: str, optimizer: torch.optim.Optimizer, state: dict[str, Tensor]
) -> None:
    """Take up what ``optimizer_state`` returned of an equal optimizer under the same label."""
    saved: dict[int, dict[str, Any]] = {}
    for name, value in part_of(state, f"{label}/").items():
        index, _, key = name.partition("/")
        saved.setdefault(int(index), {})[key] = value.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": saved, "param_groups": groups})
