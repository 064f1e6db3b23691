"""What KShot cannot do it refuses in one line that names it; copies that start equal are named."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from users_modules import Net, Of

from kshot_core.spaces import MobileNetV2, NASBench201
from kshot_core.weights.bank import KShot

ARCH = (1, 2)
CODE = torch.full((2,), 0.5)


def _x() -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(9))


def _one_line(error: pytest.ExceptionInfo[BaseException]) -> None:
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("K", [2.0, "2", True, None, [2]])
def test_k_is_a_whole_number(K: Any) -> None:
    with pytest.raises(ValueError, match="K, the number of copies, must be a whole number, got"):
        KShot(Net(), K)


def _hooked_parameter() -> nn.Module:
    network = Net()
    network.first.weight.register_hook(lambda gradient: gradient * 2)
    return network


def _with_parameter(value: Any) -> nn.Module:
    network = Net()
    network.first.register_parameter("bias", value)
    return network


def _old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return Of(layer=nn.utils.weight_norm(nn.Linear(4, 4)))


class Special(nn.Parameter):
    """A class of a user's."""


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no module": (lambda: lambda x, arch: x, "a supernet is an nn.Module, got function"),
    "lazy": (lambda: Of(layer=nn.LazyLinear(4)), "layer.weight is lazy"),
    "wrapped already": (lambda: KShot(Net(), 2), "KShot is a KShot already"),
    "wrapped inside": (lambda: Of(layer=KShot(Net(), 2)), "layer is a KShot already"),
    "old weight_norm": (_old_weight_norm, "parametrizations.weight_norm"),
    "old spectral_norm": (
        lambda: Of(layer=nn.utils.spectral_norm(nn.Linear(4, 4))),
        "parametrizations.spectral_norm",
    ),
    "pruned": (
        lambda: Of(layer=prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5)),
        "prune.remove",
    ),
    "Embedding(max_norm)": (lambda: Of(layer=nn.Embedding(4, 4, max_norm=1.0)), "max_norm=1.0"),
    "EmbeddingBag(max_norm)": (lambda: Of(layer=nn.EmbeddingBag(4, 4, max_norm=1.0)), "max_norm"),
    "DataParallel inside": (lambda: nn.DataParallel(Net()), "wrap the plain supernet in KShot"),
    "script": (lambda: Of(layer=torch.jit.script(nn.Linear(4, 4))), "torch.jit"),
    "hook on a parameter": (_hooked_parameter, "first.weight has a hook on its gradient"),
    "whole numbers": (
        lambda: _with_parameter(nn.Parameter(torch.arange(4), requires_grad=False)),
        "first.bias has the type torch.int64",
    ),
    "sparse": (
        lambda: _with_parameter(nn.Parameter(torch.eye(4).to_sparse())),
        "only dense parameters merge",
    ),
    "class of one's own": (lambda: _with_parameter(Special(torch.rand(4))), "the class Special"),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_merged_is_refused_when_it_is_wrapped(name: str) -> None:
    make, said = REFUSED[name]
    network = make()
    for wrap in (lambda: KShot(network, 2), lambda: KShot.from_supernets([network, network])):
        with pytest.raises(ValueError, match=said.replace(".", r"\.")) as error:
            wrap()
        _one_line(error)


def _write(network: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        network.first.weight.clamp_(0)
    return network.layers(x)


def _assign(network: Any, x: Tensor) -> Tensor:
    network.first.weight = nn.Parameter(torch.zeros(4, 4))
    return network.layers(x)


def _delete(network: Any, x: Tensor) -> Tensor:
    del network.first.weight
    return x


def _register(network: Any, x: Tensor) -> Tensor:
    network.first.register_parameter("scale", nn.Parameter(torch.ones(4)))
    return x


def _embed(network: Any, x: Tensor) -> Tensor:
    tokens = torch.zeros(5, dtype=torch.long)
    with torch.no_grad():
        return nn.functional.embedding(tokens, network.first.weight, max_norm=1e-3)


WRITES: dict[str, tuple[Callable[[Any, Tensor], Tensor], str]] = {
    "in place": (_write, "the network wrote to first.weight"),
    "max_norm in a function": (_embed, "the network wrote to first.weight"),
    "assigned": (_assign, "weight of a K-shot network cannot be set"),
    "deleted": (_delete, "weight of a K-shot network cannot be set"),
    "registered": (_register, "scale of a K-shot network cannot be set"),
    "cleared": (lambda s, x: s.first._parameters.clear() or x, "cannot be set"),
    "updated": (lambda s, x: s.first._parameters.update(weight=x) or x, "cannot be set"),
}


@pytest.mark.parametrize("how", WRITES)
def test_writing_to_a_merged_weight_is_an_error(how: str) -> None:
    run, said = WRITES[how]
    shared = KShot(Net(run), 2)
    before = {name: value.clone() for name, value in shared.state_dict().items()}
    with pytest.raises(RuntimeError, match=said.replace(".", r"\.")) as error:
        shared(_x(), ARCH, CODE)
    _one_line(error)
    torch.testing.assert_close(dict(shared.state_dict()), before)


def test_codes_and_archs_of_another_kind_are_refused() -> None:
    shared = KShot(Net(), 2)
    for code in ([0.5, 0.5], (1.0, 0.0), 0, None):
        with pytest.raises(ValueError, match=r"a code is a tensor of shape \(2,\), got") as error:
            shared(_x(), ARCH, code)  # type: ignore[arg-type]
        _one_line(error)
    with pytest.raises(ValueError, match=r"codes are a tensor \(m, 2\), got list"):
        shared.forward_many(_x()[None], [ARCH], [[0.5, 0.5]])  # type: ignore[arg-type]
    for arch in ("|nor_conv_3x3~0|", torch.tensor([1, 2])):
        with pytest.raises(ValueError, match="an arch is a tuple of choices, got") as error:
            shared(_x(), arch, CODE)  # type: ignore[arg-type]
        _one_line(error)


@pytest.mark.parametrize("space", [NASBench201(channels=4), MobileNetV2(stages=((4, 2, 2),))])
def test_archs_of_another_length_or_range_are_refused(space: NASBench201 | MobileNetV2) -> None:
    shared = KShot(space.supernet(), 2, group=space.parameter_group)
    x, num = torch.rand(2, 3, 32, 32), len(space.num_choices)
    for arch, said in (
        ((1, 2), f"an architecture here has {num} choices, got 2"),
        ((0,) * (num + 1), f"an architecture here has {num} choices, got {num + 1}"),
        ((9,) * num, "the choice at site . is 0"),
        ((-1,) * num, "the choice at site 0 is 0"),
    ):
        with pytest.raises(ValueError, match=said) as error:
            shared(x, arch, CODE)
        _one_line(error)
    if isinstance(space, NASBench201):
        with pytest.raises(ValueError, match="an architecture here has 6 choices, got 2"):
            shared.forward_many(x.expand(1, *x.shape), [(1, 2)], CODE[None])


def test_apply_is_refused_on_the_wrapper_and_around_it() -> None:
    for module in (KShot(Net(), 2), nn.Sequential(KShot(Net(), 2))):
        with pytest.raises(RuntimeError, match=r"shared\.apply\(fn\) cannot reach") as error:
            module.apply(lambda one: None)
        _one_line(error)


def test_the_network_of_a_merge_does_not_change_by_itself() -> None:
    shared = KShot(Net(), 2)
    for change, said in (
        (lambda net: net.double(), "changes precision or device with its bank"),
        (lambda net: net.to("cpu"), "changes precision or device with its bank"),
        (lambda net: net.requires_grad_(False), "ask for a gradient if the bank or the code does"),
    ):
        with shared.merged(CODE) as network:
            with pytest.raises(RuntimeError, match=said) as error:
                change(network)
            _one_line(error)
            assert network.first.weight.dtype == torch.float32


def test_parametrisations_cached_over_several_calls_are_refused() -> None:
    shared = KShot(Of(layer=parametrizations.weight_norm(nn.Linear(4, 4))), 2)
    shared(_x(), ARCH, CODE)
    with parametrize.cached(), pytest.raises(RuntimeError, match=r"parametrize\.cached\(\)"):
        shared(_x(), ARCH, CODE)
    with parametrize.cached():
        KShot(Net(), 2)(_x(), ARCH, CODE)  # nothing there that would be kept


# How copies start.


class Drawn(nn.Module):
    """A parameter that its module draws, beside constants."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.zero = nn.Parameter(torch.rand(4)), nn.Parameter(torch.zeros(4))

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.weight)


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.one = nn.Parameter(torch.rand(4)), nn.Parameter(torch.ones(4))
        self.frozen = nn.Parameter(torch.rand(4), requires_grad=False)


class Positions(nn.Module):
    """Draws nothing at random, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(4))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.table.copy_(torch.arange(4))


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "Linear": lambda: nn.Linear(4, 4),
    "Conv2d": lambda: nn.Conv2d(2, 3, 3),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(2, 3, 3),
    "Embedding": lambda: nn.Embedding(5, 3, padding_idx=0),
    "EmbeddingBag": lambda: nn.EmbeddingBag(5, 3),
    "Bilinear": lambda: nn.Bilinear(2, 3, 4),
    "LSTM": lambda: nn.LSTM(3, 4, proj_size=2),
    "GRUCell": lambda: nn.GRUCell(3, 4),
    "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
    "MultiheadAttention of three": lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "Transformer": lambda: nn.Transformer(4, 2, 1, 1, 8, batch_first=True),
    "BatchNorm2d": lambda: nn.BatchNorm2d(4),
    "PReLU": lambda: nn.PReLU(3),
    "weight_norm": lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Conv1d(2, 3, 3)),
    "one's own": Drawn,
    "no random numbers": Positions,
}


@pytest.mark.parametrize("layer", LAYERS)
def test_no_two_copies_of_what_is_random_are_equal(layer: str) -> None:
    network = Of(layer=LAYERS[layer]())
    before = {name: value.clone() for name, value in network.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared = KShot(network, 3)
    for name, value in before.items():
        rows = next(p for key, p in shared._shapes.items() if p[0][0] == name)
        stack = shared.bank[next(key for key, p in shared._shapes.items() if p is rows)]
        assert torch.equal(stack[0], value.flatten()), "the first copy is the network"
        assert not stack.isnan().any()
        constant = len(value.unique()) == 1 or name.endswith("table")
        pairs = [(0, 1), (0, 2), (1, 2)]
        equal = [torch.equal(stack[one], stack[other]) for one, other in pairs]
        assert equal == [constant] * 3, name


def test_attention_is_drawn_as_it_is_made() -> None:
    shared = KShot(Of(layer=nn.MultiheadAttention(64, 2)), 3)
    bound = (6 / (64 + 3 * 64)) ** 0.5  # Xavier's
    drawn = shared.bank["layer-in_proj_weight"][1:]
    assert 0.99 * bound < drawn.abs().max() <= bound
    for name in ("layer-in_proj_bias", "layer-out_proj-bias"):
        assert not shared.bank[name].any()


def test_weight_norm_is_drawn_as_it_is_made() -> None:
    shared = KShot(Of(layer=parametrizations.weight_norm(nn.Linear(64, 4))), 3)
    for copy in torch.eye(3):
        weights = shared.weights(copy)
        magnitude, direction = (
            weights[f"layer.parametrizations.weight.original{index}"] for index in range(2)
        )
        # At the start the weight is the direction, and uniform in ±1/√64.
        torch.testing.assert_close(magnitude, direction.norm(dim=1, keepdim=True))
        assert 0.11 < direction.abs().max() <= 0.125


def test_copies_that_start_equal_are_named_and_constants_are_not() -> None:
    with pytest.warns(UserWarning, match="draws") as told:
        shared = KShot(Of(layer=Bare()), 2)
    (message,) = (str(one.message) for one in told)
    assert message.startswith("no reset_parameters() draws layer.weight: equal in all 2 copies")
    assert "\n" not in message
    for name in ("weight", "one", "frozen"):
        first, second = shared.bank[f"layer-{name}"]
        assert torch.equal(first, second)
    # Its starting point is a buffer, which all copies share.
    with pytest.warns(UserWarning, match=r"draws layer\.parametrizations\.weight\.original"):
        KShot(Of(layer=parametrizations.orthogonal(nn.Linear(4, 4))), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KShot(Of(layer=Bare()), 1)
        KShot.from_supernets([Of(layer=Bare()) for _ in range(2)])
