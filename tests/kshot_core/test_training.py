"""Training: which steps there are, what each of them moves, and that nothing is left to chance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import made_up
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.sampling import SAMPLERS, Sampler
from kshot_core.sharing import SHARING
from kshot_core.sharing.simplex import SimplexSettings
from kshot_core.space import Arch
from kshot_core.spaces import NASBench201
from kshot_core.tasks.batches import Part
from kshot_core.tasks.images import ImageSet
from kshot_core.training.distributed import Processes
from kshot_core.training.passes import Interrupted
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import DivergedError, Trainer, fit
from kshot_core.weights.bank import KShot

SPACE = NASBench201(channels=2, cells=1, num_classes=made_up.NUM_CLASSES, image_size=6)
# 96 images: 12 steps an epoch, which the alternation divides into 6 and 6.
IMAGES = made_up.images(96)
FEW_IMAGES = made_up.images(24)
RECIPE = Recipe(epochs=3, batch_size=8, warmup_epochs=1, num_groups=2, simplex_learning_rate=0.01)
COPIES = {"one-shot": 1, "few-shot": 5}


def _trainer(
    name: str = "simplex",
    sampler: str | Sampler = "uniform",
    seed: int = 0,
    images: ImageSet = IMAGES,
    **changes: Any,
) -> Trainer:
    K = COPIES.get(name, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shared = KShot(SPACE.supernet(), K, group=SPACE.parameter_group)
    strategy = SimplexSettings(hidden=8) if name == "simplex" else SHARING[name]
    sharing = strategy(SPACE, K)
    drawn = SAMPLERS[sampler](SPACE) if isinstance(sampler, str) else sampler
    return Trainer(shared, sharing, drawn, images, replace(RECIPE, **changes), seed)


def _batch(num: int = 8) -> tuple[Tensor, Tensor]:
    return IMAGES.scoring_batches(num)[0]


def _copy(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


def _same(before: list[Tensor], parameters: list[nn.Parameter]) -> list[bool]:
    return [torch.equal(old, new) for old, new in zip(before, parameters, strict=True)]


# Which steps there are.


def test_warm_up_uses_equal_codes_and_leaves_the_simplex_net_alone() -> None:
    trainer = _trainer()
    before = _copy(trainer.simplex)
    figures = trainer.run_epoch()
    assert figures["code_entropy"] == pytest.approx(1)
    assert (figures["num_weight_steps"], figures["num_simplex_steps"]) == (12, 0)
    assert "simplex_loss" not in figures
    assert all(_same(before, trainer.simplex))


def test_a_warm_up_step_is_a_step_at_equal_codes() -> None:
    """Whatever the strategy says: a frozen random code warms up at 1/K too."""
    states = []
    for name in ("random", "fixed"):
        trainer = _trainer(name)
        trainer.run_epoch()
        states.append(_copy(trainer.bank))
    assert all(torch.equal(left, right) for left, right in zip(*states, strict=True))


@pytest.mark.parametrize(
    ("changes", "num_weight_steps", "num_simplex_steps"),
    [
        ({}, 6, 6),
        ({"simplex_every": 3}, 8, 4),
        ({"simplex_every": 12}, 11, 1),
        ({"simplex_batches": "extra"}, 12, 12),
        ({"simplex_batches": "extra", "simplex_every": 3}, 12, 6),
        ({"simplex_batches": "extra", "simplex_every": 5}, 12, 3),
        ({"schedule": "joint"}, 12, 12),
    ],
)
def test_numbers_of_steps_after_the_warm_up(
    changes: dict[str, Any], num_weight_steps: int, num_simplex_steps: int
) -> None:
    first, second, third = fit(_trainer(**changes))
    assert (first["num_weight_steps"], first["num_simplex_steps"]) == (12, 0)
    for figures, num in ((second, 1), (third, 2)):
        assert figures["num_weight_steps"] == 12 + num * num_weight_steps
        assert figures["num_simplex_steps"] == num * num_simplex_steps
        assert math.isfinite(figures["weight_loss"])
        assert ("simplex_loss" in figures) == (changes.get("schedule") != "joint")
    assert [figures["epoch"] for figures in (first, second, third)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("num_images", "changes", "num_steps"),
    [
        # Three batches an epoch, one, two: an epoch is no multiple of the alternation.
        (24, {"epochs": 8}, (12, 12)),
        (8, {"epochs": 8}, (4, 4)),
        (16, {"epochs": 8, "simplex_every": 4}, (12, 4)),
        (24, {"epochs": 8, "simplex_batches": "extra", "simplex_every": 3}, (24, 12)),
    ],
)
def test_steps_are_counted_over_the_whole_training(
    num_images: int, changes: dict[str, Any], num_steps: tuple[int, int]
) -> None:
    images = made_up.images(num_images)
    *_, last = fit(_trainer(images=images, warmup_epochs=0, **changes))
    assert (last["num_weight_steps"], last["num_simplex_steps"]) == num_steps


def test_a_batch_that_processes_cannot_share_is_refused_at_once() -> None:
    trainer = _trainer()
    with pytest.raises(ValueError, match="a batch of 8 does not divide among 3 processes"):
        Trainer(
            trainer.shared,
            trainer.sharing,
            trainer.sampler,
            IMAGES,
            RECIPE,
            0,
            processes=Processes(Part(0, 3)),
        )


@pytest.mark.parametrize("name", ["one-shot", "fixed", "random", "few-shot"])
def test_strategies_without_parameters_have_weight_steps_only(name: str) -> None:
    *_, last = fit(_trainer(name))
    assert (last["num_weight_steps"], last["num_simplex_steps"]) == (36, 0)


def test_a_simplex_net_of_one_copy_trains_as_one_shot_does() -> None:
    shared = KShot(made_up.supernet(0), 1)
    space = made_up.MadeUpSpace()
    sharing = SHARING["simplex"](space, 1)
    trainer = Trainer(shared, sharing, SAMPLERS["uniform"](space), IMAGES, RECIPE, 0)
    *_, last = fit(trainer)
    assert (last["num_weight_steps"], last["num_simplex_steps"]) == (36, 0)


# What each step moves.


def test_a_simplex_step_leaves_the_bank_untouched() -> None:
    trainer = _trainer()
    bank, simplex = _copy(trainer.bank), _copy(trainer.simplex)
    trainer._simplex_step(*_batch())
    assert all(_same(bank, trainer.bank))
    assert not any(_same(simplex, trainer.simplex))
    assert all(parameter.grad is None for parameter in trainer.bank)
    assert all(parameter.requires_grad for parameter in trainer.bank)


def test_a_weight_step_leaves_the_simplex_net_untouched() -> None:
    trainer = _trainer()
    bank, simplex = _copy(trainer.bank), _copy(trainer.simplex)
    trainer._weight_step(*_batch(), warm=False)
    assert all(_same(simplex, trainer.simplex))
    assert all(parameter.grad is None for parameter in trainer.simplex)
    assert not all(_same(bank, trainer.bank))


def test_a_joint_step_moves_both() -> None:
    trainer = _trainer(schedule="joint")
    bank, simplex = _copy(trainer.bank), _copy(trainer.simplex)
    trainer._joint_step(*_batch())
    assert not all(_same(bank, trainer.bank))
    assert not any(_same(simplex, trainer.simplex))


def _always(*archs: Arch) -> Sampler:
    return lambda generator: archs


def test_a_weight_step_is_a_step_of_sgd_on_the_paths_loss() -> None:
    """Equation 9 by hand: copy k moves by λ_k times the gradient of the merged weight."""
    arch = (3, 1, 2, 4, 3, 3)
    trainer = _trainer(sampler=_always(arch), gradient_clip=0.0)
    code = trainer.sharing([arch])[0].detach()
    plain = SPACE.supernet()
    plain.load_state_dict({k: v.detach() for k, v in trainer.shared.weights(code).items()})
    F.cross_entropy(plain(_batch()[0], arch), _batch()[1]).backward()
    name = "cells.0.edges.0.3.conv.weight"
    gradient = dict(plain.named_parameters())[name].grad
    assert gradient is not None
    before = [trainer.shared.weights(torch.eye(3)[k])[name].detach() for k in range(3)]
    trainer._weight_step(*_batch(), warm=False)
    for k in range(3):
        total = code[k] * gradient + RECIPE.weight_decay * before[k]
        # Nesterov's first step: the gradient and its momentum at once.
        expected = before[k] - RECIPE.learning_rate * (1 + RECIPE.momentum) * total
        after = trainer.shared.weights(torch.eye(3)[k])[name].detach()
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_several_paths_is_the_sum() -> None:
    archs = tuple(SAMPLERS["fair"](SPACE)(torch.Generator().manual_seed(4)))
    assert len(archs) == 5
    together = _trainer(sampler=_always(*archs), gradient_clip=0.0)
    together._weight_step(*_batch(), warm=False)
    sums = [torch.zeros_like(parameter) for parameter in together.bank]
    for arch in archs:
        single = _trainer(sampler=_always(arch), gradient_clip=0.0)
        single._weight_step(*_batch(), warm=False)
        for index, parameter in enumerate(single.bank):
            if parameter.grad is not None:
                sums[index] += parameter.grad
    for total, parameter in zip(sums, together.bank, strict=True):
        gradient = torch.zeros_like(total) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradient, total, rtol=1e-4, atol=1e-6)


def test_a_simplex_step_divides_the_batch_among_its_architectures() -> None:
    archs = [(3, 1, 2, 4, 3, 3), (2, 1, 2, 1, 3, 0), (1, 1, 1, 1, 1, 1)]
    trainer = _trainer(sampler=_always(*archs), num_groups=3, batch_size=8)
    x, y = _batch(8)
    code = trainer.sharing(archs)
    expected = [
        F.cross_entropy(trainer.shared(x[2 * i : 2 * i + 2], arch, code[i]), y[2 * i : 2 * i + 2])
        for i, arch in enumerate(archs)
    ]
    mean = torch.stack(expected).mean()
    loss = trainer._simplex_step(x, y)["simplex_loss"].item()
    assert loss == pytest.approx(mean.item(), rel=1e-6)


@pytest.mark.parametrize("batch_paths", [True, False])
@pytest.mark.parametrize("schedule", ["alternate", "joint"])
def test_the_gradient_of_several_architectures_is_that_of_their_mean_loss(
    schedule: str, batch_paths: bool
) -> None:
    """Equation 8: 1/m of the sum over m architectures, for simplex-net and bank alike."""
    archs = [(3, 1, 2, 4, 3, 3), (2, 1, 2, 1, 3, 0), (3, 3, 1, 1, 1, 2), (1, 1, 1, 1, 1, 1)]
    changes: dict[str, Any] = {"schedule": schedule, "gradient_clip": 0.0}
    changes |= {"num_groups": 4, "batch_paths": batch_paths, "sampler": _always(*archs)}
    trainer, plain = _trainer(**changes), _trainer(**changes)
    (trainer._simplex_step if schedule == "alternate" else trainer._joint_step)(*_batch())
    x, y = _batch()
    codes = plain.sharing(archs)
    losses = [
        F.cross_entropy(plain.shared(x[2 * i : 2 * i + 2], arch, codes[i]), y[2 * i : 2 * i + 2])
        for i, arch in enumerate(archs)
    ]
    torch.stack(losses).mean().backward()
    pairs = list(zip(trainer.simplex, plain.simplex, strict=True))
    if schedule == "joint":
        pairs += zip(trainer.bank, plain.bank, strict=True)
    for parameter, expected in pairs:
        if expected.grad is not None:
            torch.testing.assert_close(parameter.grad, expected.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("schedule", ["alternate", "joint"])
def test_a_simplex_step_is_a_step_of_adam_with_its_own_rate_and_decay(schedule: str) -> None:
    rate, decay = 0.003, 0.7
    trainer = _trainer(
        schedule=schedule, simplex_learning_rate=rate, simplex_weight_decay=decay, weight_decay=0.0
    )
    before = _copy(trainer.simplex)
    (trainer._simplex_step if schedule == "alternate" else trainer._joint_step)(*_batch())
    for old, parameter in zip(before, trainer.simplex, strict=True):
        assert parameter.grad is not None
        total = parameter.grad + decay * old
        # Adam's first step: both means are of one gradient, so only its sign is left of it.
        expected = old - rate * total / (total.abs() + 1e-8)
        torch.testing.assert_close(parameter, expected, rtol=1e-5, atol=1e-7)


def _used_and_unused(trainer: Trainer) -> tuple[nn.Parameter, nn.Parameter]:
    return trainer.shared.bank["edge-3-3"], trainer.shared.bank["edge-3-2"]


@pytest.mark.parametrize("unsampled", ["freeze", "decay"])
def test_what_becomes_of_unsampled_operations(unsampled: str) -> None:
    trainer = _trainer(sampler=_always((1, 1, 1, 2, 1, 1)), unsampled=unsampled)
    trainer._weight_step(*_batch(), warm=False)
    trainer.sampler = _always((1, 1, 1, 3, 1, 1))
    used, unused = _used_and_unused(trainer)
    before = used.detach().clone(), unused.detach().clone()
    trainer._weight_step(*_batch(), warm=False)
    assert not torch.equal(used, before[0])
    if unsampled == "freeze":
        assert torch.equal(unused, before[1])
        assert unused.grad is None
    else:
        assert not torch.equal(unused, before[1]), "it coasts by momentum and decays"
        assert unused.grad is not None
        assert unused.grad.abs().sum() == 0


def test_compensation_divides_by_the_sum_of_squares() -> None:
    gradients = []
    for compensate in (False, True):
        trainer = _trainer("fixed", compensate=compensate, gradient_clip=0.0)
        trainer.sampler = _always((1, 1, 1, 3, 1, 1))
        trainer._weight_step(*_batch(), warm=False)
        gradients.append(trainer.shared.bank["edge-3-3"].grad)
    assert gradients[0] is not None
    # Σλ² of three equal copies is 1/3.
    torch.testing.assert_close(gradients[1], 3 * gradients[0])


def test_compensation_takes_a_merged_step_of_the_learning_rate() -> None:
    """With it the merged weight moves as the one-shot net's of the same weights would."""
    arch, name = (1, 1, 1, 3, 1, 1), "cells.0.edges.3.3.conv.weight"
    trainer = _trainer("random", compensate=True, gradient_clip=0.0, weight_decay=0.0)
    trainer.sampler = _always(arch)
    code = trainer.sharing([arch])[0]
    with torch.no_grad():
        before = trainer.shared.weights(code)
        plain = SPACE.supernet()
        plain.load_state_dict(before)
    F.cross_entropy(plain(_batch()[0], arch), _batch()[1]).backward()
    gradient = dict(plain.named_parameters())[name].grad
    assert gradient is not None
    trainer._weight_step(*_batch(), warm=False)
    with torch.no_grad():
        after = trainer.shared.weights(code)[name]
    expected = before[name] - RECIPE.learning_rate * (1 + RECIPE.momentum) * gradient
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped_to_a_norm() -> None:
    def norm(clip: float) -> float:
        trainer = _trainer(sampler="fair", gradient_clip=clip)
        trainer._weight_step(*_batch(), warm=False)
        squares = [p.grad.square().sum() for p in trainer.bank if p.grad is not None]
        return float(torch.stack(squares).sum().sqrt())

    free = norm(0.0)
    assert norm(10 * free) == pytest.approx(free)
    assert norm(free / 10) == pytest.approx(free / 10, rel=1e-3)


def test_the_learning_rate_follows_a_cosine(rates: list[float]) -> None:
    for _ in fit(_trainer("one-shot", learning_rate=0.5, min_learning_rate=0.1)):
        pass
    expected = [0.1 + 0.2 * (1 + math.cos(math.pi * step / 36)) for step in range(36)]
    assert rates == pytest.approx(expected)


def test_the_images_of_an_epoch_are_used_once_by_either_kind_of_step() -> None:
    trainer = _trainer(warmup_epochs=0)
    seen: list[tuple[str, int]] = []
    for kind in ("_weight_step", "_simplex_step"):
        method = getattr(trainer, kind)

        def spied(
            x: Tensor, y: Tensor, *rest: Any, _kind: str = kind, _method: Any = method
        ) -> Any:
            seen.append((_kind, int(y.sum())))
            return _method(x, y, *rest)

        setattr(trainer, kind, spied)
    trainer.run_epoch()
    assert [kind for kind, _ in seen] == ["_weight_step", "_simplex_step"] * 6
    assert sum(total for _, total in seen) == int(IMAGES.labels.sum())


# Nothing is left to chance.


def _final(trainer: Trainer) -> dict[str, Tensor]:
    for _ in fit(trainer):
        pass
    return trainer.state()


def _equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {"name": name} for name in SHARING},
    "fair": {"name": "simplex", "sampler": "fair"},
    "balanced": {"name": "one-shot", "sampler": "balanced"},
    "joint": {"name": "simplex", "schedule": "joint"},
    "extra": {"name": "simplex", "simplex_batches": "extra"},
    "decay": {"name": "simplex", "unsampled": "decay"},
    "averaged": {"name": "simplex", "average_epochs": 2},
    "plain-decay": {"name": "fixed", "unsampled": "decay", "momentum": 0.0, "nesterov": False},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_restored_training_ends_with_the_same_bytes(setting: str) -> None:
    options = {**SETTINGS[setting], "images": FEW_IMAGES}
    trainer = _trainer(**options)
    states = [trainer.state(), *(trainer.state() for _ in fit(trainer))]
    for num_epochs in (1, 2):
        resumed = _trainer(**options, seed=5)
        if num_epochs == 1:  # what it has done before makes no difference
            resumed.run_epoch()
        resumed.restore(states[num_epochs])
        assert _equal(_final(resumed), states[-1]), f"after {num_epochs} epochs"


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_training_stopped_after_any_step_ends_with_the_same_bytes(setting: str) -> None:
    options = {**SETTINGS[setting], "images": FEW_IMAGES}
    whole = _trainer(**options)
    figures, end = list(fit(whole)), whole.state()
    told: list[dict[str, float]] = []
    state: dict[str, Tensor] | None = None
    num_stops = 0
    while len(told) < len(figures):
        # A process of its own between any two steps.
        resumed = _trainer(**options, seed=5 if state else 0)
        if state is not None:
            resumed.restore(state)
        resumed.stop = lambda: True
        try:
            told.append(resumed.run_epoch())
        except Interrupted:
            num_stops += 1
        state = resumed.state()
    assert num_stops == 3 * (len(FEW_IMAGES) // RECIPE.batch_size)
    assert told == figures
    assert state is not None
    assert _equal(state, end)


def test_a_state_is_a_copy_and_serves_many_times() -> None:
    first = _trainer(unsampled="decay", images=FEW_IMAGES)
    first.run_epoch()
    state = first.state()
    before = {name: value.clone() for name, value in state.items()}
    results = []
    for _ in range(2):
        trainer = _trainer(unsampled="decay", images=FEW_IMAGES)
        trainer.restore(state)
        results.append(_final(trainer))
        assert _equal(state, before)
    assert _equal(*results)


def test_a_state_of_another_training_is_refused() -> None:
    state = _trainer("simplex").state()
    for other in (_trainer("one-shot"), _trainer("random")):
        with pytest.raises(ValueError, match="does not fit"):
            other.restore(state)
    for name in ("counts", "used", "stream/paths", "shared/bank.fixed"):
        with pytest.raises(ValueError, match="does not fit"):
            _trainer("simplex").restore({k: v for k, v in state.items() if k != name})


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_seed_decides_everything(setting: str) -> None:
    options = {**SETTINGS[setting], "images": FEW_IMAGES, "epochs": 2}
    before = torch.get_rng_state()
    first, again = (_final(_trainer(**options, seed=3)) for _ in range(2))
    assert _equal(first, again)
    other = _final(_trainer(**options, seed=4))
    assert not torch.equal(first["shared/bank.fixed"], other["shared/bank.fixed"])
    assert torch.equal(torch.get_rng_state(), before)


def test_paths_of_simplex_steps_do_not_shift_those_of_weight_steps() -> None:
    """Each purpose has a stream of its own."""
    drawn: dict[str, list[list[Arch]]] = {"alternate": [], "one-shot": []}
    paths = SAMPLERS["uniform"](SPACE)
    for label, name in (("alternate", "simplex"), ("one-shot", "one-shot")):
        trainer = _trainer(name, warmup_epochs=0, simplex_batches="extra")

        def spied(
            generator: torch.Generator, _trainer: Trainer = trainer, _label: str = label
        ) -> tuple[Arch, ...]:
            archs = paths(generator)
            if generator is _trainer.streams["paths"]:
                drawn[_label].append(list(archs))
            return archs

        trainer.sampler = spied
        trainer.run_epoch()
    assert drawn["alternate"] == drawn["one-shot"]
    assert len(drawn["one-shot"]) == 12


# What cannot train.


@pytest.mark.parametrize("name", ["simplex", "one-shot"])
@pytest.mark.parametrize("factor", [torch.inf, 1e7])
def test_divergence_is_an_error(name: str, factor: float) -> None:
    trainer = _trainer(name)
    with torch.no_grad():
        trainer.shared.bank["fixed"].mul_(factor)
    with pytest.raises(DivergedError, match=r"epoch 1: training diverged"):
        trainer.run_epoch()


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "other"},
        {"simplex_batches": "other"},
        {"unsampled": "other"},
        {"precision": "float16"},
        {"epochs": -1},
        {"batch_size": 1},
        {"num_groups": 0},
        {"simplex_every": 1},
        {"batch_size": 31, "num_groups": 16},
        {"learning_rate": math.nan},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"weight_decay": math.nan},
        {"regularisation": -1.0},
        {"gradient_clip": -1.0},
        {"warmup_epochs": -1},
        {"simplex_learning_rate": math.inf},
    ],
)
def test_settings_that_cannot_train_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Recipe(**changes)


def test_bank_and_strategy_must_agree_on_k() -> None:
    sharing = SHARING["fixed"](SPACE, 4)
    shared = KShot(SPACE.supernet(), 3)
    with pytest.raises(ValueError, match="K = 4, the bank K = 3"):
        Trainer(shared, sharing, SAMPLERS["uniform"](SPACE), IMAGES, RECIPE, 0)


# A space and a supernet of a user's own.


@pytest.mark.parametrize("schedule", ["alternate", "joint"])
def test_a_made_up_space_trains_end_to_end(schedule: str) -> None:
    space = made_up.MadeUpSpace()
    shared = KShot(made_up.supernet(0), 3)
    sharing = SHARING["simplex"](space, 3)
    recipe = replace(
        RECIPE, epochs=12, learning_rate=0.2, schedule=schedule, compensate=schedule != "joint"
    )
    trainer = Trainer(shared, sharing, SAMPLERS["uniform"](space), IMAGES, recipe, 0)
    figures = list(fit(trainer))
    assert figures[-1]["weight_loss"] < 0.9 * figures[0]["weight_loss"]
    codes = sharing(space.archs())
    assert (codes - 1 / 3).abs().max() > 0.01, "the simplex-net has left the centre"
    assert shared.network.num_forwards > 0  # type: ignore[operator]


@pytest.mark.parametrize("batch_paths", [True, False])
def test_bfloat16_rounds_the_passes_and_nothing_else(batch_paths: bool) -> None:
    settings = {"warmup_epochs": 0, "epochs": 1, "batch_paths": batch_paths, "sampler": "fair"}
    exact, rounded = (_trainer(precision=p, **settings) for p in ("float32", "bfloat16"))
    expected, figures = exact.run_epoch(), rounded.run_epoch()
    assert all(p.dtype == torch.float32 for p in [*rounded.bank, *rounded.simplex])
    # Eight bits of a number, so a loss is right to about a percent; and it is not the same.
    for name in ("weight_loss", "simplex_loss"):
        assert figures[name] == pytest.approx(expected[name], rel=0.05)
        assert figures[name] != expected[name]
    for one in (rounded, exact):
        assert all(bool(parameter.isfinite().all()) for parameter in one.bank)


def test_merging_is_exact_under_bfloat16() -> None:
    trainer = _trainer()
    code = torch.tensor([0.2, 0.3, 0.5])
    with torch.autocast("cpu", torch.bfloat16), trainer.shared.merged(code) as network:
        merged = network.stem.conv.weight  # type: ignore[union-attr]
    assert merged.dtype == torch.float32
    torch.testing.assert_close(merged, trainer.shared.weights(code)["stem.conv.weight"])
