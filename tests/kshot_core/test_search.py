"""The search keeps its limits, repeats nothing, resumes exactly, and finds what is better."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Sequence
from statistics import mean

import numpy as np
import priced
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from priced import Priced

from kshot_core.search.limits import Limits
from kshot_core.search.methods import (
    METHODS,
    Evaluated,
    SearchSettings,
    best,
    front,
    nsga2,
    random_search,
)
from kshot_core.sharing.simplex import SimplexSettings
from kshot_core.space import Arch, Space
from kshot_core.spaces import MobileNetV2, NASBench201

CELLS = NASBench201()
MOBILE = MobileNetV2(
    stages=((8, 2, 2), (12, 2, 1)), stem=8, first=6, head=20, num_classes=10, image_size=16
)
SPACES: dict[str, Space] = {"mobilenetv2": MOBILE, "nasbench201": CELLS}
FEW = SearchSettings(population=12, generations=5, parents=5)
LIMITS = Limits(100e6)


def _limits(space: Space, flops: float, params: float = 1.0) -> Limits:
    """Upper limits at shares of the way up the space's range."""
    low, high = space.extremes()
    return Limits(
        space.flops(low) + flops * (space.flops(high) - space.flops(low)),
        int(space.params(low) + params * (space.params(high) - space.params(low))),
    )


def _run(
    method: str,
    space: Space,
    limits: Limits,
    settings_: SearchSettings = FEW,
    known: Sequence[Evaluated] = (),
) -> list[list[Evaluated]]:
    return list(METHODS[method](space, priced.scorer(space), limits, settings_, known))


def _flat(generations: Sequence[Sequence[Evaluated]]) -> list[Evaluated]:
    return [one for generation in generations for one in generation]


def _assert_sound(space: Space, limits: Limits, generations: list[list[Evaluated]]) -> None:
    """Within the limits, each scored once, all that is said of an architecture true."""
    evaluated = _flat(generations)
    assert len({space.canonical(one.arch) for one in evaluated}) == len(evaluated)
    scores = priced.scorer(space)([one.arch for one in evaluated])
    for one, score in zip(evaluated, scores, strict=True):
        assert space.is_valid(one.arch)
        assert limits.allow(space, one.arch)
        assert (one.flops, one.params) == (space.flops(one.arch), space.params(one.arch))
        assert (one.accuracy, one.loss) == score
    for number, generation in enumerate(generations, 1):
        assert {one.generation for one in generation} == {number}


def _num_within(space: NASBench201, limits: Limits) -> int:
    return len(
        {
            space.canonical(arch)
            for arch in space.archs()
            if space.is_valid(arch) and limits.allow(space, arch)
        }
    )


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=4, deadline=None)
@given(flops=st.floats(0, 1), params=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_1000_cells_keep_any_limits(method: str, flops: float, params: float, seed: int) -> None:
    limits = _limits(CELLS, flops**2, params**2)
    generations = _run(method, CELLS, limits, SearchSettings(seed=seed))
    _assert_sound(CELLS, limits, generations)
    assert len(_flat(generations)) == min(1000, _num_within(CELLS, limits))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=4, deadline=None)
@given(flops=st.floats(0.1, 1), params=st.floats(0.1, 1), seed=st.integers(0, 2**32))
def test_mobile_networks_keep_any_limits(
    method: str, flops: float, params: float, seed: int
) -> None:
    limits = _limits(MOBILE, flops, params)
    num = 20 if method == "nsga2" else 4  # 1,000 architectures, or 200 that take as long
    generations = _run(method, MOBILE, limits, SearchSettings(generations=num, seed=seed))
    _assert_sound(MOBILE, limits, generations)
    assert [len(generation) for generation in generations] == [50] * num


@pytest.mark.parametrize("max_flops", [330e6, pytest.param(12e6, marks=pytest.mark.slow)])
def test_the_paper_s_search_in_the_paper_s_space(max_flops: float) -> None:
    space, limits = MobileNetV2(), Limits(max_flops, 5_000_000)
    generations = _run("nsga2", space, limits, SearchSettings())
    _assert_sound(space, limits, generations)
    assert [len(generation) for generation in generations] == [50] * 20
    assert best(_flat(generations)).accuracy > best(generations[0]).accuracy + 5


@pytest.mark.parametrize("method", METHODS)
def test_a_band_of_multiply_adds_is_kept(method: str) -> None:
    limits = dataclasses.replace(_limits(MOBILE, 0.4), min_flops=_limits(MOBILE, 0.35).max_flops)
    generations = _run(method, MOBILE, limits)
    _assert_sound(MOBILE, limits, generations)
    assert len(_flat(generations)) == 60


@pytest.mark.parametrize("method", METHODS)
def test_a_space_used_up_ends_the_search(method: str) -> None:
    # Cells of no convolutions, fewer than were asked for.
    limits = _limits(CELLS, 0.0)
    num = _num_within(CELLS, limits)
    assert 200 < num < 1000
    sizes = [len(generation) for generation in _run(method, CELLS, limits, SearchSettings())]
    assert sizes == [50] * (num // 50) + [num % 50]


@pytest.mark.parametrize("method", METHODS)
def test_equal_networks_with_different_codes_are_two(method: str) -> None:
    """With codes of architectures as written the whole space is searched, equal networks or not."""
    limits = _limits(CELLS, 0.0)
    sharings = {
        encoding: SimplexSettings(encoding=encoding)(CELLS, 2) for encoding in ("raw", "canonical")
    }
    score = priced.scorer(CELLS)
    found = {
        encoding: {
            one.arch
            for one in _flat(
                list(METHODS[method](CELLS, score, limits, SearchSettings(), reads=sharing.reads))
            )
        }
        for encoding, sharing in sharings.items()
    }
    archs = [one for one in CELLS.archs() if CELLS.is_valid(one) and limits.allow(CELLS, one)]
    assert found["raw"] == set(archs)
    assert len(found["canonical"]) == len({CELLS.canonical(one) for one in archs}) < len(archs)
    codes = sharings["raw"](archs)
    same = [CELLS.canonical(one) == CELLS.canonical(archs[0]) for one in archs]
    assert len(codes[same].unique(dim=0)) == sum(same) > 1


@pytest.mark.parametrize("method", METHODS)
def test_a_large_space_is_used_up_too(method: str) -> None:
    space = Priced(num_choices=(4,) * 9)  # more than are listed
    limits = Limits(2.2e7)
    within = {a for a in itertools.product(range(4), repeat=9) if limits.allow(space, a)}
    settings_ = SearchSettings(population=20, parents=10)
    assert 20 < len(within) < 400
    found = _flat(_run(method, space, limits, settings_))
    assert {one.arch for one in found} == within


@pytest.mark.parametrize("method", METHODS)
def test_few_valid_architectures_are_found(method: str) -> None:
    listed = frozenset(random.Random(0).sample(CELLS.archs(), 30))

    @dataclasses.dataclass(frozen=True)
    class Listed(NASBench201):
        def is_valid(self, arch: Arch) -> bool:
            return arch in listed and super().is_valid(arch)

    found = _flat(_run(method, Listed(), LIMITS))
    assert len(found) == len(
        {CELLS.canonical(a) for a in listed if CELLS.is_valid(a) and LIMITS.allow(CELLS, a)}
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SPACES)
def test_resumed_at_any_point_it_is_the_same_search(method: str, name: str) -> None:
    space = SPACES[name]
    limits, whole = _limits(space, 0.4), _run(method, space, _limits(space, 0.4))
    everything = _flat(whole)
    score = priced.scorer(space)
    for num in (0, 1, 12, 17, 24, 36, 48, 60):
        asked: list[Arch] = []

        def scored(archs: Sequence[Arch], asked: list[Arch] = asked) -> list[tuple[float, float]]:
            asked += archs
            return list(score(archs))

        known = random.Random(num).sample(everything[:num], num)
        assert list(METHODS[method](space, scored, limits, FEW, known)) == whole
        assert asked == [one.arch for one in everything[num:]]


@pytest.mark.parametrize("method", METHODS)
def test_gaps_in_what_is_known_are_filled(method: str) -> None:
    whole = _run(method, CELLS, LIMITS)
    assert _run(method, CELLS, LIMITS, known=_flat(whole)[::3]) == whole


def _changed(**values: object) -> Callable[[list[Evaluated]], list[Evaluated]]:
    return lambda known: [*known[:-1], dataclasses.replace(known[-1], **values)]  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("settings_", "limits", "change", "message"),
    [
        (dataclasses.replace(FEW, seed=1), LIMITS, list, "is not in generation 1"),
        (FEW, Limits(50e6), list, "is not in generation"),
        (dataclasses.replace(FEW, generations=2), LIMITS, list, "they reach generation 3 of 2"),
        (FEW, LIMITS, lambda known: known * 2, "name an architecture twice"),
        (FEW, LIMITS, _changed(params=1), "multiply-adds, .* parameters"),
        (FEW, LIMITS, _changed(flops=1.0), "multiply-adds, .* parameters"),
        (FEW, LIMITS, _changed(generation=2), "is not in generation 2"),
        (FEW, LIMITS, _changed(generation=4), "is not in generation 4"),
    ],
)
def test_scores_of_another_search_are_refused(
    method: str,
    settings_: SearchSettings,
    limits: Limits,
    change: Callable[[list[Evaluated]], list[Evaluated]],
    message: str,
) -> None:
    known = _flat(_run(method, CELLS, LIMITS)[:3])
    with pytest.raises(ValueError, match=message):
        _run(method, CELLS, limits, settings_, change(known))


@pytest.mark.parametrize("method", METHODS)
def test_scores_beyond_the_end_of_a_used_up_space_are_refused(method: str) -> None:
    limits = _limits(CELLS, 0.0)
    settings_ = SearchSettings(generations=20)
    known = _flat(_run(method, CELLS, limits, settings_))
    strange = dataclasses.replace(known[-1], arch=CELLS.extremes()[1], generation=19)
    with pytest.raises(ValueError, match="is not in generation 19"):
        _run(method, CELLS, limits, settings_, [*known, strange])


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_everything_and_no_other_random_state_is_touched(method: str) -> None:
    before = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
    first = _run(method, MOBILE, Limits())
    after = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
    random.seed(1)  # noqa: TID251
    np.random.seed(1)  # noqa: TID251
    torch.manual_seed(1)
    assert _run(method, MOBILE, Limits()) == first
    other = _run(method, MOBILE, Limits(), dataclasses.replace(FEW, seed=1))
    assert not {one.arch for one in _flat(other)} & {one.arch for one in _flat(first)}


def test_methods_with_one_seed_start_alike() -> None:
    first = [next(method(CELLS, priced.scorer(CELLS), LIMITS, FEW)) for method in METHODS.values()]
    assert first[0] == first[1]


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_nsga2_beats_random_search(share: float) -> None:
    limits = _limits(MOBILE, share)
    found = {
        name: [
            best(_flat(_run(name, MOBILE, limits, SearchSettings(20, 15, 8, seed=seed)))).accuracy
            for seed in range(5)
        ]
        for name in METHODS
    }
    assert min(found["nsga2"]) > max(found["random"])
    assert mean(found["nsga2"]) > mean(found["random"]) + 5


def _num_inherited(children: Sequence[Evaluated], one: Evaluated, other: Evaluated) -> int:
    """How many have every choice from one parent or the other."""
    pairs = list(zip(one.arch, other.arch, strict=True))
    return sum(
        all(choice in pair for choice, pair in zip(child.arch, pairs, strict=True))
        for child in children
    )


def test_parents_are_the_most_accurate_and_children_theirs() -> None:
    crossed = SearchSettings(population=20, generations=5, parents=2, crossover_share=1)
    for seed in range(5):
        generations = _run("nsga2", MOBILE, Limits(), dataclasses.replace(crossed, seed=seed))
        for number in range(1, 5):
            # The two most accurate of all so far: nothing more accurate is ever dominated.
            so_far = sorted(_flat(generations[:number]), key=lambda one: -one.accuracy)
            differ = sum(map(int.__ne__, so_far[0].arch, so_far[1].arch))
            # Parents that hardly differ have few children; mutants take their place.
            if differ > 7 or number == 1:
                assert _num_inherited(generations[number], *so_far[:2]) == 20


def test_half_of_a_generation_are_crossings() -> None:
    # With a mutation that draws every site anew, only crossings look like their parents.
    settings_ = SearchSettings(population=20, generations=2, parents=2, mutation=1)
    first, second = _run("nsga2", MOBILE, Limits(), settings_)
    parents = sorted(first, key=lambda one: -one.accuracy)[:2]
    assert _num_inherited(second[:10], *parents) == 0
    assert _num_inherited(second[10:], *parents) == 10


ARCHS = [(number,) for number in range(400)]


def _made(pairs: Sequence[tuple[float, float]]) -> list[Evaluated]:
    return [
        Evaluated(arch, accuracy, 1.0, flops, 1, 1)
        for arch, (accuracy, flops) in zip(ARCHS, pairs, strict=False)
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_the_front_is_what_nothing_dominates(pairs: list[tuple[int, int]]) -> None:
    def dominated(one: Evaluated) -> bool:
        return any(
            other.accuracy >= one.accuracy
            and other.flops <= one.flops
            and (other.accuracy, other.flops) != (one.accuracy, one.flops)
            for other in evaluated
        )

    evaluated = _made(pairs)
    found = front(evaluated)
    assert {one.arch for one in found} == {one.arch for one in evaluated if not dominated(one)}
    assert [one.flops for one in found] == sorted(one.flops for one in found)


def test_the_best_is_the_most_accurate_then_of_less_loss_then_the_cheaper() -> None:
    common, dear, sure, lucky = _made([(70, 5), (71, 9), (71, 7), (71, 6)])
    dear = dataclasses.replace(dear, loss=0.5)
    sure = dataclasses.replace(sure, loss=0.5)
    assert best([common, dear, lucky]) == dear
    assert best([common, dear, sure, lucky]) == sure
    with pytest.raises(ValueError, match="no architectures"):
        best([])


@pytest.mark.parametrize("method", METHODS)
def test_limits_out_of_reach_are_refused_before_anything_is_scored(method: str) -> None:
    with pytest.raises(ValueError, match=r"at most 1\.0 M multiply-adds: they have 7\.784 to"):
        METHODS[method](CELLS, priced.scorer(CELLS), Limits(1e6), FEW)
    band = Limits(7.9e6, None, 7.8e6)  # between no convolution and one
    with pytest.raises(ValueError, match=r"found no architecture of at least 7\.8 M"):
        _run(method, CELLS, band)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [(float("nan"), 1.0), (50.0, float("inf"))])
def test_a_score_that_is_no_number_names_the_architecture(
    method: str, bad: tuple[float, float]
) -> None:
    named: list[str] = []

    def score(archs: Sequence[Arch]) -> list[tuple[float, float]]:
        named.append(CELLS.to_string(archs[3]))
        return [(50.0, 1.0)] * 3 + [bad] + [(50.0, 1.0)] * (len(archs) - 4)

    with pytest.raises(FloatingPointError) as caught:
        list(METHODS[method](CELLS, score, LIMITS, FEW))
    assert str(caught.value) == f"{named[0]} has accuracy {bad[0]} and loss {bad[1]}"


@pytest.mark.parametrize("method", METHODS)
def test_scores_must_be_as_many_as_architectures(method: str) -> None:
    with pytest.raises(ValueError, match="12 architectures were to be scored, 11 were"):
        list(METHODS[method](CELLS, lambda archs: [(1.0, 1.0)] * (len(archs) - 1), LIMITS, FEW))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"population": 0}, "population must be at least 1, got 0"),
        ({"generations": 0}, "generations must be at least 1, got 0"),
        ({"parents": 0}, "parents must be at least 1, got 0"),
        ({"mutation": 0.0}, "mutation must be above 0 and at most 1"),
        ({"mutation": float("nan")}, "mutation must be"),
        ({"crossover_share": 1.1}, "crossover_share must be 0 to 1, got 1.1"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SearchSettings(**values)  # type: ignore[arg-type]


def test_more_parents_than_survivors_are_refused_where_there_are_parents() -> None:
    few = SearchSettings(population=10, generations=1)
    with pytest.raises(ValueError, match="parents must be 1 to the population of 10, got 20"):
        nsga2(MOBILE, priced.scorer(MOBILE), Limits(), few)
    assert [len(one) for one in random_search(MOBILE, priced.scorer(MOBILE), Limits(), few)] == [10]


def test_one_architecture_a_generation_is_a_search_too() -> None:
    for method in (nsga2, random_search):
        one = SearchSettings(population=1, generations=6, parents=1)
        generations = list(method(MOBILE, priced.scorer(MOBILE), Limits(), one))
        assert [len(generation) for generation in generations] == [1] * 6
