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
from functools import cache
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils import parametrize

from kshot_core.space import Arch, refuse_non_arch
from kshot_core.weights.calls import Call, Entered, Mode, current, eagerly, follow_checkpoints, mode
from kshot_core.weights.copies import drawn_copies
from kshot_core.weights.many import Weights, runs_many_paths
from kshot_core.weights.merging import Merging, merge
from kshot_core.weights.module_checks import check_network, check_number
from kshot_core.weights.stand_ins import of_call, stand_in, views


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
    the groups its path used and ``None`` on the others. While a code merges, the network is the
    plain one with merged weights, in each thread and task for itself; at all other times its
    parameters cannot be read. ``docs/wrapping.md`` lists what works and what is refused.

    Args:
        supernet: called as ``supernet(images, arch)``; copied, and left as it is. Its buffers
            (running statistics, say) are shared by all copies. Copy 0 has its parameters; the
            others are drawn anew by each submodule's ``reset_parameters()``, but for frozen ones.
            What no module draws starts equal in all copies, and a warning names it unless it is
            constant; for full control use ``from_supernets``.
        K: number of copies, at least 1.
        seed: of the other copies' initial weights. No global random state is read or changed.
        group: maps a parameter's name to a group. Parameters of one group lie side by side and
            are merged in one product as soon as one of them is read, so a group should hold what
            paths use together (``NASBench201.parameter_group``). Grouping changes no result
            where a group is used whole or not at all.
    """

    network: nn.Module

    def __init__(
        self,
        supernet: nn.Module,
        K: int,
        *,
        seed: int = 0,
        group: Callable[[str], str] = each_alone,
    ) -> None:
        check_number(K)
        check_network(supernet, KShot)
        copies = drawn_copies(supernet, int(K), seed)
        super().__init__()
        self._build(copies, group, _marks(supernet))

    @classmethod
    def from_supernets(
        cls, supernets: Sequence[nn.Module], *, group: Callable[[str], str] = each_alone
    ) -> KShot:
        """A bank of the given supernets' parameters; they are copied. Buffers are the first's."""
        if not supernets:
            raise ValueError("a bank needs at least one supernet, got none")
        for supernet in supernets:
            check_network(supernet, KShot)
        shared = cls.__new__(cls)
        nn.Module.__init__(shared)
        copies = [copy.deepcopy(supernet) for supernet in supernets]
        shared._build(copies, group, _marks(supernets[0]))
        return shared

    def _build(
        self, copies: list[nn.Module], group: Callable[[str], str], marks: dict[str, dict[str, Any]]
    ) -> None:
        self.K = len(copies)
        self._marks = marks
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
        self._install(copies[0])
        self.training = self.bank.training = copies[0].training

    def _install(self, network: nn.Module) -> None:
        """Stand in for the network's parameters, and show it to traversals without them."""
        follow_checkpoints()
        stand_in(network, self._aliases, self._weight, self._copied)
        self._caches = any(parametrize.is_parametrized(module) for module in network.modules())
        # As an attribute the network, as a module (in modules(), state_dict()) its view.
        self.__dict__["network"] = network
        self._modules["network"] = views(network)

    def forward(self, x: Tensor, arch: Arch, code: Tensor) -> Tensor:
        """Merge the weights that the path uses by ``code``, then run the network once.

        Args:
            x: images, in whatever shape the network takes.
            arch: the path.
            code: (K,), on the simplex.

        Returns:
            what the network returns, differentiable in the bank and in the code.
        """
        # Weights are merged as they are read, which no compiled graph could follow.
        return eagerly(self._run, x, arch, code)

    def _run(self, x: Tensor, arch: Arch, code: Tensor) -> Tensor:
        refuse_non_arch(arch)
        call = self._call(code)
        with Entered(call):
            output: Tensor = self.network(x, arch)
        call.refuse_writes()
        return output

    def forward_many(self, x: Tensor, archs: Sequence[Arch], codes: Tensor) -> Tensor:
        """Run m paths, each with its own code and its own images.

        In one pass where the network can do that (``kshot_core/weights/many.py``): what paths have
        in common then costs one kernel. Otherwise one by one; equal up to rounding.

        Args:
            x: images (m, B, ...), an expanded tensor where all paths share them.
            archs: m paths.
            codes: (m, K), rows on the simplex.

        Returns:
            the m outputs, stacked.
        """
        if not isinstance(codes, Tensor):
            raise ValueError(f"codes are a tensor (m, {self.K}), got {type(codes).__name__}")
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
        return Merging(self._merged_group, codes)

    @contextmanager
    def merged(self, code: Tensor) -> Iterator[nn.Module]:
        """The plain network with the weights of ``code``; each is merged once, when first read.

        Use it to run one architecture on several batches for the price of one merge.

        Raises:
            ValueError: ``code`` is not a tensor of shape (K,).
            RuntimeError: the network wrote to a merged weight, which keeps nothing.
        """
        call = self._call(code)
        try:
            with Entered(call):
                yield eagerly(of_call, self.network, call)
        finally:
            call.ended = True
        call.refuse_writes()

    def _call(self, code: Tensor) -> Call:
        if not isinstance(code, Tensor):
            raise ValueError(
                f"a code is a tensor of shape ({self.K},), got {type(code).__name__}; "
                "torch.tensor() makes one"
            )
        if code.shape != (self.K,):
            raise ValueError(f"a code here has shape ({self.K},), got {tuple(code.shape)}")
        if self._caches and parametrize._cache_enabled:
            raise RuntimeError(
                "inside torch.nn.utils.parametrize.cached() one code would get another's weights; "
                "call shared(images, arch, code) outside"
            )
        return Call(self, code)

    def weights(self, code: Tensor) -> dict[str, Tensor]:
        """Merged parameters and the shared buffers by name: a state the plain supernet loads."""
        with self.merged(code) as network:
            merged = {name: self._weight(first) for name, first in self._aliases.items()}
            return {**network.state_dict(), **merged}

    def apply(self, fn: object) -> NoReturn:
        """Refused: what sets weights module by module cannot reach the copies."""
        raise RuntimeError(
            "shared.apply(fn) cannot reach the weights of the copies; apply it to supernets and "
            "give them to KShot.from_supernets"
        )

    def __repr__(self) -> str:
        """As any module's; layers look at their parameters to describe themselves."""
        with Entered(self._blank()):
            return super().__repr__()

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: the network goes along as a plain one without weights."""
        state = {**self.__dict__, "_modules": {"bank": self.bank}}
        with Entered(self._blank()):
            state["network"] = copy.deepcopy(self.network)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Reverses ``__getstate__``."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._install(self.__dict__["network"])

    def _replicate_for_data_parallel(self) -> NoReturn:
        raise RuntimeError(
            "nn.DataParallel cannot copy a bank; use torch.nn.parallel.DistributedDataParallel, "
            "with find_unused_parameters=True"
        )

    def _blank(self) -> Call:
        """A call whose weights have shapes only."""
        call = Call(self, torch.empty(0))
        for key, parts in self._shapes.items():
            for name, shape in parts:
                weight = torch.empty(shape, device="meta", dtype=self.bank[key].dtype)
                for each in (True, False, "inference"):
                    call.weights[each, name] = weight
        return call

    def _in_progress(self, name: str) -> Call:
        call = current(self)
        if call is None:
            raise RuntimeError(
                f"{name} exists only while a code merges it: call shared(images, arch, code), "
                "or run the network inside shared.merged(code)"
            )
        return call

    def _weight(self, name: str) -> Tensor:
        """The merged parameter ``name`` of the call in progress."""
        call = self._in_progress(name)
        # A weight first read under no_grad() must not stay without gradient where one is wanted.
        key = torch.is_grad_enabled() or mode(), name
        if key not in call.weights:
            if call.checkpointed:
                # What a merge saves for the backward pass is none of a checkpoint's business: the
                # merge is not done again when the checkpoint is, and would be missed there.
                with saved_tensors_hooks(_same, _same):
                    self._merge_into(call, *key)
            else:
                self._merge_into(call, *key)
        return call.weights[key]

    def _merge_into(self, call: Call, mode: Mode, name: str) -> None:
        for part_name, part in self._merged_group(name, call.code, call):
            # To isinstance() it is the parameter that it is in the plain network.
            part._is_param = True
            call.weights[mode, part_name] = part
            if part_name in self._marks:
                vars(part).update(self._marks[part_name])

    def _copied(self, name: str) -> nn.Parameter:
        """The merged parameter as one of its own, the same each time."""
        call = self._in_progress(name)
        if name not in call.copies:
            trained = self.bank[self._groups[name]].requires_grad
            value = self._weight(name).detach().clone()
            call.copies[name] = nn.Parameter(value, requires_grad=trained)
        return call.copies[name]

    def _merged_group(
        self, name: str, code: Tensor, call: Call | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """Every parameter of ``name``'s group, merged by codes (..., K): (..., *shape) each."""
        key = self._groups[self._aliases[name]]
        flat = merge(self.bank[key], code)
        if call is not None and self.K > 1 and not flat.is_inference():
            call.flats.append((name, flat, flat._version))
        shapes = self._shapes[key]
        parts = torch.split(flat, [shape.numel() for _, shape in shapes], dim=-1)
        for (part_name, shape), part in zip(shapes, parts, strict=True):
            yield part_name, part.reshape((*code.shape[:-1], *shape))


def _first_names(network: nn.Module) -> dict[str, str]:
    """Every name of every parameter, and the first one of the parameter it names."""
    first_names = {id(parameter): name for name, parameter in network.named_parameters()}
    every = network.named_parameters(remove_duplicate=False)
    return {name: first_names[id(parameter)] for name, parameter in every}


def _marks(network: nn.Module) -> dict[str, dict[str, Any]]:
    """What users hang on parameters (for an optimiser, say), which no copy of theirs keeps."""
    return {name: vars(p).copy() for name, p in network.named_parameters() if vars(p)}


def _same(tensor: Tensor) -> Tensor:
    return tensor
