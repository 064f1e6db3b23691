"""Retraining: schedule, moving average, resuming, several processes, and that it learns."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import made_up
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.retraining.rmsprop import RMSProp
from kshot_core.retraining.standalone import build_standalone
from kshot_core.retraining.trainer import Retraining, RetrainRecipe, top_k
from kshot_core.space import Arch, Space
from kshot_core.spaces import MobileNetV2, NASBench201
from kshot_core.tasks.batches import Batch, Part
from kshot_core.tasks.images import ImageSet
from kshot_core.training.distributed import Processes
from kshot_core.training.passes import Interrupted
from kshot_core.training.trainer import DivergedError

MOBILE = MobileNetV2(
    ((4, 2, 2), (6, 1, 1)), 4, 4, 8, made_up.NUM_CLASSES, 6, stem_stride=1, batch_norm="running"
)
MOBILE_ARCH = (7, 1, 3, 4, 4, 4, 2, 4, 4)
CELLS = NASBench201(4, 1, made_up.NUM_CLASSES, 6, batch_norm="running", affine=True)
CELL = (3, 1, 2, 0, 4, 3)
NETWORKS = {"mobilenetv2": (MOBILE, MOBILE_ARCH), "nasbench201": (CELLS, CELL)}
RECIPE = RetrainRecipe(
    epochs=4, batch_size=16, learning_rate=0.02, warmup_epochs=0.5, decay_epochs=0.4, ema=0.9
)


def retraining(
    space: Space = MOBILE, arch: Arch = MOBILE_ARCH, images: Any = None, **changes: Any
) -> Retraining:
    network = build_standalone(space, arch, 0)
    settings = {name: getattr(RECIPE, name) for name in RECIPE.__dataclass_fields__}
    recipe = RetrainRecipe(**{**settings, **changes})
    return Retraining(network, images or made_up.images(88), recipe, 0)


def test_learning_rate_is_that_of_the_paper() -> None:
    recipe = RetrainRecipe()
    by_hand = {
        0.0: 0.0,
        0.5: 0.0128,
        1.0: 0.0256,
        2.5: 0.064,
        4.0: 0.1024,
        5.0: 0.128,
        7.0: 0.128,
        7.399: 0.128,
        # Falls begin 2.4 epochs after the warm-up: at 7.4, 9.8 and 12.2.
        7.4: 0.12416,
        9.0: 0.12416,
        9.8: 0.1204352,
        12.0: 0.1204352,
        12.2: 0.116822144,
        # 143 falls.
        349.0: 0.128 * 0.97**143,
    }
    for epoch, rate in by_hand.items():
        assert recipe.learning_rate_at(epoch) == pytest.approx(rate, rel=1e-9), epoch
    assert RetrainRecipe(warmup_epochs=0).learning_rate_at(0.0) == 0.128


def test_every_step_gets_its_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(RMSProp, "step", lambda self, rate: seen.append(rate))
    training = retraining()
    figures = [training.run_epoch() for _ in range(2)]
    # Five steps an epoch; falls are due after .9, 1.3 and 1.7 epochs.
    shares = [0, 0.4, 0.8, 1, 1, 0.97, 0.97, 0.97**2, 0.97**2, 0.97**3]
    assert seen == pytest.approx([0.02 * share for share in shares])
    assert [one["learning_rate"] for one in figures] == [seen[4], seen[9]]
    assert [(one["epoch"], one["num_steps"]) for one in figures] == [(1, 5), (2, 10)]


class Watched:
    """Training images that look at a network before every batch."""

    def __init__(self, images: ImageSet) -> None:
        self.images, self.network, self.states = images, nn.Module(), list[dict[str, Tensor]]()

    def __len__(self) -> int:
        return len(self.images)

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        for batch in self.images.training_batches(batch_size, generator):
            self.look()
            yield batch

    def look(self) -> None:
        self.states.append(copy.deepcopy(self.network.state_dict()))


@pytest.mark.parametrize("ema", [0.0, 0.35, 0.9999])
def test_average_is_that_of_a_loop(ema: float) -> None:
    watched = Watched(made_up.images(88))
    training = retraining(CELLS, CELL, watched, ema=ema)
    watched.network = training.network
    for _ in range(2):
        training.run_epoch()
    watched.look()
    first, *rest = watched.states
    mean = {name: value.double() for name, value in first.items()}
    for step, state in enumerate(rest):
        decay = min(ema, (1 + step) / (10 + step))
        for name, value in state.items():
            mean[name] = decay * mean[name] + (1 - decay) * value
    assert len(rest) == 10
    for name, value in training.averaged.state_dict().items():
        expected = rest[-1][name] if name.endswith("num_batches_tracked") else mean[name]
        torch.testing.assert_close(value, expected.to(value.dtype), rtol=1e-4, atol=1e-6)
    moved = [not torch.equal(first[name], rest[-1][name]) for name in first]
    assert any(moved)


def test_a_short_training_averages_over_most_of_itself() -> None:
    recipe = RetrainRecipe()
    assert [recipe.ema_at(step) for step in (0, 1, 10)] == [0.1, 2 / 11, 0.55]
    # What is left of the initial weights after 100 steps; .9999 alone would leave 99 %.
    assert math.prod(recipe.ema_at(step) for step in range(100)) < 1e-12
    assert recipe.ema_at(10**6) == 0.9999


@pytest.mark.parametrize("name", NETWORKS)
def test_stopped_after_any_epoch_and_restored_it_ends_with_the_same_bytes(name: str) -> None:
    space, arch = NETWORKS[name]
    whole = retraining(space, arch)
    states = [whole.state()]
    figures = []
    for _ in range(RECIPE.epochs):
        figures.append(whole.run_epoch())
        states.append(whole.state())
    for stopped, state in enumerate(states):
        again = retraining(space, arch)
        # As a file gives it back: without the order in memory.
        again.restore({key: value.contiguous() for key, value in state.items()})
        assert [again.run_epoch() for _ in range(stopped, RECIPE.epochs)] == figures[stopped:]
        end = again.state()
        assert end.keys() == states[-1].keys()
        assert all(torch.equal(end[key], states[-1][key]) for key in end)


def test_stopped_after_any_step_it_ends_with_the_same_bytes() -> None:
    whole = retraining(epochs=2)
    figures = [whole.run_epoch(), whole.run_epoch()]
    told, state, num_stops = list[dict[str, float]](), retraining(epochs=2).state(), 0
    while len(told) < 2:
        again = retraining(epochs=2)
        again.restore(state)
        again.stop = lambda: True
        try:
            told.append(again.run_epoch())
        except Interrupted:
            num_stops += 1
        state = again.state()
    assert num_stops == 10
    assert told == figures
    assert all(torch.equal(value, state[name]) for name, value in whole.state().items())


def test_the_seed_alone_decides_and_no_global_state_is_touched() -> None:
    before = torch.get_rng_state()
    first, again = retraining(), retraining()
    assert first.run_epoch() == again.run_epoch()
    other = Retraining(build_standalone(MOBILE, MOBILE_ARCH, 0), made_up.images(88), RECIPE, 1)
    assert other.run_epoch()["loss"] != first.run_epoch()["loss"]
    assert torch.equal(torch.get_rng_state(), before)


def test_state_of_another_network_is_refused() -> None:
    state = retraining().state()
    with pytest.raises(ValueError, match="does not fit"):
        retraining(CELLS, CELL).restore(state)
    with pytest.raises(ValueError, match="does not fit"):
        retraining().restore({key: state[key] for key in state if key != "momentum/0"})
    with pytest.raises(ValueError, match="does not fit"):
        retraining().restore({**state, "square/0": state["square/0"][:1]})


class Averaging:
    """Two threads that average tensors, as two processes would."""

    def __init__(self) -> None:
        self.barrier, self.given = Barrier(2, timeout=60), list[Sequence[Tensor]]([(), ()])

    def of(self, rank: int) -> Processes:
        def average(tensors: Sequence[Tensor]) -> None:
            self.given[rank] = tensors
            self.barrier.wait()
            means = [torch.stack(pair).mean(0) for pair in zip(*self.given, strict=True)]
            self.barrier.wait()
            for tensor, mean in zip(tensors, means, strict=True):
                tensor.detach().copy_(mean)

        processes = Processes(Part(rank, 2))
        processes.average = average  # type: ignore[method-assign]
        return processes


def test_two_processes_are_one_that_averages_the_gradients_of_two_half_batches() -> None:
    recipe = RetrainRecipe(epochs=1, batch_size=16, learning_rate=0.02, warmup_epochs=0.2)
    averaging = Averaging()

    def process(rank: int) -> Retraining:
        images = made_up.images(88)
        images.part = Part(rank, 2)
        network = build_standalone(MOBILE, MOBILE_ARCH, 0)
        training = Retraining(network, images, recipe, 0, averaging.of(rank))
        training.run_epoch()
        return training

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(process, range(2))
    ends = first.state(), second.state()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])

    images, network = made_up.images(88), build_standalone(MOBILE, MOBILE_ARCH, 0).train()
    optimizer = RMSProp(network.parameters(), 0.9, 0.9, 1e-3, 1e-5)
    generator = Retraining(network, images, recipe, 0).stream
    mean = [parameter.detach().clone() for parameter in network.parameters()]
    for step, (x, y) in enumerate(images.training_batches(16, generator)):
        optimizer.zero_grad()
        for half in (slice(0, 8), slice(8, 16)):
            loss = F.cross_entropy(network(x[half]), y[half], label_smoothing=0.1)
            (loss / 2).backward()
        optimizer.step(0.02 * min(1.0, step))
        decay = (1 + step) / (10 + step)
        for value, parameter in zip(mean, network.parameters(), strict=True):
            value.mul_(decay).add_(parameter.detach(), alpha=1 - decay)
    for one, alone in zip(first.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(one, alone, rtol=1e-4, atol=1e-5)
    for one, value in zip(first.averaged.parameters(), mean, strict=True):
        torch.testing.assert_close(one, value, rtol=1e-4, atol=1e-5)


def test_it_learns_what_there_is_to_learn() -> None:
    test = made_up.images(80, seed=1)
    training = retraining(images=made_up.images(240), epochs=6, learning_rate=0.01)
    untrained, _ = top_k(training.averaged, test)
    losses = [training.run_epoch()["loss"] for _ in range(6)]
    assert untrained < 50
    assert losses[-1] < losses[0] - 0.2
    assert 85 < top_k(training.averaged, test)[0] <= 100
    assert 85 < top_k(training.network, test)[0] <= 100


def test_bfloat16_trains_too() -> None:
    rough, exact = retraining(precision="bfloat16"), retraining()
    loss = exact.run_epoch()["loss"]
    assert rough.run_epoch()["loss"] == pytest.approx(loss, rel=0.1)
    assert all(parameter.dtype == torch.float32 for parameter in rough.network.parameters())


def test_divergence_is_an_error() -> None:
    with pytest.raises(DivergedError, match="training diverged"):
        retraining(learning_rate=1e30, warmup_epochs=0.0).run_epoch()


def test_a_batch_larger_than_the_set_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 16 is more than 8 images"):
        retraining(images=made_up.images(8))


WRONG: dict[str, tuple[float | str, str]] = {
    "epochs": (0, "epochs must be at least 1"),
    "batch_size": (1, "batch_size must be at least 2"),
    "learning_rate": (0.0, "learning_rate must be above 0"),
    "decay_epochs": (math.nan, "decay_epochs must be above 0"),
    "epsilon": (-1.0, "epsilon must be above 0"),
    "warmup_epochs": (-1.0, "warmup_epochs must be 0 or more"),
    "weight_decay": (math.inf, "weight_decay must be 0 or more"),
    "momentum": (1.0, "momentum must be 0 or more and below 1"),
    "rms_decay": (1.5, "rms_decay must be 0 or more and below 1"),
    "label_smoothing": (-0.1, "label_smoothing must be 0 or more and below 1"),
    "ema": (math.nan, "ema must be 0 or more and below 1"),
    "decay": (1.01, "decay must be above 0 and at most 1"),
    "precision": ("float8", "precision is one of"),
}


@pytest.mark.parametrize("name", [*WRONG])
def test_recipes_that_cannot_train_are_refused(name: str) -> None:
    value, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        RetrainRecipe(**{name: value})  # type: ignore[arg-type]


class Guesses(nn.Module):
    """Logits by image: the class itself, one of the five best, none of them, in turns of three."""

    def __init__(self, labels: Tensor, num_classes: int) -> None:
        super().__init__()
        rows = F.one_hot(labels, num_classes) * 10.0 + torch.arange(num_classes) * 0.1
        others = (labels[:, None] + torch.arange(1, 6)) % num_classes
        rows[1::3] = rows[1::3].scatter(1, others[1::3, :1], 20.0)
        rows[2::3] = rows[2::3].scatter(1, others[2::3], 20.0)
        self.rows, self.at = rows, 0

    def forward(self, x: Tensor) -> Tensor:
        self.at += len(x)
        return self.rows[self.at - len(x) : self.at]


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_top_1_and_top_5_are_percent_of_all_images(batch_size: int) -> None:
    images = made_up.images(30, classes=10)
    assert top_k(Guesses(images.labels, 10), images, batch_size) == pytest.approx(
        (100 / 3, 200 / 3)
    )
    first, five = top_k(Guesses(images.labels, 10), images, batch_size, num_images=4)
    assert (first, five) == pytest.approx((50, 75))


def test_with_few_classes_all_are_among_the_first_five() -> None:
    images = made_up.images(30)
    network = build_standalone(MOBILE, MOBILE_ARCH, 0)
    assert top_k(network, images)[1] == 100
    assert not network.training


def test_logits_that_are_no_numbers_are_an_error() -> None:
    images = made_up.images(30, classes=10)
    network = Guesses(images.labels, 10)
    network.rows[17, 3] = math.nan
    with pytest.raises(DivergedError, match="not finite"):
        top_k(network, images, batch_size=7)
