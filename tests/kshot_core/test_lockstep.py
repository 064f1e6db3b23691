"""Trainings in lockstep are what each would have been alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import made_up
import pytest
import torch
from test_many import _double, _naming

from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import SHARING
from kshot_core.spaces import NASBench201
from kshot_core.streams import seeded
from kshot_core.training.lockstep import AnotherFailedError, Lockstep, run_steps
from kshot_core.training.recipe import Recipe
from kshot_core.training.steps import Engine, Step, run_step
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

SPACE = NASBench201(channels=2, cells=1, num_classes=made_up.NUM_CLASSES, image_size=6)
RECIPE = Recipe(epochs=3, average_epochs=2, batch_size=16, warmup_epochs=1, num_groups=4)


def _trainer(K: int, seed: int, engine: Engine = run_step, epochs: int = 3) -> Trainer:
    sharing = SHARING["simplex" if K > 1 else "one-shot"](SPACE, K, seed)
    with seeded(seed):
        supernet = SPACE.supernet()
    return Trainer(
        KShot(supernet, K, seed=seed, group=SPACE.parameter_group).double(),
        sharing.double(),
        SAMPLERS["uniform"](SPACE),
        _double(made_up.images(48)),
        replace(RECIPE, epochs=epochs),
        seed,
        engine,
    )


def _in_threads(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one, daemon=True) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a training waits for ever"


def test_runs_of_different_k_seeds_and_lengths_end_as_they_would_alone() -> None:
    # K = 1 takes weight steps where the others take simplex steps; one is over before the others.
    runs = [(1, 0, 3), (3, 0, 3), (3, 1, 2), (2, 5, 3)]
    lockstep = Lockstep(len(runs))
    figures: dict[int, list[dict[str, float]]] = {}
    trainers = [
        _trainer(K, seed, lockstep.engine(number), epochs)
        for number, (K, seed, epochs) in enumerate(runs)
    ]

    def train(number: int) -> None:
        try:
            figures[number] = list(fit(trainers[number]))
        finally:
            lockstep.leave(number)

    _in_threads([lambda number=number: train(number) for number in range(len(runs))])
    for number, (K, seed, epochs) in enumerate(runs):
        alone = _trainer(K, seed, epochs=epochs)
        for one, other in zip(figures[number], fit(alone), strict=True):
            assert one == pytest.approx(other, rel=1e-9)
        state, expected = trainers[number].state(), alone.state()
        assert state.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(
                state[name], value, rtol=1e-7, atol=1e-9, msg=_naming(f"run {number}, {name}")
            )


def test_one_that_fails_does_not_keep_the_others_waiting() -> None:
    lockstep = Lockstep(2)
    trainers = [_trainer(2, seed, lockstep.engine(seed)) for seed in (0, 1)]
    ended: list[int] = []

    def fail() -> None:
        trainers[0].run_epoch()
        lockstep.leave(0)

    def train() -> None:
        ended.append(len(list(fit(trainers[1]))))
        lockstep.leave(1)

    _in_threads([fail, train])
    assert ended == [3]


def test_an_error_of_the_common_pass_reaches_every_training() -> None:
    lockstep = Lockstep(2)
    raised: list[str] = []

    def ask(member: int) -> None:
        # Labels out of range.
        step = _step(SPACE)
        step.y.fill_(99)
        try:
            lockstep.engine(member)(step)
        except (IndexError, RuntimeError) as error:
            raised.append(str(error))

    _in_threads([lambda: ask(0), lambda: ask(1)])
    assert sorted(text.partition(" ")[0] for text in raised) == ["Target", "another"]


def test_stopped_trainings_fail_at_their_next_step() -> None:
    lockstep = Lockstep(2)
    raised: list[str] = []

    def ask() -> None:
        for _ in range(2):
            try:
                lockstep.engine(0)(_step(SPACE))
            except AnotherFailedError as error:
                raised.append(str(error))

    def stop() -> None:
        lockstep.stop()

    _in_threads([ask, stop])
    assert raised == ["another training in lockstep with this one failed"] * 2


def _step(space: NASBench201, size: int = 6, batch_paths: bool = True) -> Step:
    with seeded(0):
        shared = KShot(space.supernet(), 2, group=space.parameter_group)
    return Step(
        shared,
        torch.randn(1, 4, 3, size, size, generator=torch.Generator().manual_seed(0)),
        torch.zeros(1, 4, dtype=torch.long),
        [(3, 3, 1, 1, 2, 4)],
        torch.tensor([[0.5, 0.5]]),
        torch.ones(1),
        batch_paths,
    )


def test_steps_of_different_form_run_apart_and_in_their_order() -> None:
    running = NASBench201(channels=2, cells=1, num_classes=4, image_size=6, batch_norm="running")
    wide = NASBench201(channels=3, cells=1, num_classes=4, image_size=6)
    steps = [
        _step(SPACE),
        _step(SPACE, size=8),
        _step(running),
        _step(wide),
        _step(SPACE, batch_paths=False),
        _step(SPACE),
        _step(running),
    ]
    alone = [run_step(_step(SPACE)), run_step(_step(SPACE, size=8)), run_step(_step(running))]
    alone += [run_step(_step(wide)), alone[0], alone[0], alone[2]]
    for losses, expected in zip(run_steps(steps), alone, strict=True):
        torch.testing.assert_close(losses, expected)
        assert not losses.requires_grad
    assert all(step.shared.bank["fixed"].grad is not None for step in steps)
