"""r_c: its value by hand, its limits, its gradient, and what it does to a simplex-net."""

from __future__ import annotations

import math

import made_up
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot_core.sampling import SAMPLERS, sample
from kshot_core.sharing import SHARING
from kshot_core.sharing.simplex import SimplexNet
from kshot_core.space import Arch, Generator, uniform_arch
from kshot_core.spaces import MobileNetV2
from kshot_core.streams import seeded
from kshot_core.training.recipe import Recipe
from kshot_core.training.regularisation import WidthRegularisation, WidthSettings
from kshot_core.training.trainer import Trainer
from kshot_core.weights.bank import KShot

# One operation, then four widths of five.
NUM_CHOICES, SITES = (3, 5, 5, 5, 5), (1, 2, 3, 4)
ARCHS = st.lists(st.tuples(*(st.integers(0, num - 1) for num in NUM_CHOICES)), min_size=1)


def _regularisation(temperature: float = 0.3, share: float = 0.5) -> WidthRegularisation:
    return WidthRegularisation(NUM_CHOICES, SITES, WidthSettings(temperature, share))


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_threshold_is_a_share_of_the_mean_distance() -> None:
    # Two uniform choices of five are 1.6 apart on average, as the paper's 24 widths are 38.4.
    assert _regularisation().threshold == pytest.approx(0.5 * 4 * 1.6)
    pairs = [abs(one - other) for one in range(5) for other in range(5)]
    assert sum(pairs) / len(pairs) == pytest.approx(1.6)


def test_the_distance_is_of_widths_alone() -> None:
    assert _regularisation().distance((0, 0, 1, 2, 3), (2, 4, 1, 0, 3)) == 6


@settings(max_examples=50, deadline=None)
@given(archs=ARCHS, seed=st.integers(0, 100))
def test_a_likeness_keeps_the_operations_and_is_nearer_than_the_threshold(
    archs: list[Arch], seed: int
) -> None:
    regularisation = _regularisation()
    for arch in archs:
        like = regularisation.like(arch, _generator(seed))
        assert like[0] == arch[0]
        assert all(0 <= choice < num for choice, num in zip(like, NUM_CHOICES, strict=True))
        assert regularisation.distance(arch, like) < regularisation.threshold


def test_likenesses_differ_from_their_anchors() -> None:
    likes = {_regularisation().like((0, 2, 2, 2, 2), _generator(seed)) for seed in range(50)}
    assert len(likes) > 10


def test_likenesses_are_near_and_far_below_the_threshold() -> None:
    """Drawn uniformly, nearly all would be at the threshold."""
    space = MobileNetV2()
    regularisation = WidthRegularisation(space.num_choices, space.width_sites)
    arch = SAMPLERS["uniform"](space)(_generator())[0]
    distances = [
        regularisation.distance(arch, regularisation.like(arch, _generator(seed)))
        for seed in range(400)
    ]
    shares = torch.tensor(distances) / regularisation.threshold
    quartiles = shares.quantile(torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quartiles, torch.tensor([0.25, 0.5, 0.75]), rtol=0, atol=0.1)


def test_a_threshold_of_nothing_tells_nothing_apart() -> None:
    with pytest.raises(ValueError, match=r"width_distance must be above 0, got 0\.0"):
        _regularisation(share=0.0)
    # One width a site: every two settings of them are the same.
    one = WidthRegularisation((3, 1, 1), (1, 2))
    assert one.threshold == 0
    codes = one(
        lambda shown: torch.full((len(shown), 2), 0.5), [(0, 0, 0), (1, 0, 0)], _generator()
    )
    # Of others the second is counted, never the anchor itself.
    assert codes.item() == pytest.approx(math.log(2))


def test_the_value_is_equation_16_averaged_over_anchors() -> None:
    regularisation = _regularisation()
    # The first two are near each other (3 steps of the threshold's 3.2), the third far from both.
    archs: list[Arch] = [(0, 0, 0, 0, 0), (1, 1, 1, 1, 0), (2, 4, 4, 4, 4)]
    table: dict[Arch, torch.Tensor] = {}

    def codes_of(shown: list[Arch]) -> torch.Tensor:
        generator = _generator(7)
        for arch in shown:
            if arch not in table:
                table[arch] = torch.rand(3, generator=generator).softmax(0)
        return torch.stack([table[arch] for arch in shown])

    value = regularisation(codes_of, archs, _generator())  # type: ignore[arg-type]
    generator, terms = _generator(), []
    for anchor in archs:
        like = regularisation.like(anchor, generator)
        far = [regularisation.dressed(anchor, other) for other in archs]
        far = [other for other in far if regularisation.distance(anchor, other) >= 3.2]
        above = math.exp(float(table[anchor] @ table[like]) / 0.3)
        below = above + sum(math.exp(float(table[anchor] @ table[one]) / 0.3) for one in far)
        terms.append(-math.log(above / below))
        assert len(far) == (2 if anchor == archs[2] else 1)
    assert value.item() == pytest.approx(sum(terms) / 3, rel=1e-5)


DEEP = MobileNetV2(stages=((4, 4, 2),), stem=4, first=4, head=6, num_classes=4, image_size=6)
# A layer, then two identities, then a layer; the widths are of stem, first, four layers, head.
IDENTITIES: Arch = (0, 12, 12, 3, 2, 2, 2, 2, 2, 2, 2)


def test_widths_under_an_identity_do_not_count() -> None:
    """What changes no network changes neither r_c's pairs nor what is shown of them."""
    of = WidthRegularisation(DEEP.num_choices, DEEP.width_sites, canonical=DEEP.canonical)
    assert of.used(IDENTITIES) == (4, 5, 6, 9, 10)
    assert of.threshold_of(IDENTITIES) == pytest.approx(5 / 7 * of.threshold)
    other: Arch = (0, 1, 2, 3, 2, 2, 2, 0, 4, 2, 3)
    # One step in the head; the four under the identities are none.
    assert of.dressed(IDENTITIES, other) == (*IDENTITIES[:-1], 3)
    assert of.distance(IDENTITIES, of.dressed(IDENTITIES, other)) == 1
    likes = [of.like(IDENTITIES, _generator(seed)) for seed in range(50)]
    assert {like[7:9] for like in likes} == {IDENTITIES[7:9]}
    assert len({like[9] for like in likes}) == 5
    assert all(of.distance(IDENTITIES, one) < of.threshold_of(IDENTITIES) for one in likes)


def test_a_difference_under_an_identity_gives_r_c_no_gradient() -> None:
    """Two architectures that are one network leave nothing to push apart."""
    twin: Arch = (*IDENTITIES[:7], 0, 4, *IDENTITIES[9:])
    assert DEEP.canonical(twin) == DEEP.canonical(IDENTITIES)
    for canonical, expected in ((DEEP.canonical, 0), (None, math.log(2))):
        # Nearer than 4 steps is near: the twins are 4 apart where dead widths count.
        of = WidthRegularisation(
            DEEP.num_choices, DEEP.width_sites, WidthSettings(width_distance=0.35), canonical
        )
        assert of.threshold_of(twin) < 4
        value = of(lambda shown: torch.full((len(shown), 2), 0.5), [IDENTITIES, twin], _generator())
        assert value.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.1, 0.3, 1.0])
def test_the_limits(temperature: float) -> None:
    """Codes all alike give log(1 + n); near ones equal and far ones orthogonal the least."""
    regularisation = _regularisation(temperature)
    archs: list[Arch] = [(0, 0, 0, 0, 0), (0, 4, 4, 4, 4)]

    def alike(shown: list[Arch]) -> torch.Tensor:
        return torch.full((len(shown), 4), 0.25)

    def apart(shown: list[Arch]) -> torch.Tensor:
        narrow = torch.tensor([sum(arch[1:]) < 8 for arch in shown])
        return torch.stack([narrow, ~narrow], 1).float()

    def inside_out(shown: list[Arch]) -> torch.Tensor:
        # An anchor is like the far ones and unlike its likeness: row 1 of each four.
        odd = torch.arange(len(shown)) % 4 == 1
        return torch.stack([odd, ~odd], 1).float()

    value = regularisation(alike, archs, _generator())  # type: ignore[arg-type]
    assert value.item() == pytest.approx(math.log(2), rel=1e-5)
    best = regularisation(apart, archs, _generator())  # type: ignore[arg-type]
    assert best.item() == pytest.approx(math.log(1 + math.exp(-1 / temperature)), abs=1e-6)
    worst = regularisation(inside_out, archs, _generator())  # type: ignore[arg-type]
    assert worst.item() == pytest.approx(math.log(1 + math.exp(1 / temperature)), rel=1e-4)


def test_widths_that_nothing_is_far_from_add_nothing() -> None:
    net = SimplexNet(NUM_CHOICES, 3, width_sites=SITES)
    archs: list[Arch] = [(0, 2, 2, 2, 2), (1, 2, 2, 2, 2)]
    assert _regularisation()(net, archs, _generator()).item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    net = SimplexNet(NUM_CHOICES, 3, width_sites=SITES, hidden=5).double()
    archs: list[Arch] = [(0, 0, 0, 1, 0), (1, 4, 3, 4, 4), (2, 0, 4, 0, 4)]

    def value() -> torch.Tensor:
        return _regularisation()(net, archs, _generator())

    value().backward()  # type: ignore[no-untyped-call]
    for parameter in net.parameters():
        assert parameter.grad is not None
        flat, step = parameter.data.view(-1), 1e-6
        for place in range(0, len(flat), 7):
            before = flat[place].item()
            flat[place] = before + step
            above = value().item()
            flat[place] = before - step
            below = value().item()
            flat[place] = before
            expected = (above - below) / (2 * step)
            assert parameter.grad.view(-1)[place].item() == pytest.approx(expected, abs=1e-6)


def test_descending_it_tells_widths_apart() -> None:
    net = SimplexNet(NUM_CHOICES, 4, width_sites=SITES)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    generator, sampler = _generator(), SAMPLERS["uniform"](_Widths())  # type: ignore[arg-type]
    near, far = ((0, 0, 0, 0, 0), (0, 1, 0, 1, 0)), ((0, 0, 0, 0, 0), (0, 4, 4, 4, 4))

    def alikeness(pair: tuple[Arch, Arch]) -> float:
        one, other = net(pair).detach()
        return float(one @ other)

    before = alikeness(near) - alikeness(far)
    for _ in range(200):
        archs = [sampler(generator)[0] for _ in range(8)]
        optimizer.zero_grad()
        _regularisation()(net, archs, generator).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert abs(before) < 0.05
    assert alikeness(near) - alikeness(far) > 0.3


class _Widths:
    num_choices = NUM_CHOICES

    def sample(self, generator: Generator) -> Arch:
        return uniform_arch(NUM_CHOICES, generator)


SPACE = MobileNetV2(stages=((4, 2, 2),), stem=4, first=4, head=6, num_classes=4, image_size=6)


def _trainer(alpha: float, schedule: str = "alternate") -> Trainer:
    recipe = Recipe(
        epochs=2,
        batch_size=16,
        warmup_epochs=0,
        num_groups=4,
        regularisation=alpha,
        schedule=schedule,
    )
    with seeded(0):
        supernet = SPACE.supernet()
    return Trainer(
        KShot(supernet, 3, group=SPACE.parameter_group),
        SHARING["simplex"](SPACE, 3),
        SAMPLERS["uniform"](SPACE),
        made_up.images(),
        recipe,
        0,
        widths=WidthRegularisation(SPACE.num_choices, SPACE.width_sites, canonical=SPACE.canonical),
    )


@pytest.mark.parametrize("schedule", ["alternate", "joint"])
def test_training_adds_it_to_the_simplex_net_s_loss_alone(schedule: str) -> None:
    """Eq. 17: the gradient is the loss's plus α times r_c's; the bank's is as without it."""
    gradients = []
    for alpha in (0.0, 1.0, 3.0):
        trainer = _trainer(alpha, schedule)
        trainer._update_simplex = lambda: None  # type: ignore[method-assign]
        x, y = next(made_up.images().training_batches(16, _generator()))
        step = trainer._simplex_step if schedule == "alternate" else trainer._joint_step
        figures = step(x, y)
        assert ("width_regularisation" in figures) == (alpha > 0)
        grads = [parameter.grad for parameter in trainer.sharing.parameters()]
        gradients.append(torch.cat([grad.flatten() for grad in grads if grad is not None]))
    without, once, thrice = gradients
    assert not torch.allclose(without, once)
    torch.testing.assert_close(thrice - without, 3 * (once - without), rtol=1e-4, atol=1e-6)
    # With its sign: what the step adds is the gradient of r_c of the step's own architectures.
    plain = _trainer(1.0, schedule)
    paths = plain.streams["simplex paths" if schedule == "alternate" else "paths"]
    assert plain.widths is not None
    plain.widths(plain.sharing, sample(plain.sampler, 4, paths), plain.streams["widths"]).backward()
    grads = [parameter.grad for parameter in plain.sharing.parameters()]
    expected = torch.cat([grad.flatten() for grad in grads if grad is not None])
    torch.testing.assert_close(once - without, expected, rtol=1e-4, atol=1e-6)


def test_a_training_with_it_resumes() -> None:
    whole = _trainer(1.0)
    figures = [whole.run_epoch() for _ in range(2)]
    assert all("width_regularisation" in one for one in figures)
    first, second = _trainer(1.0), _trainer(1.0)
    first.run_epoch()
    second.restore(first.state())
    assert second.run_epoch() == figures[1]
    for name, value in whole.state().items():
        assert torch.equal(second.state()[name], value), name
