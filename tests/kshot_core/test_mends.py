"""What keeps K copies from training as one does, and the settings that mend it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import made_up
import pytest
import torch
from torch import Tensor, nn

from kshot_core.evaluation.scores import predict
from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import SHARING
from kshot_core.sharing.simplex import SimplexSettings
from kshot_core.spaces import NASBench201
from kshot_core.training.recipe import Recipe
from kshot_core.training.steps import run_step
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot
from kshot_core.weights.widen import widen_copies

# Running statistics would differ between processes of a test, affine scales are what learns slower.
SPACE = NASBench201(channels=2, cells=1, num_classes=made_up.NUM_CLASSES, image_size=6, affine=True)
IMAGES = made_up.images(80)
RECIPE = Recipe(
    epochs=10, batch_size=8, warmup_epochs=0, num_groups=2, learning_rate=0.1, gradient_clip=0.5
)


def _trainer(name: str, K: int, copies: str = "drawn", **changes: Any) -> Trainer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        supernet = SPACE.supernet()
        shared = (
            KShot.from_supernets([supernet] * K, group=SPACE.parameter_group)
            if copies == "equal"
            else KShot(supernet, K, group=SPACE.parameter_group)
        )
    strategy = SimplexSettings(hidden=8) if name == "simplex" else SHARING[name]
    sharing = strategy(SPACE, K)
    return Trainer(
        shared, sharing, SAMPLERS["fair"](SPACE), IMAGES, replace(RECIPE, **changes), seed=0
    )


def _be_exact(trainer: Trainer) -> None:
    """Train in 64 bits: a hundred steps multiply what 32 round."""
    trainer.shared.double()
    trainer.engine = lambda step: run_step(replace(step, x=step.x.double()))


def _merged(trainer: Trainer) -> dict[str, Tensor]:
    K = trainer.shared.K
    code = torch.full((K,), 1 / K, dtype=trainer.bank[0].dtype)
    return {name: value.detach().clone() for name, value in trainer.shared.weights(code).items()}


@pytest.mark.parametrize("sampler", ["uniform", "fair"])
@pytest.mark.parametrize("unsampled", ["freeze", "decay"])
def test_equal_copies_under_a_fixed_code_train_as_one_copy_does(
    sampler: str, unsampled: str
) -> None:
    """Over 100 steps, with momentum, decay and a bound on the gradient that is felt."""
    losses = []
    weights = []
    for name, K in (("one-shot", 1), ("fixed", 4)):
        trainer = _trainer(
            name, K, "equal", compensate=True, clip_norm="merged", unsampled=unsampled
        )
        trainer.sampler = SAMPLERS[sampler](SPACE)
        _be_exact(trainer)
        losses.append([figures["weight_loss"] for figures in fit(trainer)])
        assert trainer.num_weight_steps == 100
        weights.append(_merged(trainer))
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)
    for label, one in weights[0].items():
        torch.testing.assert_close(weights[1][label], one, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("changes", [{"compensate": False}, {"clip_norm": "bank"}])
def test_without_either_mend_they_do_not(changes: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"compensate": True, "clip_norm": "merged"}
    one, four = (
        list(fit(_trainer(name, K, "equal", **settings | changes)))[-1]["weight_loss"]
        for name, K in (("one-shot", 1), ("fixed", 4))
    )
    assert four != pytest.approx(one, rel=1e-3)


def test_the_merged_gradient_is_what_is_bounded() -> None:
    """At every K a step moves the merged weights by as much."""
    moved = []
    for name, K in (("one-shot", 1), ("fixed", 4)):
        trainer = _trainer(
            name, K, "equal", compensate=True, clip_norm="merged", gradient_clip=1e-3,
            weight_decay=0.0, momentum=0.0, nesterov=False,
        )  # fmt: skip
        before = _merged(trainer)
        trainer._set_learning_rate(0.0)
        trainer._weight_step(*IMAGES.scoring_batches(8)[0], warm=False)
        after = _merged(trainer)
        squares = [
            (after[label] - before[label]).square().sum()
            for label, _ in SPACE.supernet().named_parameters()
        ]
        moved.append(float(torch.stack(squares).sum().sqrt()))
    assert moved[0] == pytest.approx(0.1 * 1e-3, rel=1e-2)
    assert moved[1] == pytest.approx(moved[0], rel=1e-2)


def test_wide_copies_merge_to_the_scale_of_one_drawn_network() -> None:
    K = 16
    shared = KShot(nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64)), K)  # type: ignore[arg-type]
    code = torch.full((K,), 1 / K)
    narrow = shared.weights(code)["0.weight"].std().item()
    widen_copies(shared)
    wide = shared.weights(code)
    one = nn.Linear(64, 64).weight.std().item()
    assert narrow == pytest.approx(one / math.sqrt(K), rel=0.1)
    assert wide["0.weight"].std().item() == pytest.approx(one, rel=0.1)
    assert torch.equal(wide["1.weight"], torch.ones(64)), "scales that are equal stay"
    assert torch.equal(wide["1.bias"], torch.zeros(64))


def test_identical_copies_are_left_alone() -> None:
    shared = KShot.from_supernets([nn.Linear(3, 3)] * 4)
    before = [parameter.detach().clone() for parameter in shared.parameters()]
    widen_copies(shared)
    assert all(map(torch.equal, before, shared.parameters()))


def test_all_copies_start_from_the_one_that_warmed_up() -> None:
    trainer = _trainer("few-shot", 5, warmup="one-shot", warmup_epochs=1, epochs=2)
    alone = _trainer("one-shot", 1, epochs=2)
    first, same = trainer.run_epoch(), alone.run_epoch()
    assert first["weight_loss"] == pytest.approx(same["weight_loss"], rel=1e-4)
    for mine, theirs in zip(trainer.bank, alone.bank, strict=True):
        torch.testing.assert_close(mine, theirs.expand_as(mine), rtol=1e-3, atol=1e-4)
        momentum = trainer.optimizer.state[mine].get("momentum_buffer")
        if momentum is not None:
            assert all(torch.equal(momentum[0], row) for row in momentum)


def test_a_strategy_may_use_its_own_codes_from_the_first_step() -> None:
    entropies = {
        warmup: _trainer("random", 4, warmup=warmup, warmup_epochs=1).run_epoch()["code_entropy"]
        for warmup in ("uniform", "own")
    }
    assert entropies["uniform"] == pytest.approx(1)
    assert entropies["own"] < 0.95


def test_simplex_steps_may_have_more_images() -> None:
    settings: dict[str, Any] = {"simplex_batches": "extra", "simplex_batch_size": 40, "epochs": 1}
    trainer = _trainer("simplex", 3, **settings)
    seen = []
    run = trainer.engine

    def spied(step: Any) -> Tensor:
        seen.append(tuple(step.y.shape))
        return run(step)

    trainer.engine = spied
    figures = trainer.run_epoch()
    assert (figures["num_weight_steps"], figures["num_simplex_steps"]) == (10, 10)
    # Two paths of 20 images each; a weight step's five paths have all 8.
    assert seen.count((2, 20)) == 10
    assert seen.count((5, 8)) == 10


def test_the_simplex_nets_rate_may_follow_a_cosine() -> None:
    rates = {}
    for cosine in (False, True):
        trainer = _trainer("simplex", 3, simplex_cosine=cosine, epochs=2)
        assert trainer.simplex_optimizer is not None
        for _ in fit(trainer):
            pass
        rates[cosine] = trainer.simplex_optimizer.param_groups[0]["lr"]
    assert rates[False] == RECIPE.simplex_learning_rate
    last = 0.5 * (1 + math.cos(math.pi * 19 / 20))
    assert rates[True] == pytest.approx(RECIPE.simplex_learning_rate * last)


def test_the_balance_term_spreads_the_use_of_copies() -> None:
    """A simplex-net that prefers one copy for all is pushed to use the others."""
    shares = {}
    for balance in (0.0, 10.0):
        trainer = _trainer("simplex", 3, balance=balance, simplex_learning_rate=0.05)
        bias = trainer.sharing.branches[0].output.bias  # type: ignore[index, union-attr]
        with torch.no_grad():
            bias[0] += 3.0  # type: ignore[index, operator]
        for _ in range(20):
            figures = trainer._simplex_step(*IMAGES.scoring_batches(8)[0])
        assert ("imbalance" in figures) == (balance > 0)
        archs = [arch for _ in range(20) for arch in trainer.sampler(torch.Generator())]
        shares[balance] = trainer.sharing(archs).mean(0)[0].item()
    assert shares[0.0] > 0.7
    assert shares[10.0] < 0.5


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_codes_may_differ_from_the_start(scale: float) -> None:
    plain = SimplexSettings(output_bias=False)(SPACE, 8)
    wide = SimplexSettings(output_bias=False, output_scale=scale)(SPACE, 8)
    generator = torch.Generator().manual_seed(0)
    archs = [SAMPLERS["uniform"](SPACE)(generator)[0] for _ in range(200)]
    log = wide(archs).log() - wide(archs).log().mean(1, keepdim=True)
    expected = plain(archs).log() - plain(archs).log().mean(1, keepdim=True)
    torch.testing.assert_close(log, scale * expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"clip_norm": "other"},
        {"warmup": "other"},
        {"simplex_batch_size": 64},
        {"simplex_batch_size": 64, "simplex_batches": "extra", "schedule": "joint"},
        {"simplex_batch_size": -1},
        {"balance": -1.0},
        {"clip_norm": "merged", "schedule": "joint"},
    ],
)
def test_settings_without_effect_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Recipe(**changes)


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0, got 0"):
        SimplexSettings(output_scale=0.0)


class _Opposed(nn.Module):
    """A linear classifier whose input's sign is the architecture's second choice.

    What one half of the architectures needs is the negative of what the other half does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 36, made_up.NUM_CLASSES, bias=False)

    def forward(self, x: Tensor, arch: tuple[int, ...]) -> Tensor:
        sign = 1 - 2 * arch[2]
        logits: Tensor = self.head(sign * x.flatten(1))
        return logits


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_copies_serve_architectures_that_need_opposite_weights(seed: int) -> None:
    space, images, accuracies = made_up.MadeUpSpace(), made_up.images(192, seed=seed), {}
    for K in (1, 2):
        strategy = SimplexSettings(output_scale=4.0) if K > 1 else SHARING["one-shot"]
        sharing = strategy(space, K, seed)
        shared = KShot(_Opposed(), K, seed=seed)
        recipe = Recipe(
            epochs=12, batch_size=16, warmup_epochs=0, num_groups=4, simplex_batches="extra",
            simplex_learning_rate=0.02, learning_rate=0.05, compensate=True, clip_norm="merged",
        )  # fmt: skip
        for _ in fit(Trainer(shared, sharing, SAMPLERS["uniform"](space), images, recipe, seed)):
            pass
        scores = predict(shared, sharing, space.archs(), images, space.canonical, batch_size=64)
        accuracies[K] = float(scores.score.mean())
    # Four classes: one copy is at chance for one half of the architectures, or for both.
    assert accuracies[1] < 50
    assert accuracies[2] > 85


def test_the_log_says_how_much_codes_differ() -> None:
    fixed, few, one = (
        _trainer(name, K, warmup="own").run_epoch()
        for name, K in (("fixed", 4), ("few-shot", 5), ("one-shot", 1))
    )
    assert (fixed["code_sd"], fixed["top_copy_share"]) == (0, 1)
    # One-hot codes, each copy as often: the standard deviation of a share of 1/5.
    assert few["code_sd"] == pytest.approx(0.4)
    assert few["top_copy_share"] == pytest.approx(0.2)
    assert "code_sd" not in one
