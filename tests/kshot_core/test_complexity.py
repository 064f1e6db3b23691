"""A learning rate that falls later for paths of many convolutions."""

from __future__ import annotations

import math
from dataclasses import replace

import made_up
import pytest
import torch

from kshot_core.sharing import SHARING
from kshot_core.space import Arch, Priced
from kshot_core.spaces import SPACES, NASBench201
from kshot_core.training.complexity import complexity_of, later_by
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer
from kshot_core.weights.bank import KShot

SPACE = NASBench201(channels=2, cells=1, num_classes=made_up.NUM_CLASSES, image_size=6)
IMAGES = made_up.images(16)
# One epoch of two steps, the second at half its cosine.
PLAIN = Recipe(
    epochs=1, batch_size=8, warmup_epochs=0, learning_rate=0.1, min_learning_rate=0.02,
    momentum=0, nesterov=False, weight_decay=0, gradient_clip=0, num_groups=2, complexity_decay=4,
)  # fmt: skip
SIMPLE, COMPLEX = (1, 0, 0, 0, 0, 1), (3, 3, 3, 3, 3, 3)


def trainer(*paths: Arch, **changes: float) -> Trainer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shared = KShot(SPACE.supernet(), 1, group=SPACE.parameter_group).double()
    sharing = SHARING["one-shot"](SPACE, 1)
    recipe = replace(PLAIN, **changes)  # type: ignore[arg-type]
    made = Trainer(
        shared, sharing, lambda _: paths, IMAGES, recipe, 0, complexity=complexity_of(SPACE)
    )
    engine = made.engine
    made.engine = lambda step: engine(replace(step, x=step.x.double()))
    return made


def test_the_cosine_falls_later_for_complex_paths() -> None:
    for share in (0.1, 0.5, 0.9):
        simple, middle, most = (later_by(at, 4, share) for at in (-1, 0, 1))
        assert simple == pytest.approx(share**4)
        assert middle == pytest.approx(share)
        assert most == pytest.approx(share**0.25)
        assert simple < middle < most
    # All begin and end together.
    for at in (-1, 0, 0.3, 1):
        assert later_by(at, 4, 1.0) == 1
        assert later_by(at, 4, 0.0) == 0


@pytest.mark.parametrize("name", sorted(SPACES))
def test_complexity_is_from_minus_one_to_one_or_refused(name: str) -> None:
    space = SPACES[name]()
    ends = [space.num_convolutions(one) for one in space.extremes()] if _priced(space) else [0, 0]
    if ends[0] == ends[1]:
        with pytest.raises(ValueError, match="complexity_decay goes by the number of convolutions"):
            complexity_of(space)
        return
    complexity = complexity_of(space)
    assert [complexity(one) for one in space.extremes()] == [-1, 1]
    drawn = [complexity(space.sample(torch.Generator().manual_seed(seed))) for seed in range(20)]
    assert all(-1 <= one <= 1 for one in drawn)
    assert len({*drawn}) > 1


def _priced(space: object) -> bool:
    return isinstance(space, Priced)


def test_dead_convolutions_make_no_path_complex() -> None:
    dead = (3, 0, 0, 1, 0, 0)  # its convolution leads to a node that nothing uses
    assert complexity_of(SPACE)(dead) == -1
    assert complexity_of(SPACE)(COMPLEX) == 1


@pytest.mark.parametrize("paths", [(SIMPLE,), (COMPLEX,), (SIMPLE, COMPLEX)])
def test_a_step_goes_as_far_as_the_rates_of_its_paths(paths: tuple[Arch, ...]) -> None:
    run = trainer(*paths)
    run.run_epoch()
    moved = [parameter.detach().clone() for parameter in run.bank]
    # The same by hand: at each step every path's gradient times its own rate.
    by_hand, rates = trainer(*paths, complexity_decay=1), []
    by_hand.optimizer.step = lambda: None  # type: ignore[assignment, method-assign]
    weight_step = by_hand._weight_step

    def step(x: torch.Tensor, y: torch.Tensor, warm: bool, memory: object = None) -> object:
        before = [parameter.detach().clone() for parameter in by_hand.bank]
        moves = [torch.zeros_like(parameter) for parameter in by_hand.bank]
        for path in paths:
            by_hand.sampler = lambda _, one=path: (one,)
            result = weight_step(x, y, warm)
            progress = (by_hand.num_weight_steps - 1) // len(paths) / 2
            share = 0.5 * (1 + math.cos(math.pi * progress))
            power = {SIMPLE: 4, COMPLEX: 0.25}[path]
            rates.append(0.02 + 0.08 * share**power)
            for move, parameter in zip(moves, by_hand.bank, strict=True):
                if parameter.grad is not None:
                    move.sub_(rates[-1] * parameter.grad)
        with torch.no_grad():
            for parameter, was, move in zip(by_hand.bank, before, moves, strict=True):
                parameter.copy_(was + move)
        return result

    by_hand._weight_step = step  # type: ignore[assignment, method-assign]
    by_hand.run_epoch()
    assert len({*rates}) == len(paths) + 1
    torch.testing.assert_close(moved, [parameter.detach() for parameter in by_hand.bank])


def test_the_log_has_the_recipes_rate() -> None:
    rates = {
        decay: trainer(COMPLEX, complexity_decay=decay).run_epoch()["learning_rate"]
        for decay in (1, 4)
    }
    assert rates[1] == rates[4] == pytest.approx(0.06)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"complexity_decay must be at least 1, got 0\.5"):
        Recipe(complexity_decay=0.5)
    with pytest.raises(ValueError, match="complexity_decay is for weight steps"):
        Recipe(complexity_decay=2, schedule="joint")
    shared, sharing = KShot(SPACE.supernet(), 1), SHARING["one-shot"](SPACE, 1)
    with pytest.raises(ValueError, match="needs to be told how complex a path is"):
        Trainer(shared, sharing, lambda _: (COMPLEX,), IMAGES, PLAIN, 0)
