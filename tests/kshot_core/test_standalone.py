"""Training of one architecture alone."""

from __future__ import annotations

from itertools import pairwise

import made_up
import pytest
import torch
from torch import nn

from kshot_core.retraining.fleet import Fleet
from kshot_core.retraining.standalone import (
    StandaloneRecipe,
    build_fleet,
    build_standalone,
    standalone_scores,
    train_standalone,
)
from kshot_core.spaces import NASBench201

SPACE = NASBench201(channels=4, cells=1, num_classes=made_up.NUM_CLASSES, image_size=6)
ARCH = (3, 1, 2, 1, 4, 3)
RECIPE = StandaloneRecipe(epochs=4, batch_size=16)


def _trained(*seeds: int) -> Fleet:
    fleet = build_fleet(SPACE, [ARCH] * len(seeds), seeds)
    train_standalone(fleet, made_up.images(160), RECIPE, seeds)
    return fleet


def test_it_learns_what_there_is_to_learn() -> None:
    batches = made_up.images(80, seed=1).scoring_batches(40)
    [untrained] = standalone_scores(build_fleet(SPACE, [ARCH], [0]), batches)
    [trained] = standalone_scores(_trained(0), batches)
    assert untrained < 60
    assert 85 < trained <= 100


def test_same_seed_same_network_other_seed_another() -> None:
    first, again, other = (_trained(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stacks.stem-conv-weight"], other["stacks.stem-conv-weight"])
    before = torch.get_rng_state()
    _trained(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_alone_gives_the_initial_weights() -> None:
    torch.rand(5)
    first = build_standalone(SPACE, ARCH, 7).state_dict()
    torch.rand(5)
    again = build_standalone(SPACE, ARCH, 7).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_learning_rate_warms_up_and_falls(rates: list[float]) -> None:
    recipe = StandaloneRecipe(epochs=2, batch_size=16, learning_rate=0.2, warmup=0.25)
    train_standalone(build_fleet(SPACE, [ARCH], [0]), made_up.images(160), recipe, [0])
    assert len(rates) == 20
    assert rates[:5] == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.2])
    assert max(rates) == pytest.approx(0.2)
    assert all(left >= right for left, right in pairwise(rates[4:]))
    assert 0 < rates[-1] < 0.01


def test_accuracy_is_the_percentage_right_of_all_images() -> None:
    images = made_up.images(40)

    class Always(nn.Module):
        def __init__(self, label: int) -> None:
            super().__init__()
            self.register_buffer("row", torch.eye(made_up.NUM_CLASSES)[label])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.row.expand(len(x), -1)

    fleet = Fleet([Always(0), Always(1)], [ARCH, ARCH])
    expected = [100 * float((images.labels == label).float().mean()) for label in (0, 1)]
    # Batches of 7 images, and a last one of 5.
    assert standalone_scores(
        fleet, images.scoring_batches(7, keep_remainder=True)
    ) == pytest.approx(expected)


def test_members_may_have_other_shapes_under_one_name() -> None:
    torch.manual_seed(0)
    networks = [nn.Conv2d(1, 2, kernel, padding="same") for kernel in (1, 3, 1)]
    expected = [network.weight.detach().clone() for network in networks]
    fleet = Fleet(networks, [ARCH] * 3)
    x = torch.randn(3, 2, 1, 4, 4)
    alone = [network(images) for network, images in zip(networks, x, strict=True)]
    torch.testing.assert_close(fleet(x), torch.stack(alone))
    fleet(x).square().sum().backward()
    assert all(stack.grad is not None for stack in fleet.parameters())
    for member, weight in enumerate(expected):
        assert torch.equal(fleet.network(member).weight, weight)
