"""What a network may not be or have if copies of it are to be merged, said when they are made."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

_OLD_HOOKS = {
    WeightNorm: "torch.nn.utils.weight_norm; use torch.nn.utils.parametrizations.weight_norm",
    SpectralNorm: "torch.nn.utils.spectral_norm; use torch.nn.utils.parametrizations.spectral_norm",
    prune.BasePruningMethod: "torch.nn.utils.prune; make it final with prune.remove() before",
}


def check_number(K: object) -> None:
    """Raise ``ValueError`` unless K is a whole number from 1 on."""
    if isinstance(K, bool) or not isinstance(K, Integral):
        raise ValueError(f"K, the number of copies, must be a whole number, got {K!r}")
    if K < 1:
        raise ValueError(f"K, the number of copies, must be at least 1, got {K}")


def check_network(network: object, refused: type[nn.Module]) -> None:
    """Raise ``ValueError`` naming what in the network cannot be merged, or would be lost.

    Args:
        network: the supernet.
        refused: the class of what must not be in it, the wrapper itself.
    """
    if not isinstance(network, nn.Module):
        raise ValueError(f"a supernet is an nn.Module, got {type(network).__name__}")
    for path, module in network.named_modules():
        where = path or type(module).__name__
        for name, parameter in module._parameters.items():
            if parameter is not None:
                _check_parameter(f"{path}.{name}" if path else name, parameter)
        _check_module(where, module, refused)
    _check_references(network)


def _check_module(where: str, module: nn.Module, refused: type[nn.Module]) -> None:
    if isinstance(module, refused):
        raise ValueError(f"{where} is a {refused.__name__} already; give it the supernet inside")
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        raise ValueError(
            f"{where} is {type(module).__name__}; wrap the plain supernet in KShot, and KShot in "
            "DistributedDataParallel"
        )
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"{where} is compiled by torch.jit, which reads weights out of reach")
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.max_norm is not None:
        raise ValueError(
            f"{where} has max_norm={module.max_norm}, which writes to its weight in forward(); "
            "a merged weight cannot keep that: leave max_norm out, or scale the rows it returns"
        )
    for hook in module._forward_pre_hooks.values():
        for kind, told in _OLD_HOOKS.items():
            if isinstance(hook, kind):
                raise ValueError(f"{where} keeps its weights by hooks of {told}")


def _check_parameter(name: str, parameter: nn.Parameter) -> None:
    if is_lazy(parameter):
        raise ValueError(
            f"{name} is lazy and has no shape yet; run the supernet once, then give it to KShot"
        )
    if type(parameter) is not nn.Parameter:
        raise ValueError(
            f"{name} is of the class {type(parameter).__name__}; only plain nn.Parameter merge"
        )
    if not (parameter.is_floating_point() or parameter.is_complex()):
        raise ValueError(
            f"{name} has the type {parameter.dtype}, of which no mean can be taken; "
            "make it a buffer, which all copies share"
        )
    if parameter.layout is not torch.strided:
        raise ValueError(f"{name} is {parameter.layout}; only dense parameters merge")
    if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
        raise ValueError(
            f"{name} has a hook on its gradient, which no merged weight would call; "
            "put hooks on modules, or on the bank"
        )


def _check_references(network: nn.Module) -> None:
    """Raise ``ValueError`` if a module keeps a parameter where merging cannot stand in for it.

    A list of parameters made in ``__init__``, say, would go on giving out copy 0.
    """
    names = {p.untyped_storage().data_ptr(): name for name, p in network.named_parameters()}
    names.pop(0, None)
    for path, module in network.named_modules():
        for attribute, value in vars(module).items():
            # Recurrent layers' list is stood in for as well.
            recurrent = isinstance(module, nn.RNNBase) and attribute == "_flat_weights"
            if recurrent or attribute in ("_parameters", "_modules"):
                continue
            for tensor in _tensors(value):
                name = names.get(tensor.untyped_storage().data_ptr())
                if name is not None:
                    raise ValueError(
                        f"{path or type(module).__name__} keeps the parameter {name} a second "
                        f"time, in its attribute {attribute}, where it cannot be merged; "
                        "read parameters and modules as attributes in forward()"
                    )


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
