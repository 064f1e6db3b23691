"""Many paths in one pass are what each is by itself: outputs, gradients, whole trainings."""

from __future__ import annotations

import random
from collections.abc import Callable

import made_up
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from kshot_core.retraining.fleet import Fleet
from kshot_core.retraining.standalone import (
    StandaloneRecipe,
    build_fleet,
    build_standalone,
    train_standalone,
)
from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import SHARING
from kshot_core.space import Arch
from kshot_core.spaces import NASBench201
from kshot_core.streams import seeded
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot
from kshot_core.weights.many import ManyPaths

SPACE = NASBench201(channels=3, cells=2, num_classes=4, image_size=9)
ALONE = NASBench201(
    channels=3, cells=1, num_classes=4, image_size=9, batch_norm="running", affine=True
)
ARCHS = SPACE.archs()
DEAD: Arch = (0, 0, 0, 0, 0, 0)
# In double precision rounding cannot hide, or pass for, a mistake.
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def _shared(K: int, space: NASBench201 = SPACE) -> KShot:
    with seeded(3):
        supernet = space.supernet()
    return KShot(supernet, K, group=space.parameter_group).double()


def _images(m: int, num: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(m, num, 3, 9, 9, generator=generator, dtype=torch.float64)


def _codes(m: int, K: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(m, K, generator=generator, dtype=torch.float64).softmax(1)


def _naming(name: str) -> Callable[[str], str]:
    return lambda message: f"{name}: {message}"


def _one_by_one(shared: KShot, x: Tensor, archs: list[Arch], codes: Tensor) -> Tensor:
    return torch.stack([shared(*one) for one in zip(x, archs, codes, strict=True)])


@settings(max_examples=25, deadline=None)
@given(
    indices=st.lists(st.integers(0, len(ARCHS) - 1), min_size=1, max_size=6),
    K=st.integers(1, 3),
    shares_images=st.booleans(),
)
def test_any_mix_of_paths_gives_what_each_gives_alone(
    indices: list[int], K: int, shares_images: bool
) -> None:
    shared, m = _shared(K), len(indices)
    archs, codes, x = [ARCHS[index] for index in indices], _codes(m, K), _images(m)
    if shares_images:
        x = x[:1].expand(x.shape)
    together = shared.forward_many(x, archs, codes)
    torch.testing.assert_close(together, _one_by_one(shared, x, archs, codes), **CLOSE)


@pytest.mark.parametrize("affine", [False, True])
def test_gradients_are_the_sum_of_those_of_the_paths(affine: bool) -> None:
    space = NASBench201(channels=3, cells=1, num_classes=4, image_size=9, affine=affine)
    # All operations on all edges, the same path twice, a path without any live edge.
    drawn = random.Random(0).sample(ARCHS, 9)
    archs = [*drawn, drawn[0], DEAD]
    x, K = _images(len(archs)), 3
    gradients = []
    for together in (True, False):
        shared = _shared(K, space)
        codes = _codes(len(archs), K).requires_grad_()
        run = shared.forward_many if together else lambda *a, s=shared: _one_by_one(s, *a)
        run(x, archs, codes).sin().sum().backward()
        bank = {name: value.grad for name, value in shared.named_parameters()}
        gradients.append({**bank, "codes": codes.grad})
    for name, expected in gradients[1].items():
        actual = gradients[0][name]
        assert (actual is None) == (expected is None), name
        if expected is not None:
            torch.testing.assert_close(actual, expected, msg=_naming(name), **CLOSE)


def test_weights_that_no_path_uses_get_no_gradient() -> None:
    shared = _shared(2)
    archs: list[Arch] = [(3, 0, 0, 0, 3, 0), (1, 0, 0, 0, 1, 0)]
    shared.forward_many(_images(2), archs, _codes(2, 2)).sum().backward()
    used = {name for name, value in shared.bank.items() if value.grad is not None}
    assert used == {"fixed", "edge-0-3", "edge-4-3"}


def test_paths_without_a_live_edge_and_batches_of_one_image() -> None:
    shared = _shared(2)
    x, codes = _images(3, num=1), _codes(1, 2).expand(3, 2)
    archs = [DEAD, ARCHS[0], DEAD]
    together = shared.forward_many(x, archs, codes)
    torch.testing.assert_close(together, _one_by_one(shared, x, archs, codes), **CLOSE)
    assert torch.equal(together[0], together[2]), "nothing of the image reaches the classifier"


def test_shared_images_pass_the_stem_as_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = F.conv2d

    def counting(x: Tensor, *arguments: object) -> Tensor:
        seen.append(x.shape[1])
        return real(x, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(F, "conv2d", counting)
    one = _images(1)
    _shared(2).forward_many(one.expand(4, *one.shape[1:]), ARCHS[:4], _codes(4, 2))
    assert seen[0] == 3


def test_networks_that_cannot_run_many_paths_run_one_by_one() -> None:
    shared = KShot.from_supernets([made_up.supernet(seed) for seed in range(2)])
    assert not isinstance(shared.network, ManyPaths)
    archs = made_up.MadeUpSpace().archs()[:5]
    x, codes = _images(5).float(), _codes(5, 2).float()
    together = shared.forward_many(x, archs, codes)
    assert torch.equal(together, _one_by_one(shared, x, archs, codes))


def test_running_statistics_are_updated_path_by_path() -> None:
    space = NASBench201(channels=2, cells=1, num_classes=4, image_size=9, batch_norm="running")
    states = []
    for together in (True, False):
        shared = _shared(2, space)
        run = shared.forward_many if together else lambda *a, s=shared: _one_by_one(s, *a)
        run(_images(3), ARCHS[:3], _codes(3, 2))
        states.append(shared.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_wrong_numbers_of_codes_and_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"3 paths need codes \(3, 2\)"):
        _shared(2).forward_many(_images(3), ARCHS[:3], _codes(2, 2))
    with pytest.raises(ValueError, match=r"got codes .* and 2 batches"):
        _shared(2).forward_many(_images(2), ARCHS[:3], _codes(3, 2))


@pytest.mark.parametrize(
    ("sampler", "schedule"), [("uniform", "alternate"), ("uniform", "joint"), ("fair", "alternate")]
)
def test_a_training_is_the_same_whether_paths_are_batched(sampler: str, schedule: str) -> None:
    space = NASBench201(channels=2, cells=1, num_classes=made_up.NUM_CLASSES, image_size=6)
    results = []
    for batch_paths in (True, False):
        sharing = SHARING["simplex"](space, 3, 0)
        recipe = Recipe(
            epochs=2,
            batch_size=16,
            warmup_epochs=0,
            num_groups=4,
            schedule=schedule,
            batch_paths=batch_paths,
        )
        trainer = Trainer(
            _shared(3, space),
            sharing.double(),
            SAMPLERS[sampler](space),
            _double(made_up.images(48)),
            recipe,
            seed=0,
        )
        figures = list(fit(trainer))
        results.append((figures, trainer.state()))
    (figures, state), (expected_figures, expected) = results
    for one, other in zip(figures, expected_figures, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=1e-7, atol=1e-9, msg=_naming(name))


def _double(images: object) -> object:
    images.scale, images.shift = images.scale.double(), images.shift.double()  # type: ignore[attr-defined]
    images._normalise = lambda pixels: (  # type: ignore[attr-defined]
        pixels.double().mul_(images.scale).add_(images.shift).permute(0, 3, 1, 2)  # type: ignore[attr-defined]
    )
    return images


class TestFleet:
    ARCHS = (*random.Random(1).sample(ARCHS, 5), DEAD, (3, 3, 3, 3, 3, 3))

    def test_members_compute_what_their_networks_do(self) -> None:
        networks = [build_standalone(ALONE, arch, 7).double() for arch in self.ARCHS]
        fleet = Fleet([build_standalone(ALONE, a, 7).double() for a in self.ARCHS], self.ARCHS)
        x = _images(len(self.ARCHS))
        for mode in (True, False):
            expected = [network.train(mode)(one) for network, one in zip(networks, x, strict=True)]
            torch.testing.assert_close(fleet.train(mode)(x), torch.stack(expected), **CLOSE)

    def test_members_train_as_they_would_alone(self) -> None:
        recipe = StandaloneRecipe(epochs=2, batch_size=8)
        seeds = [0, 1, 0, 1, 0, 1, 0]
        fleet = build_fleet(ALONE, self.ARCHS, seeds).double()
        train_standalone(fleet, _double(made_up.images(32, size=9)), recipe, seeds)
        for member in (0, 3, 6):
            alone = build_fleet(ALONE, [self.ARCHS[member]], [seeds[member]]).double()
            train_standalone(alone, _double(made_up.images(32, size=9)), recipe, [seeds[member]])
            expected = alone.network(0).double().state_dict()
            actual = fleet.network(member).double().state_dict()
            assert actual.keys() == expected.keys()
            live = {
                name: value
                for name, value in expected.items()
                if name.split(".")[0] != "cells"
                or ALONE.canonical(self.ARCHS[member])[int(name.split(".")[3])]
            }
            for name, value in live.items():
                torch.testing.assert_close(
                    actual[name], value, rtol=1e-6, atol=1e-9, msg=_naming(name)
                )

    def test_other_networks_run_one_by_one_with_their_own_buffers(self) -> None:
        space = made_up.MadeUpSpace()
        archs = [(1, 0, 0), (2, 1, 1)]
        networks = [build_standalone(space, arch, 3) for arch in archs]
        fleet = Fleet(networks, archs)
        x = _images(2).float()
        expected = [build_standalone(space, a, 3)(one) for a, one in zip(archs, x, strict=True)]
        torch.testing.assert_close(fleet(x), torch.stack(expected))
        fleet(x)
        assert fleet.network(1).state_dict()["network.num_forwards"] == 2

    def test_it_needs_an_architecture_for_each_network(self) -> None:
        with pytest.raises(ValueError, match="got 0 networks"):
            Fleet([], [])
        with pytest.raises(ValueError, match="got 1 networks and 2 architectures"):
            Fleet([build_standalone(ALONE, DEAD, 0)], [DEAD, DEAD])
