"""K-shot weights: K copies of a network's parameters, merged by a code before one plain forward.

This is the only file that knows what K means. The bank is the dictionary Θ of the paper (eq. 4-5):
a path's weights are the convex combination Θλ, where the code λ lies on the simplex.

The network is any ``nn.Module``. While it runs, its parameter tables are stood in for by ones that
merge a weight when the forward pass first reads it, so only what the path uses is ever merged,
without the network saying what that is. (``torch.func.functional_call`` wants every weight named
beforehand, and swaps each of them in and out at every call.)

Shapes: K copies, P parameters of a group, B images.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from kshot_core.space import Arch
from kshot_core.streams import seeded
from kshot_core.weights.many import Members, Weights, runs_many_paths


@cache
def table_key(name: str) -> str:
    """Key of a ParameterDict for a parameter's name: without dots, and no method's name."""
    key = name.replace(".", "-")
    return key + "-" if key in dir(nn.ParameterDict) else key


def each_alone(name: str) -> str:
    """Default grouping: every parameter merges by itself."""
    return name


class KShot(nn.Module):
    """K copies of a supernet's parameters behind the call ``shared(images, arch, code)``.

    ``parameters()`` are the bank: one tensor (K, P) per group. A training step leaves gradients on
    the groups its path used and ``None`` on the others.

    Args:
        supernet: called as ``supernet(images, arch)``; copied, and left as it is. Its buffers
            (running statistics, say) are shared by all copies. Copy 0 has its parameters; the
            others are drawn anew by each submodule's ``reset_parameters()``. A parameter of a
            module without that method starts equal in all copies; for full control use
            ``from_supernets``.
        K: number of copies, at least 1.
        seed: of the other copies' initial weights. No global random state is read or changed.
        group: maps a parameter's name to a group. Parameters of one group lie side by side and
            are merged in one product as soon as one of them is read, so a group should hold what
            paths use together (``NASBench201.parameter_group``). Grouping changes no result
            where a group is used whole or not at all.
    """

    def __init__(
        self,
        supernet: nn.Module,
        K: int,
        *,
        seed: int = 0,
        group: Callable[[str], str] = each_alone,
    ) -> None:
        if K < 1:
            raise ValueError(f"K, the number of copies, must be at least 1, got {K}")
        _refuse_references(supernet)
        copies = [copy.deepcopy(supernet) for _ in range(K)]
        with seeded(seed):
            for other in copies[1:]:
                _reset(other.cpu())
        super().__init__()
        self._build(copies, group)

    @classmethod
    def from_supernets(
        cls, supernets: Sequence[nn.Module], *, group: Callable[[str], str] = each_alone
    ) -> KShot:
        """A bank of the given supernets' parameters; they are copied. Buffers are the first's."""
        if not supernets:
            raise ValueError("a bank needs at least one supernet, got none")
        for supernet in supernets:
            _refuse_references(supernet)
        shared = cls.__new__(cls)
        nn.Module.__init__(shared)
        shared._build([copy.deepcopy(supernet) for supernet in supernets], group)
        return shared

    def _build(self, copies: list[nn.Module], group: Callable[[str], str]) -> None:
        self.K = len(copies)
        # remove_duplicate: a parameter that two modules share has one place in the bank.
        per_copy = [dict(network.named_parameters()) for network in copies]
        shapes = [{name: value.shape for name, value in one.items()} for one in per_copy]
        if any(other != shapes[0] for other in shapes[1:]):
            raise ValueError(
                "the supernets of a bank must have parameters of equal names and shapes"
            )
        names_of: dict[str, list[str]] = {}
        for name in per_copy[0]:
            names_of.setdefault(group(name), []).append(name)
        self._groups: dict[str, str] = {}
        self._shapes: dict[str, list[tuple[str, torch.Size]]] = {}
        self._aliases = _first_names(copies[0])
        self.bank = nn.ParameterDict()
        for label, names in names_of.items():
            key = table_key(label)
            if key in self.bank:
                raise ValueError(f"two groups of parameters are both called {key!r}")
            rows = [
                torch.cat([parameters[name].detach().reshape(-1) for name in names])
                for parameters in per_copy
            ]
            rows = [row.to(rows[0].device) for row in rows]
            ours = [parameters[name] for parameters in per_copy for name in names]
            if len({(one.requires_grad, one.dtype) for one in ours}) > 1:
                raise ValueError(
                    f"the parameters of group {key!r} differ in dtype or in requires_grad; "
                    "a group is one tensor, so give them different groups"
                )
            self.bank[key] = nn.Parameter(torch.stack(rows), requires_grad=ours[0].requires_grad)
            self._shapes[key] = [(name, per_copy[0][name].shape) for name in names]
            for name in names:
                self._groups[name] = key
        self.network = copies[0]
        self._call: _Call | None = None
        _stand_in(self.network, self._aliases, self._weight)

    def forward(self, x: Tensor, arch: Arch, code: Tensor) -> Tensor:
        """Merge the weights that the path uses by ``code``, then run the network once.

        Args:
            x: images, in whatever shape the network takes.
            arch: the path.
            code: (K,), on the simplex.

        Returns:
            what the network returns, differentiable in the bank and in the code.
        """
        with self.merged(code) as network:
            output: Tensor = network(x, arch)
        return output

    def forward_many(self, x: Tensor, archs: Sequence[Arch], codes: Tensor) -> Tensor:
        """Run m paths, each with its own code and its own images.

        In one pass where the network can do that (``kshot_core/many.py``): what paths have in
        common then costs one kernel. Otherwise one by one; equal up to rounding.

        Args:
            x: images (m, B, ...), an ``expand``ed tensor where all paths share them.
            archs: m paths.
            codes: (m, K), rows on the simplex.

        Returns:
            the m outputs, stacked.
        """
        if codes.shape != (len(archs), self.K) or len(x) != len(archs):
            raise ValueError(
                f"{len(archs)} paths need codes ({len(archs)}, {self.K}) and as many batches, "
                f"got codes {tuple(codes.shape)} and {len(x)} batches"
            )
        network = self.network
        if runs_many_paths(network):
            return network.forward_many(x, archs, self.merging(codes))
        outputs = [self(*one) for one in zip(x, archs, codes, strict=True)]
        return torch.stack(outputs)

    def merging(self, codes: Tensor) -> Weights:
        """Weights of m members, merged by ``codes`` (m, K) as they are asked for."""
        return _Merging(self, codes)

    @contextmanager
    def merged(self, code: Tensor) -> Iterator[nn.Module]:
        """The plain network with the weights of ``code``; each is merged once, when first read.

        Use it to run one architecture on several batches for the price of one merge.

        Raises:
            ValueError: ``code`` is not of shape (K,).
        """
        if code.shape != (self.K,):
            raise ValueError(f"a code here has shape ({self.K},), got {tuple(code.shape)}")
        outer, self._call = self._call, _Call(code, {})
        try:
            yield self.network
        finally:
            self._call = outer

    def weights(self, code: Tensor) -> dict[str, Tensor]:
        """Merged parameters and the shared buffers by name: a state the plain supernet loads."""
        with self.merged(code):
            merged = {name: self._weight(first) for name, first in self._aliases.items()}
        # To its own state_dict() the network has buffers only.
        return {**self.network.state_dict(), **merged}

    def __repr__(self) -> str:
        """As any module's; layers look at their parameters to describe themselves."""
        weights = {
            (torch.is_grad_enabled(), name): torch.empty(shape, device="meta")
            for parts in self._shapes.values()
            for name, shape in parts
        }
        outer, self._call = self._call, _Call(torch.empty(0), weights)
        try:
            return super().__repr__()
        finally:
            self._call = outer

    def _weight(self, name: str) -> Tensor:
        """The merged parameter ``name`` of the call in progress."""
        if self._call is None:
            raise RuntimeError(
                f"{name} exists only while a code merges it: call shared(images, arch, code), "
                "or run the network inside shared.merged(code)"
            )
        weights = self._call.weights
        # A weight first read under no_grad() must not stay without gradient where one is wanted.
        grad = torch.is_grad_enabled()
        if (grad, name) not in weights:
            for part_name, part in self._merged_group(name, self._call.code):
                weights[grad, part_name] = part
        return weights[grad, name]

    def _merged_group(self, name: str, code: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Every parameter of ``name``'s group, merged by codes (..., K): (..., *shape) each."""
        key = self._groups[self._aliases[name]]
        flat = _merge(self.bank[key], code)
        shapes = self._shapes[key]
        parts = torch.split(flat, [shape.numel() for _, shape in shapes], dim=-1)
        for (part_name, shape), part in zip(shapes, parts, strict=True):
            yield part_name, part.reshape(*code.shape[:-1], *shape)


@dataclass(frozen=True)
class _Call:
    code: Tensor
    weights: dict[tuple[bool, str], Tensor]


class _Merging:
    """The weights of one ``forward_many``: merges a group for the members that ask for it."""

    def __init__(self, shared: KShot, codes: Tensor) -> None:
        self._shared = shared
        self._codes = codes
        self._weights: dict[tuple[str, Members], Tensor] = {}
        self._index: dict[Members, Tensor] = {}

    def take(self, name: str, members: Members) -> Tensor:
        """See ``Weights``."""
        if (name, members) not in self._weights:
            codes = self._codes
            if len(members) < len(codes):
                if members not in self._index:
                    self._index[members] = _index_on(codes.device, members)
                codes = codes.index_select(0, self._index[members])
            for part_name, part in self._shared._merged_group(name, codes):
                self._weights[part_name, members] = part
        return self._weights[name, members]

    def store(self, name: str, members: Members, value: Tensor) -> None:
        """Copies share their buffers, so the members of a pass cannot each write them."""
        raise RuntimeError(f"the buffer {name} belongs to all paths; run them one by one")


def _index_on(device: torch.device, numbers: Sequence[int]) -> Tensor:
    """An index tensor on the device, without making the processor wait for it."""
    index = torch.tensor(numbers)
    return index.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else index


def _merge(bank: Tensor, code: Tensor) -> Tensor:
    """Θλ: (K, P) and codes (..., K) to (..., P).

    One copy is its own merge: on the simplex its code is 1.
    """
    if len(bank) == 1:
        return bank[0].expand(*code.shape[:-1], -1)
    # Merged in full precision, whatever the pass that reads the weights runs in.
    with torch.autocast(bank.device.type, enabled=False):
        return code @ bank


class _PathParameters(dict[str, Any]):
    """A module's parameter table that answers with merged weights.

    To iteration it holds only the parameters that are ``None`` (a batch-norm without scale, say),
    so that ``parameters()``, ``to()`` and ``state_dict()`` of the wrapper see the bank alone.
    """

    def __init__(self, full_names: dict[str, str], weight: Callable[[str], Tensor]) -> None:
        super().__init__()
        self.full_names = full_names
        self.weight = weight

    def __contains__(self, name: object) -> bool:
        return name in self.full_names or super().__contains__(name)

    def __getitem__(self, name: str) -> Tensor | None:
        full_name = self.full_names.get(name)
        return super().__getitem__(name) if full_name is None else self.weight(full_name)


def _stand_in(
    network: nn.Module, first_names: dict[str, str], weight: Callable[[str], Tensor]
) -> None:
    """Replace the parameter table of every submodule; tied parameters keep one name."""
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        table = module._parameters
        names = {
            local: first_names[prefix + local]
            for local, parameter in table.items()
            if parameter is not None
        }
        stand_in = _PathParameters(names, weight)
        stand_in.update({local: None for local, parameter in table.items() if parameter is None})
        module.__dict__["_parameters"] = stand_in


def _first_names(network: nn.Module) -> dict[str, str]:
    """Every name of every parameter, and the first one of the parameter it names."""
    first_names = {id(parameter): name for name, parameter in network.named_parameters()}
    every = network.named_parameters(remove_duplicate=False)
    return {name: first_names[id(parameter)] for name, parameter in every}


def _refuse_references(network: nn.Module) -> None:
    """Raise ``ValueError`` if a module keeps a parameter where merging cannot stand in for it.

    A list of parameters made in ``__init__``, say, would go on giving out copy 0.
    """
    names = {p.untyped_storage().data_ptr(): name for name, p in network.named_parameters()}
    names.pop(0, None)
    for path, module in network.named_modules():
        for attribute, value in vars(module).items():
            # Recurrent layers keep such a list, but look at each call whether it is up to date.
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


def _reset(network: nn.Module) -> None:
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
