"""What stands in for a network's parameter tables, and for the network where those must be empty.

There are two ways to come to a module of the network, and they are told apart by the object:

* *from the network* (``self.layer``, ``net.parameters()``) one comes to the modules themselves.
  Their parameter tables give merged weights while a code merges, and raise at all other times.
* *from the wrapper* (``shared.parameters()``, ``shared.to()``, a module around it) one comes to
  ``views`` of the modules: of the same class and with the same attributes, but with no parameters.
  So the wrapper's parameters are the bank alone, always.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cache
from typing import Any, NoReturn

from torch import Tensor, nn

from kshot_core.weights.calls import Call, Entered, current

_DICT: Any = dict
_NEW: Any = copyreg.__newobj__  # type: ignore[attr-defined]


# To type checkers a dict is a MutableMapping already; here its methods go before the dict's own.
class PathParameters(MutableMapping[str, Any], dict[str, Any]):  # type: ignore[misc,metaclass]
    """A module's parameter table, in which a parameter is its merged weight.

    Its names can be asked for at any time.

    Args:
        names: the names in the network of the module's parameters by their names in the module;
            ``None`` stands for itself.
        weight: the merged weight by its name in the network.
        copied: the same as an ``nn.Parameter``, for copies of the module.
    """

    def __init__(
        self,
        names: Mapping[str, str | None],
        weight: Callable[[str], Tensor],
        copied: Callable[[str], nn.Parameter],
    ) -> None:
        _DICT.update(self, names)
        self.weight, self.copied = weight, copied

    def __getitem__(self, name: str) -> Tensor | None:
        full_name: str | None = _DICT.__getitem__(self, name)
        return None if full_name is None else self.weight(full_name)

    def __setitem__(self, name: str, value: object) -> None:
        raise RuntimeError(
            f"the parameter {name} of a K-shot network cannot be set: its weights are merges of "
            "the bank's; change the bank, or the supernet before it goes into KShot"
        )

    def __delitem__(self, name: str) -> None:
        self[name] = None

    def __iter__(self) -> Iterator[str]:
        return iter(_DICT.keys(self))

    __len__ = _DICT.__len__
    __reversed__ = _DICT.__reversed__
    __contains__ = _DICT.__contains__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)})"

    def __copy__(self) -> dict[str, Any]:
        return {name: self[name] for name in self}

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        # A copy of a network whose weights are merged is a plain network.
        return dict, ({name: self.plain(name) for name in self},)

    def plain(self, name: str) -> nn.Parameter | None:
        """The merged weight as a parameter of its own."""
        full_name: str | None = _DICT.__getitem__(self, name)
        return None if full_name is None else self.copied(full_name)


def stand_in(
    network: nn.Module,
    first_names: Mapping[str, str],
    weight: Callable[[str], Tensor],
    copied: Callable[[str], nn.Parameter],
) -> None:
    """Replace the parameter table of every submodule; tied parameters keep one name."""
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        names = {
            local: None if parameter is None else first_names[prefix + local]
            for local, parameter in module._parameters.items()
        }
        vars(module)["_parameters"] = PathParameters(names, weight, copied)
        if isinstance(module, nn.RNNBase):
            del vars(module)["_flat_weights"]
            classes: tuple[Any, Any] = _Recurrent, type(module)
            module.__class__ = _mixed(*classes)  # type: ignore[assignment]


class _Mixin(nn.Module):
    """Goes before a class of the user's; nobody has written a new class, so none is announced."""

    def __init_subclass__(cls, **_: Any) -> None:
        pass


class _Recurrent(nn.RNNBase):
    """Recurrent layers keep a list of their weights; threads must not find each other's there."""

    __init_subclass__ = _Mixin.__init_subclass__

    @property
    def _flat_weights(self) -> list[Tensor | None]:  # type: ignore[override]
        return [getattr(self, name) for name in self._flat_weights_names]

    def _init_flat_weights(self) -> None:
        pass

    def _update_flat_weights(self) -> None:
        pass

    def flatten_parameters(self) -> None:
        """Merged weights stay where they are."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        state = vars(self).copy()
        del state["_flat_weight_refs"]
        table: PathParameters = state["_parameters"]
        state["_flat_weights"] = [table.plain(name) for name in self._flat_weights_names]
        return _new, (type(self).__bases__[1],), state


class _Merged(_Mixin):
    """The network of one merge: it tells when its weights are not the ones to be had now."""

    __slots__ = ("_kshot",)

    def __getattribute__(self, name: str) -> Any:
        call, _ = object.__getattribute__(self, "_kshot")
        if current(call.owner) is not call:
            raise RuntimeError(
                f"{type(self).__name__} with these weights exists only while its code merges it: "
                "use it inside its own shared.merged(code), and not where another code merges"
            )
        return super().__getattribute__(name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call, network = object.__getattribute__(self, "_kshot")
        if current(call.owner) is call:
            return network(*args, **kwargs)
        if call.ended:
            return self.forward(*args, **kwargs)  # which says what is wrong
        with Entered(call):
            return network(*args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, network = object.__getattribute__(self, "_kshot")
        make, *rest = network.__reduce_ex__(protocol)
        return (_new if make is _NEW else make, *rest)

    def _apply(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError(
            "the network of a merge changes precision or device with its bank: use shared.to(...)"
        )

    def requires_grad_(self, requires_grad: bool = True) -> NoReturn:
        """Refused: merged weights are no leaves."""
        raise RuntimeError(
            "merged weights ask for a gradient if the bank or the code does: use "
            "shared.requires_grad_(...), or torch.no_grad()"
        )


def of_call(network: nn.Module, call: Call) -> nn.Module:
    """The network with the weights of a call, and of no other."""
    made: nn.Module = _another(network, _Merged, (call, network))
    return made


def views(network: nn.Module) -> nn.Module:
    """The network as the wrapper shows it."""
    return _Views().of(network)


class _Views:
    """One view for each module."""

    def __init__(self) -> None:
        self._made: dict[nn.Module, nn.Module] = {}

    def of(self, module: nn.Module) -> nn.Module:
        if module not in self._made:
            self._made[module] = _another(module, _View, (module, self))
        return self._made[module]


class _View(_Mixin):
    """A module without parameters. Those of modules that were added later are its own."""

    __slots__ = ("_kshot",)
    _kshot: tuple[nn.Module, _Views]

    @property
    def _parameters(self) -> Mapping[str, Any]:  # type: ignore[override]
        table: Mapping[str, Any] = vars(self)["_parameters"]
        empty: Any = PathParameters({}, _none, _none)
        return empty if isinstance(table, PathParameters) else table

    @property
    def _modules(self) -> Mapping[str, nn.Module | None]:  # type: ignore[override]
        _, made = self._kshot
        modules = vars(self)["_modules"].items()
        return {name: None if module is None else made.of(module) for name, module in modules}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._kshot[0](*args, **kwargs)


def _another(module: nn.Module, mixin: type[nn.Module], of: object) -> Any:
    """Another object for the same module, with the same attributes; ``of`` is its ``_kshot``."""
    classes: tuple[Any, Any] = mixin, type(module)
    made = object.__new__(_mixed(*classes))
    object.__setattr__(made, "__dict__", vars(module))
    object.__setattr__(made, "_kshot", of)
    return made


def _new(cls: type, *args: Any) -> Any:
    """As ``copyreg.__newobj__``, which is not to be used for an object of another class."""
    return _NEW(cls, *args)


def _none(name: str) -> Any:
    raise KeyError(name)


@cache
def _mixed(mixin: Any, base: Any) -> type[nn.Module]:
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__slots__": ()}
    mixed: type[nn.Module] = type(base)(base.__name__, (mixin, base), names)
    return mixed
