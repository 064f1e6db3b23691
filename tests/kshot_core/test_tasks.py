"""Tasks: losses and scores by hand, and a language model with a carried state trained K-shot."""

from __future__ import annotations

import math
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import recurrent
import torch
from torch import Tensor
from torch.nn import functional as F

from kshot_core.evaluation.scores import Scores, iterate_scores, predict
from kshot_core.sharing.simplex import SimplexNet
from kshot_core.space import Arch
from kshot_core.streams import seeded
from kshot_core.tasks.batches import Part
from kshot_core.tasks.images import ImageClassification
from kshot_core.tasks.language import LanguageModelling, TextSet
from kshot_core.tasks.task import Memory
from kshot_core.training.lockstep import Lockstep
from kshot_core.training.passes import Interrupted
from kshot_core.training.recipe import Recipe
from kshot_core.training.steps import Engine, run_step
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

LANGUAGE = LanguageModelling()
RECIPE = Recipe(
    epochs=2, batch_size=8, warmup_epochs=1, num_groups=2, learning_rate=0.5, weight_decay=0.0
)


def _trainer(
    seed: int = 0, engine: Engine = run_step, text: TextSet | None = None, **changes: Any
) -> Trainer:
    with seeded(seed):
        shared = KShot(recurrent.RecurrentSupernet(), 2, seed=seed)
    return Trainer(
        shared,
        SimplexNet(recurrent.NUM_CHOICES, 2, seed=seed),
        recurrent.sampler,
        text or recurrent.text(600),
        Recipe(**{**vars(RECIPE), **changes}),
        seed,
        engine,
        task=LANGUAGE,
    )


# Losses and scores.


def test_classification_by_hand() -> None:
    logits = torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [3.0, 0.0]]])
    labels = torch.tensor([0, 0])
    losses = [[math.log(1 + math.exp(d)) for d in pair] for pair in ((-2, 1), (0, -3))]
    task = ImageClassification()
    expected = torch.tensor(losses).mean(1)
    torch.testing.assert_close(task.losses(logits, labels.expand(2, 2)), expected)
    totals = task.totals(logits, labels)
    scores = task.scores(totals + totals, 4)
    torch.testing.assert_close(scores[:, 0], torch.tensor([50.0, 100.0], dtype=torch.float64))
    torch.testing.assert_close(scores[:, 1].float(), expected)
    for one, loss, score in zip(logits, expected, scores, strict=True):
        torch.testing.assert_close(task.losses(one[None], labels[None])[0], loss)
        torch.testing.assert_close(task.scores(task.totals(one[None], labels), 2)[0], score)


def test_perplexity_is_the_inverse_of_the_geometric_mean_of_probabilities() -> None:
    probabilities = torch.tensor([[[0.5, 0.25, 0.25]], [[0.125, 0.75, 0.125]]])
    logits = torch.stack([probabilities, probabilities]).log()  # two paths, B = 2, T = 1
    tokens = torch.tensor([[0], [2]])
    totals = LANGUAGE.totals(logits, tokens)
    scores = LANGUAGE.scores(3 * totals, 6)
    assert scores[1, 0].item() == pytest.approx((0.5 * 0.125) ** -0.5)
    assert scores[1, 1].item() == pytest.approx(-math.log(0.5 * 0.125) / 2)
    losses = LANGUAGE.losses(logits, tokens.expand(2, 2, 1))
    torch.testing.assert_close(losses.double(), scores[:, 1], rtol=1e-6, atol=0)


def test_the_ranking_runs_in_the_task_s_direction() -> None:
    score, loss = np.array([3.0, 1.0, 2.0, 1.0], np.float32), np.zeros(4, np.float32)
    assert Scores(score, loss, 4).ranking.tolist() == [0, 2, 1, 3]
    assert Scores(score, loss, 4, LANGUAGE).ranking.tolist() == [1, 3, 2, 0]


# The text and what is carried through it.


def test_a_pass_reads_the_text_in_order() -> None:
    text = TextSet(torch.arange(100), window=5)
    assert len(text) == 19
    starts = set()
    for seed in range(20):
        batches = list(text.training_batches(4, torch.Generator().manual_seed(seed)))
        assert len(batches) == len(text) // 4
        for x, y in batches:
            assert x.shape == (4, 5)
            assert torch.equal(y, x + 1)
        for (before, _), (after, _) in pairwise(batches):
            assert torch.equal(after[:, 0], before[:, -1] + 1)
        starts.add(int(batches[0][0][0, 0]))
    assert starts == set(range(5))


def test_scoring_batches_are_the_first_windows() -> None:
    text = TextSet(torch.arange(100), window=5)
    ((x, y),) = text.scoring_batches(4, 4)
    assert x[:, 0].tolist() == [0, 5, 10, 15]
    assert torch.equal(y, x + 1)
    assert len(text.scoring_batches(4)) == 4
    (whole,) = text.scoring_batches(50)
    assert whole[0].shape == (19, 5)


def test_processes_take_their_sequences() -> None:
    tokens, whole = torch.arange(100), TextSet(torch.arange(100), 5)
    parts = [TextSet(tokens, 5, part=Part(rank, 2)) for rank in range(2)]
    passes = [list(one.training_batches(4, torch.Generator().manual_seed(3))) for one in parts]
    expected = whole.training_batches(4, torch.Generator().manual_seed(3))
    for first, second, (x, y) in zip(*passes, expected, strict=True):
        assert torch.equal(torch.cat([first[0], second[0]]), x)
        assert torch.equal(torch.cat([first[1], second[1]]), y)


@pytest.mark.parametrize(
    ("tokens", "window", "said"),
    [
        (torch.zeros(9), 2, "int64"),
        (torch.zeros(3, 3, dtype=torch.long), 2, "shape"),
        (torch.zeros(9, dtype=torch.long), 0, "window of 0"),
        (torch.zeros(9, dtype=torch.long), 5, "9 tokens and a window of 5"),
    ],
)
def test_what_is_no_text_is_refused(tokens: Tensor, window: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TextSet(tokens, window)


def test_more_sequences_than_windows_are_refused() -> None:
    text = TextSet(torch.arange(30), window=5)
    with pytest.raises(ValueError, match=r"batch_size must be 1\.\.5, got 6"):
        next(text.training_batches(6, torch.Generator()))
    with pytest.raises(ValueError, match=r"got 0"):
        text.scoring_batches(4, 0)


def test_paths_share_the_state_or_divide_it() -> None:
    memory = Memory(4)
    assert memory.states(2, 2) == [None, None]
    memory.keep([torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]], requires_grad=True)])
    first, second = memory.states(2, 2)
    assert first is not None
    assert second is not None
    assert (first.flatten().tolist(), second.flatten().tolist()) == ([1, 2], [3, 4])
    assert not second.requires_grad
    shared = memory.states(3, 4)
    assert all(one is not None and one.flatten().tolist() == [1, 2, 3, 4] for one in shared)
    memory.keep([torch.full((4, 1), 5.0), torch.full((4, 1), 6.0)])
    (one,) = memory.states(1, 4)
    assert one is not None
    assert one.flatten().tolist() == [5, 5, 5, 5]
    with pytest.raises(ValueError, match="4 sequences with a carried state do not divide among 3"):
        memory.states(3, 1)


# Training.


class _Spied(recurrent.RecurrentSupernet):
    """Keeps the state of every call, before and after."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor | None, Tensor]] = []

    def forward(self, inputs: tuple[Tensor, Tensor | None], arch: Arch) -> tuple[Tensor, Tensor]:
        outputs, state = super().forward(inputs, arch)
        self.calls.append((inputs[1], state.detach()))
        return outputs, state


@pytest.mark.parametrize("simplex_batches", ["shared", "extra"])
def test_every_step_goes_on_from_where_the_stream_s_last_one_ended(simplex_batches: str) -> None:
    trainer = _trainer(simplex_batches=simplex_batches, warmup_epochs=0)
    trainer.shared = KShot(_Spied(), 2)
    trainer.run_epoch()
    calls: list[tuple[Tensor | None, Tensor]] = trainer.shared.network.calls  # type: ignore[assignment]
    # A weight step runs 8 sequences, a simplex step 4 on each of its two paths.
    grouped: list[tuple[int, list[Tensor | None], Tensor]] = []
    rest = list(calls)
    while rest:
        paths = [rest.pop(0) for _ in range(1 if len(rest[0][1]) == 8 else 2)]
        grouped.append(
            (len(paths), [one[0] for one in paths], torch.cat([one[1] for one in paths]))
        )
    kinds = [num for num, _, _ in grouped]
    assert kinds[:6] == [1, 2, 1, 2, 1, 2]
    streams = [grouped] if simplex_batches == "shared" else [grouped[::2], grouped[1::2]]
    for steps in streams:
        assert all(state is None for state in steps[0][1])
        for (_, _, ended), (_, began, _) in pairwise(steps):
            assert torch.equal(torch.cat([one for one in began if one is not None]), ended)


def _plain_perplexity(trainer: Trainer, arch: Arch, text: TextSet, carried: bool) -> float:
    plain = recurrent.RecurrentSupernet()
    plain.load_state_dict(trainer.shared.weights(trainer.sharing([arch])[0]))
    losses, state = [], None
    with torch.no_grad():
        for x, y in text.scoring_batches(5):
            logits, state = plain((x, state if carried else None), arch)
            losses.append(F.cross_entropy(logits.flatten(0, 1), y.flatten()))
    return math.exp(float(torch.stack(losses).mean()))


def test_a_language_model_is_trained_k_shot_and_ranked_by_perplexity() -> None:
    trainer = _trainer(text=recurrent.text(), epochs=14, learning_rate=1.0)
    text = recurrent.text(seed=1)

    def score() -> Scores:
        return predict(
            trainer.shared,
            trainer.sharing,
            recurrent.ARCHS,
            text,
            lambda arch: arch,
            batch_size=5,
            task=LANGUAGE,
        )

    start = score()
    figures = list(fit(trainer))
    scores = score()
    assert figures[-1]["weight_loss"] < 0.8 * figures[0]["weight_loss"]
    assert figures[-1]["num_simplex_steps"] > 50
    # Half of the letters can be known: at best 3 ^ (1/2) words of choice a letter.
    assert scores.score.min() > 3**0.5
    assert scores.score.min() < 0.6 * start.score.min()
    np.testing.assert_allclose(scores.score, np.exp(scores.loss), rtol=1e-5)
    # With the same activation, what remembers nothing is the worst by far.
    by_arch = dict(zip(recurrent.ARCHS, scores.score.tolist(), strict=True))
    for (activation, *memory), perplexity in by_arch.items():
        assert (perplexity < 0.99 * by_arch[activation, 0, 0]) == any(memory)
    best = [recurrent.ARCHS[position] for position in scores.ranking[:6]]
    assert all(any(memory) for _, *memory in best)
    assert scores.score[scores.ranking[0]] == scores.score.min()
    for arch in (recurrent.ARCHS[3], recurrent.ARCHS[-1]):
        found = scores.score[recurrent.ARCHS.index(arch)]
        assert found == pytest.approx(_plain_perplexity(trainer, arch, text, True), rel=1e-5)
        assert found != pytest.approx(_plain_perplexity(trainer, arch, text, False), rel=1e-3)


def test_several_paths_are_scored_one_by_one() -> None:
    trainer, batches = _trainer(), recurrent.text(200).scoring_batches(3)
    trainer.run_epoch()
    arguments = trainer.shared, trainer.sharing, recurrent.ARCHS, batches
    assert list(iterate_scores(*arguments, task=LANGUAGE)) == list(
        iterate_scores(*arguments, num_paths=5, task=LANGUAGE)
    )


@pytest.mark.parametrize("schedule", ["alternate", "joint"])
def test_a_restored_training_ends_with_the_same_bytes(schedule: str) -> None:
    whole, first, second = (_trainer(schedule=schedule, epochs=3) for _ in range(3))
    figures = list(fit(whole))
    first.run_epoch()
    first.run_epoch()
    second.restore(first.state())
    assert list(fit(second)) == figures[2:]
    for name, value in whole.state().items():
        assert torch.equal(second.state()[name], value), name


def test_in_lockstep_with_another_it_ends_as_alone() -> None:
    lockstep = Lockstep(2)
    trainers = [_trainer(seed, lockstep.engine(seed)) for seed in (0, 1)]

    def train(number: int) -> None:
        try:
            list(fit(trainers[number]))
        finally:
            lockstep.leave(number)

    threads = [threading.Thread(target=train, args=(number,), daemon=True) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for number, thread in enumerate(threads):
        thread.join(60)
        assert not thread.is_alive()
        alone = _trainer(number)
        list(fit(alone))
        for name, value in alone.state().items():
            assert torch.equal(trainers[number].state()[name], value), name


def test_what_a_stream_carries_is_taken_up_where_it_was() -> None:
    whole = _trainer(simplex_batches="extra")
    figures, told = list(fit(whole)), list[dict[str, float]]()
    state = _trainer(simplex_batches="extra").state()
    while len(told) < len(figures):
        resumed = _trainer(simplex_batches="extra")
        resumed.restore(state)
        resumed.stop = lambda: True
        try:
            told.append(resumed.run_epoch())
        except Interrupted:
            assert "pass/batches/carried" in resumed.state()
        state = resumed.state()
    assert told == figures
    assert all(torch.equal(value, state[name]) for name, value in whole.state().items())


def test_sequences_that_groups_cannot_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"8 sequences .* does not divide among 3 groups"):
        _trainer(num_groups=3)
