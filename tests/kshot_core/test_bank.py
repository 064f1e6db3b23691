"""K-shot weights: the five properties of the design, and modules of a user's own."""

from __future__ import annotations

import copy
import itertools

import made_up
import pytest
import torch
from torch import Tensor, nn

from kshot_core.sharing.simplex import SimplexNet
from kshot_core.space import Arch
from kshot_core.weights.bank import KShot

SPACE = made_up.MadeUpSpace()
ARCHS = SPACE.archs()
K = 3


def _x(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(9)).to(dtype)


def _supernets(num: int = K) -> list[nn.Module]:
    return [made_up.supernet(seed) for seed in range(num)]


def _code(seed: int = 0, num: int = K) -> Tensor:
    return torch.randn(num, generator=torch.Generator().manual_seed(seed)).softmax(0)


def _one_hot(index: int, num: int = K) -> Tensor:
    return torch.eye(num)[index]


@pytest.fixture
def shared() -> KShot:
    return KShot.from_supernets(_supernets())


# The five properties.


def test_gradients_reach_the_bank_and_the_simplex_net(shared: KShot) -> None:
    net = SimplexNet(SPACE.num_choices, K)
    code = net([(1, 2, 1)])[0]
    shared(_x(), (1, 2, 1), code).square().sum().backward()
    stem = shared.bank["stem-weight"].grad
    assert stem is not None
    assert (stem.abs().sum(1) > 0).all(), "every copy is moved"
    # d loss / d Θ_k = λ_k d loss / d (Θλ): all copies' gradients are multiples of one.
    torch.testing.assert_close(stem / code.detach()[:, None], (stem.sum(0)).expand(K, -1))
    for parameter in net.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("arch", ARCHS, ids=SPACE.to_string)
def test_a_one_hot_code_is_the_one_shot_net_of_that_copy(shared: KShot, arch: Arch) -> None:
    for index, network in enumerate(_supernets()):
        torch.testing.assert_close(
            shared(_x(), arch, _one_hot(index)), network(_x(), arch), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("arch", ARCHS, ids=SPACE.to_string)
def test_identical_copies_make_the_output_independent_of_the_code(arch: Arch) -> None:
    shared = KShot.from_supernets([made_up.supernet(5)] * K)
    expected = made_up.supernet(5)(_x(), arch)
    for seed in range(4):
        torch.testing.assert_close(shared(_x(), arch, _code(seed)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", ARCHS, ids=SPACE.to_string)
def test_slicing_channels_commutes_with_merging(shared: KShot, arch: Arch) -> None:
    """The network slices what was merged; here whole supernets are merged by hand, unsliced."""
    code = _code(2)
    plain = made_up.supernet(0)
    states = [dict(network.named_parameters()) for network in _supernets()]
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            parameter.copy_(
                sum(weight * state[name] for weight, state in zip(code, states, strict=True))
            )
    torch.testing.assert_close(shared(_x(), arch, code), plain(_x(), arch), rtol=1e-4, atol=1e-5)


def test_a_sliced_bank_merges_to_the_slice() -> None:
    width = 4
    supernets = _supernets()
    narrow = [copy.deepcopy(network) for network in supernets]
    for network in narrow:
        network.stem.weight = nn.Parameter(network.stem.weight[:width])
        network.scale = nn.Parameter(network.scale[:width])
    sliced_first, merged_first = KShot.from_supernets(narrow), KShot.from_supernets(supernets)
    code = _code(3)
    for name in ("stem.weight", "scale"):
        torch.testing.assert_close(
            sliced_first.weights(code)[name], merged_first.weights(code)[name][:width]
        )


@pytest.mark.parametrize("order", list(itertools.permutations(range(K))))
def test_permuting_copies_and_codes_together_changes_nothing(order: tuple[int, ...]) -> None:
    supernets, code = _supernets(), _code(1)
    shared = KShot.from_supernets(supernets)
    permuted = KShot.from_supernets([supernets[index] for index in order])
    for arch in ARCHS[::3]:
        torch.testing.assert_close(
            permuted(_x(), arch, code[list(order)]),
            shared(_x(), arch, code),
            rtol=1e-4,
            atol=1e-5,
        )


# A module of a user's own, unchanged.


def test_only_what_the_path_uses_is_merged_and_gets_a_gradient(shared: KShot) -> None:
    used = {
        (0, 0, 0): {"stem", "scale", "heads-0"},
        (1, 1, 0): {"stem", "scale", "heads-0", "operations-1"},
        (2, 2, 1): {"stem", "scale", "heads-1", "operations-2", "tied", "attention"},
    }
    for arch, parts in used.items():
        shared.zero_grad()
        shared(_x(), arch, _code()).sum().backward()
        for name, parameter in shared.bank.items():
            expected = any(name == part or name.startswith(part + "-") for part in parts)
            assert (parameter.grad is not None) == expected, (arch, name)


def test_channels_beyond_the_width_get_no_gradient(shared: KShot) -> None:
    shared(_x(), (1, 0, 0), _code()).square().sum().backward()
    gradient = shared.bank["stem-weight"].grad
    assert gradient is not None
    gradient = gradient.view(K, 6, -1)
    assert gradient[:, :2].abs().sum() > 0
    assert gradient[:, 2:].abs().sum() == 0


def test_the_users_network_is_left_as_it_was() -> None:
    network = made_up.supernet(0)
    before = copy.deepcopy(network.state_dict())
    shared = KShot(network, K)
    shared(_x(), (2, 1, 1), _code()).sum().backward()
    with torch.no_grad():
        for parameter in shared.parameters():
            parameter.add_(1)
    assert network.state_dict().keys() == before.keys()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in network.parameters())
    network(_x(), (2, 1, 1)).sum().backward()
    assert network.stem.weight.grad is not None


def test_outside_a_merge_the_network_says_how_to_call_it(shared: KShot) -> None:
    with pytest.raises(RuntimeError, match=r"shared\(images, arch, code\)"):
        shared.network(_x(), (0, 0, 0))


def test_an_exception_inside_leaves_no_merge_behind(shared: KShot) -> None:
    with pytest.raises(IndexError):
        shared(_x(), (1, 99, 0), _code())
    with pytest.raises(RuntimeError, match="exists only while"):
        shared.network(_x(), (0, 0, 0))
    assert shared(_x(), (0, 0, 0), _code()).shape == (4, made_up.NUM_CLASSES)


def test_merges_nest(shared: KShot) -> None:
    arch, first, second = (1, 2, 1), _one_hot(0), _one_hot(1)
    expected = [shared(_x(), arch, code) for code in (first, second)]
    with shared.merged(first) as network:
        assert torch.equal(network(_x(), arch), expected[0])
        with shared.merged(second) as inner:
            assert torch.equal(inner(_x(), arch), expected[1])
        assert torch.equal(network(_x(), arch), expected[0])


def test_a_merge_serves_many_batches_and_adds_their_gradients(shared: KShot) -> None:
    arch, code = (1, 1, 0), _code()
    with shared.merged(code) as network:
        (network(_x(), arch).sum() + network(2 * _x(), arch).sum()).backward()
    together = shared.bank["stem-weight"].grad
    assert together is not None
    together = together.clone()
    shared.zero_grad()
    shared(_x(), arch, code).sum().backward()
    shared(2 * _x(), arch, code).sum().backward()
    torch.testing.assert_close(shared.bank["stem-weight"].grad, together)


def test_a_weight_first_read_without_gradient_still_gets_one_later(shared: KShot) -> None:
    with shared.merged(_code()) as network:
        with torch.no_grad():
            network(_x(), (0, 2, 0))
        network(_x(), (0, 2, 0)).sum().backward()
    assert shared.bank["stem-weight"].grad is not None


def test_the_code_must_have_one_entry_a_copy(shared: KShot) -> None:
    for bad in (torch.ones(K + 1), torch.ones(1), torch.ones(1, K), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            shared(_x(), (0, 0, 0), bad)
    with pytest.raises(ValueError, match="at least 1"):
        KShot(made_up.supernet(0), 0)
    with pytest.raises(ValueError, match="at least one supernet"):
        KShot.from_supernets([])
    other = made_up.supernet(0)
    other.more = nn.Parameter(torch.ones(1))
    with pytest.raises(ValueError, match="equal names"):
        KShot.from_supernets([made_up.supernet(0), other])


def test_weights_load_into_the_plain_supernet(shared: KShot) -> None:
    code = _code(4)
    plain = made_up.Slimmable()
    plain.load_state_dict(shared.weights(code), strict=True)
    for arch in ARCHS:
        torch.testing.assert_close(
            plain(_x(), arch), shared(_x(), arch, code), rtol=1e-5, atol=1e-6
        )


def test_state_dict_round_trip(shared: KShot) -> None:
    other = KShot(made_up.supernet(77), K)
    assert not torch.equal(other(_x(), (2, 2, 1), _code()), shared(_x(), (2, 2, 1), _code()))
    other.load_state_dict(shared.state_dict())
    assert torch.equal(other(_x(), (2, 2, 1), _code()), shared(_x(), (2, 2, 1), _code()))
    assert {name.split(".")[0] for name in shared.state_dict()} == {"bank", "network"}
    assert sorted(name for name in shared.state_dict() if name.startswith("network")) == [
        "network.num_forwards"
    ]


def test_deepcopy_is_independent(shared: KShot) -> None:
    expected = shared(_x(), (2, 1, 1), _code())
    other = copy.deepcopy(shared)
    with torch.no_grad():
        for parameter in shared.parameters():
            parameter.zero_()
    assert torch.equal(other(_x(), (2, 1, 1), _code()), expected)
    other(_x(), (2, 1, 1), _code()).sum().backward()
    assert shared.bank["stem-weight"].grad is None
    assert other.bank["stem-weight"].grad is not None


def test_the_wrapper_changes_type_with_its_bank(shared: KShot) -> None:
    expected = shared(_x(), (2, 1, 1), _code())
    shared.double()
    assert {parameter.dtype for parameter in shared.parameters()} == {torch.float64}
    output = shared(_x(torch.float64), (2, 1, 1), _code().double())
    assert output.dtype == torch.float64
    torch.testing.assert_close(output.float(), expected, rtol=1e-4, atol=1e-5)


def test_the_parameters_are_the_bank_alone(shared: KShot) -> None:
    num = sum(parameter.numel() for parameter in made_up.supernet(0).parameters())
    assert sum(parameter.numel() for parameter in shared.parameters()) == K * num
    assert all(name.startswith("bank.") for name, _ in shared.named_parameters())


def test_it_describes_itself(shared: KShot) -> None:
    assert "Conv2d(3, 6" in repr(shared)
    with pytest.raises(RuntimeError, match="exists only while"):
        shared.network(_x(), (0, 0, 0))


@pytest.mark.parametrize("group", [lambda _: "all", lambda name: name.split(".")[0]])
def test_grouping_does_not_change_results(shared: KShot, group: object) -> None:
    grouped = KShot.from_supernets(_supernets(), group=group)  # type: ignore[arg-type]
    assert len(list(grouped.parameters())) < len(list(shared.parameters()))
    for arch in ARCHS:
        torch.testing.assert_close(
            grouped(_x(), arch, _code()), shared(_x(), arch, _code()), rtol=1e-5, atol=1e-6
        )
    shared(_x(), (1, 2, 1), _code()).square().sum().backward()
    grouped(_x(), (1, 2, 1), _code()).square().sum().backward()

    def norm(bank: KShot) -> Tensor:
        return torch.stack([p.grad.square().sum() for p in bank.parameters() if p.grad is not None])

    torch.testing.assert_close(norm(grouped).sum(), norm(shared).sum(), rtol=1e-4, atol=1e-6)


# How copies start.


def test_copies_start_from_the_network_and_from_the_seed() -> None:
    network = made_up.supernet(0)
    first, again, other = (KShot(network, K, seed=seed) for seed in (1, 1, 2))
    key = "stem-weight"
    assert torch.equal(first.bank[key][0], network.stem.weight.detach().flatten())
    assert torch.equal(first.bank[key], again.bank[key])
    assert not torch.equal(first.bank[key][1], other.bank[key][1])
    assert not torch.equal(first.bank[key][1], first.bank[key][2])


def test_building_a_bank_leaves_global_random_state_alone() -> None:
    network = made_up.supernet(0)
    before = torch.get_rng_state()
    KShot(network, K, seed=1)
    SimplexNet(SPACE.num_choices, K, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_copy_is_the_network_itself() -> None:
    network = made_up.supernet(3)
    shared = KShot(network, 1)
    for arch in ARCHS:
        assert torch.equal(shared(_x(), arch, torch.ones(1)), network(_x(), arch))


# Modules that are hard to stand in for: they work, or they are refused.


class Wrapped(nn.Module):
    """Any layer as a supernet whose arch is ignored."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        output = self.layer(x)
        return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.LSTM(6, 5, num_layers=2),
        lambda: nn.GRU(6, 5),
        lambda: nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0),
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)),
        lambda: nn.BatchNorm1d(7),
        lambda: nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.PReLU()),
    ],
    ids=["lstm", "gru", "transformer", "weight-norm", "batch-norm", "sequential"],
)
@pytest.mark.parametrize("training", [True, False])
def test_layers_of_torch_follow_the_code(layer: object, training: bool) -> None:
    supernets = [Wrapped(layer()) for _ in range(2)]  # type: ignore[operator]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for network in supernets:
            for parameter in network.parameters():
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.1)
    shared = KShot.from_supernets(supernets).train(training)
    x = torch.randn(4, 7, 6, generator=generator)
    for index, network in enumerate(supernets):
        network.train(training)
        with torch.no_grad():
            torch.testing.assert_close(shared(x, (), _one_hot(index, 2)), network(x, ()))
    shared(x, (), _code(0, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in shared.parameters())


class KeepsAList(nn.Module):
    """Reads its weight through a list made in ``__init__``: no table can stand in for that."""

    def __init__(self, detached: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        weight = self.layer.weight
        self.cached = {"weights": [weight.data if detached else weight]}

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        return x @ self.cached["weights"][0].mT


@pytest.mark.parametrize("detached", [False, True])
def test_a_second_reference_to_a_parameter_is_refused(detached: bool) -> None:
    with pytest.raises(ValueError, match=r"keeps the parameter layer\.weight a second time"):
        KShot(KeepsAList(detached), 2)


class Awkward(nn.Module):
    """Names of dictionary methods, a frozen parameter, a parameter under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.ones(2))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.again = self.values
        self.nothing: nn.Parameter | None
        self.register_parameter("nothing", None)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        assert self.nothing is None
        return x * self.values + self.frozen * self.again


def test_awkward_parameters_keep_their_meaning() -> None:
    shared = KShot(Awkward(), 2)
    x = torch.arange(2.0)
    assert torch.equal(shared(x, (), _code(0, 2)), Awkward()(x, ()))
    shared(x, (), _code(0, 2)).sum().backward()
    trained = {name: p for name, p in shared.named_parameters() if p.requires_grad}
    assert len(trained) == 1, "the frozen parameter stays frozen"
    (gradient,) = (parameter.grad for parameter in trained.values())
    assert gradient is not None
    torch.testing.assert_close(gradient.sum(0), x + 1)
    Awkward().load_state_dict(shared.weights(_code(0, 2)))


def test_a_group_has_one_kind_of_parameter() -> None:
    with pytest.raises(ValueError, match="requires_grad"):
        KShot(Awkward(), 2, group=lambda _: "all")
    with pytest.raises(ValueError, match="both called"):
        KShot(
            made_up.supernet(0),
            2,
            group=lambda name: (
                name.replace("weight", "a.b", 1) if name.startswith("stem") else "stem-a-b"
            ),
        )
