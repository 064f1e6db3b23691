"""What every plug-in must keep to, and that every plug-in is held to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import kshot_core.sampling
import kshot_core.sharing
from kshot_core.drawing import Drawable, Row
from kshot_core.sampling import SAMPLERS, sample
from kshot_core.sharing import SHARING, Sharing
from kshot_core.sharing.simplex import SimplexSettings
from kshot_core.space import Arch, Listable, Priced, PricedSpace, Space, check_arch, encode
from kshot_core.spaces import (
    DARTS,
    DARTSPTB,
    SPACES,
    MobileNetV2,
    NASBench101,
    NASBench201,
    NASBenchMacro,
    Proxyless,
)
from kshot_core.tasks import TASKS, Task, task_of

SPACE = NASBench201(channels=2, cells=1, num_classes=3, image_size=8)
ARCHS = SPACE.archs()[:300]
SMALL: dict[str, Callable[[], Space]] = {
    "darts": lambda: DARTS(channels=2, layers=3, num_classes=3, image_size=8),
    "darts_ptb": lambda: DARTSPTB(units=5, num_classes=3),
    "mobilenetv2": lambda: MobileNetV2(
        stages=((4, 2, 2),), stem=4, first=4, head=6, num_classes=3, image_size=8
    ),
    "nasbench101": lambda: NASBench101(channels=4, cells=1, num_classes=3, image_size=8),
    "nasbench201": lambda: SPACE,
    "nasbench_macro": lambda: NASBenchMacro(stem=2, head=6, num_classes=3, image_size=8),
    "proxyless": lambda: Proxyless(
        stages=((4, 2, 2), (6, 2, 1)), stem=4, first=4, head=6, num_classes=3, image_size=8
    ),
}
# Shape of an example's output, classes last.
OUTPUTS = {"images": (5,), "language": (4, 6)}
# A number of copies that each strategy can have.
COPIES = {"one-shot": 1, "few-shot": 5}
# Spaces whose architectures all cost the same.
ONE_COST = {"darts_ptb"}
SEEDED = {"random", "simplex"}
TRAINED = {"simplex"}


def _sharing(name: str, seed: int = 0, encoding: str = "raw") -> Sharing:
    strategy = SimplexSettings(encoding=encoding) if name == "simplex" else SHARING[name]
    return strategy(SPACE, COPIES.get(name, 4), seed)


@pytest.mark.parametrize("name", SHARING)
class TestSharing:
    def test_it_is_a_strategy_and_final(self, name: str) -> None:
        kind = type(_sharing(name))
        assert kind.__bases__ == (Sharing,)
        assert "K" in vars(_sharing(name))

    def test_codes_are_rows_on_the_simplex(self, name: str) -> None:
        sharing = _sharing(name)
        codes = sharing(ARCHS)
        assert codes.shape == (len(ARCHS), sharing.K)
        assert codes.dtype == torch.float32
        assert (codes >= 0).all()
        torch.testing.assert_close(codes.sum(1), torch.ones(len(ARCHS)))

    def test_no_architectures_give_no_codes(self, name: str) -> None:
        sharing = _sharing(name)
        assert sharing([]).shape == (0, sharing.K)

    def test_codes_are_deterministic(self, name: str) -> None:
        assert torch.equal(_sharing(name)(ARCHS), _sharing(name)(ARCHS))
        sharing = _sharing(name)
        before = sharing(ARCHS)
        torch.rand(3)
        assert torch.equal(sharing(ARCHS), before)
        assert torch.equal(sharing.eval()(ARCHS), sharing.train()(ARCHS))

    def test_a_code_depends_on_its_architecture_alone(self, name: str) -> None:
        sharing = _sharing(name)
        codes = sharing(ARCHS[:50])
        each = torch.cat([sharing([arch]) for arch in ARCHS[:50]])
        torch.testing.assert_close(codes, each)
        torch.testing.assert_close(codes.flip(0), sharing(ARCHS[:50][::-1]))

    @pytest.mark.parametrize("encoding", ["raw", "canonical"])
    def test_what_it_reads_decides_the_code(self, name: str, encoding: str) -> None:
        sharing = _sharing(name, encoding=encoding)
        codes = sharing(ARCHS)
        first: dict[object, torch.Tensor] = {}
        for arch, code in zip(ARCHS, codes, strict=True):
            torch.testing.assert_close(code, first.setdefault(sharing.reads(arch), code))

    def test_the_seed_decides_what_is_random(self, name: str) -> None:
        same = torch.equal(_sharing(name, seed=0)(ARCHS), _sharing(name, seed=1)(ARCHS))
        assert same == (name not in SEEDED)

    def test_building_one_leaves_global_random_state_alone(self, name: str) -> None:
        before = torch.get_rng_state()
        _sharing(name)(ARCHS)
        assert torch.equal(torch.get_rng_state(), before)

    def test_state_round_trip(self, name: str) -> None:
        other = _sharing(name, seed=1)
        other.load_state_dict(_sharing(name, seed=0).state_dict())
        assert torch.equal(other(ARCHS), _sharing(name, seed=0)(ARCHS))

    def test_trained_strategies_pass_gradients_on(self, name: str) -> None:
        sharing = _sharing(name)
        codes = sharing(ARCHS)
        assert codes.requires_grad == (name in TRAINED) == bool(list(sharing.parameters()))
        if name in TRAINED:
            codes.square().sum().backward()
            assert all(parameter.grad is not None for parameter in sharing.parameters())

    def test_it_moves_between_devices(self, name: str) -> None:
        sharing = _sharing(name).to("meta")
        values = [*sharing.parameters(), *sharing.buffers()]
        assert all(value.device.type == "meta" for value in values)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    def test_codes_are_the_same_on_a_gpu(self, name: str) -> None:
        codes = _sharing(name).to("cuda")(ARCHS)
        torch.testing.assert_close(codes.cpu(), _sharing(name)(ARCHS), rtol=1e-4, atol=1e-5)


def test_a_strategy_without_codes_or_what_it_reads_cannot_be_made() -> None:
    class NoReads(Sharing):
        def forward(self, archs: Sequence[Arch]) -> torch.Tensor:
            return torch.ones(len(archs), 1)

    with pytest.raises(TypeError, match="reads"):
        NoReads()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="forward"):
        Sharing()  # type: ignore[abstract]


@pytest.mark.parametrize("name", SAMPLERS)
class TestSampler:
    def test_paths_are_architectures_of_the_space(self, name: str) -> None:
        sampler, generator = SAMPLERS[name](SPACE), torch.Generator().manual_seed(0)
        for _ in range(100):
            archs = sampler(generator)
            assert isinstance(archs, tuple)
            assert len(archs) >= 1
            for arch in archs:
                assert check_arch(arch, SPACE.num_choices) == arch
                assert all(type(choice) is int for choice in arch)

    def test_all_randomness_is_the_generators(self, name: str) -> None:
        def draw(seed: int) -> list[Arch]:
            sampler = SAMPLERS[name](SPACE)
            return sample(sampler, 40, torch.Generator().manual_seed(seed))

        before = torch.get_rng_state()
        assert draw(0) == draw(0) != draw(1)
        assert torch.equal(torch.get_rng_state(), before)

    def test_it_keeps_no_state(self, name: str) -> None:
        sampler = SAMPLERS[name](SPACE)
        generator = torch.Generator().manual_seed(0)
        sampler(generator)
        state = generator.get_state()
        expected = sampler(generator)
        fresh = torch.Generator()
        fresh.set_state(state)
        assert SAMPLERS[name](SPACE)(fresh) == expected

    def test_every_choice_comes_up(self, name: str) -> None:
        archs = sample(SAMPLERS[name](SPACE), 600, torch.Generator().manual_seed(0))
        for site, num in enumerate(SPACE.num_choices):
            assert {arch[site] for arch in archs} == set(range(num))


@pytest.mark.parametrize("name", TASKS)
class TestTask:
    """On random outputs of 3 paths, 8 examples a batch, 2 batches."""

    def _batches(self, name: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
        generator, shape = torch.Generator().manual_seed(0), OUTPUTS[name]
        return [
            (
                torch.randn(3, 8, *shape, generator=generator),
                torch.randint(shape[-1], (8, *shape[:-1]), generator=generator),
            )
            for _ in range(2)
        ]

    def test_it_says_what_its_score_is(self, name: str) -> None:
        task = TASKS[name]()
        assert isinstance(task, Task)
        assert type(task).__bases__ == (Task,)
        assert task.score
        assert type(task.higher_is_better) is type(task.carries) is bool

    def test_losses_are_those_of_each_path_alone(self, name: str) -> None:
        task = TASKS[name]()
        for outputs, targets in self._batches(name):
            outputs.requires_grad_()
            losses = task.losses(outputs, targets.expand(3, *targets.shape))
            each = [task.losses(one[None], targets[None])[0] for one in outputs]
            torch.testing.assert_close(losses, torch.stack(each))
            (gradient,) = torch.autograd.grad(losses[1], outputs)
            assert (gradient.flatten(1).abs().sum(1) > 0).tolist() == [False, True, False]

    def test_scores_are_of_all_batches_together(self, name: str) -> None:
        task, batches = TASKS[name](), self._batches(name)
        totals = [task.totals(outputs, targets) for outputs, targets in batches]
        assert all(one.dtype == torch.float64 for one in totals)
        scores = task.scores(totals[0] + totals[1], 2 * batches[0][1].numel())
        outputs = torch.cat([outputs for outputs, _ in batches], 1)
        targets = torch.cat([targets for _, targets in batches])
        together = task.scores(task.totals(outputs, targets), targets.numel())
        assert scores.shape == (3, 2)
        torch.testing.assert_close(scores, together, rtol=1e-6, atol=0)
        losses = task.losses(outputs, targets.expand(3, *targets.shape))
        torch.testing.assert_close(scores[:, 1].float(), losses)

    def test_outputs_that_are_right_score_better(self, name: str) -> None:
        task, ((outputs, targets), _) = TASKS[name](), self._batches(name)
        right = outputs.clone()
        right[1] += 9 * torch.nn.functional.one_hot(targets, outputs.shape[-1])
        scores = task.scores(task.totals(right, targets), targets.numel())[:, 0]
        best = scores.argmax() if task.higher_is_better else scores.argmin()
        assert best == 1


def inputs(space: Space, num: int) -> Any:
    """Examples, each another one, as the space's networks are called with them."""
    generator = torch.Generator().manual_seed(0)
    if task_of(space).carries:
        return torch.randint(3, (num, 6), generator=generator), None
    return torch.randn(num, 3, 8, 8, generator=generator)


def outputs(space: Space, made: Any) -> torch.Tensor:
    """Outputs (B, num_classes) of images, or (B, T, num_classes) of tokens."""
    found: torch.Tensor = made[0] if task_of(space).carries else made
    return found


def priced(name: str) -> PricedSpace:
    """The small space of this name, or the test is skipped."""
    space = SMALL[name]()
    if not isinstance(space, Priced):
        pytest.skip(f"{name} counts no costs")
    return space


@pytest.mark.parametrize("name", SPACES)
class TestSpace:
    def _archs(self, name: str) -> list[Arch]:
        sampler = SAMPLERS["uniform"](SMALL[name]())
        return sample(sampler, 40, torch.Generator().manual_seed(0))

    def test_it_is_known_by_its_name(self, name: str) -> None:
        assert SMALL[name]().name == name

    def test_text_round_trip(self, name: str) -> None:
        space = SMALL[name]()
        for arch in self._archs(name):
            assert space.from_string(space.to_string(arch)) == arch
        with pytest.raises(ValueError, match="got"):
            space.from_string("no architecture")

    def test_it_contains_what_it_samples_writes_and_reads(self, name: str) -> None:
        space = SMALL[name]()
        for source in (torch.Generator().manual_seed(3), random.Random(3)):
            arch = space.sample(source)
            assert space.contains(arch)
            assert type(arch) is tuple
            assert all(type(choice) is int for choice in arch)
            assert space.contains(space.canonical(arch))
        first, again = random.Random(4), random.Random(4)
        assert [space.sample(first) for _ in range(5)] == [space.sample(again) for _ in range(5)]
        ends = space.extremes() if isinstance(space, Priced) else ()
        assert all(map(space.contains, ends))
        for bad in ((), arch[1:], (-1, *arch[1:]), (99, *arch[1:]), (0.5, *arch[1:]), None, 5):
            assert not space.contains(bad)  # type: ignore[arg-type]

    def test_what_is_listed_is_the_space(self, name: str) -> None:
        space = SMALL[name]()
        if not isinstance(space, Listable):
            pytest.skip(f"{name} has no order")
        archs = space.archs()
        assert all(map(space.contains, archs[:: len(archs) // 50]))
        assert len(set(archs)) == len(archs)
        for arch in self._archs(name):
            assert archs[space.index(arch)] == arch == space.from_index(space.index(arch))

    def test_drawings_are_of_one_kind(self, name: str) -> None:
        space = SMALL[name]()
        if not isinstance(space, Drawable):
            pytest.skip(f"{name} is not drawn")
        drawings = [space.drawing(arch) for arch in self._archs(name)]
        assert len(set(drawings)) > 1
        for one in drawings:
            assert type(one) is type(drawings[0])
            for graph in () if isinstance(one, Row) else one:
                num = len(graph.nodes)
                assert all(0 <= edge.source < edge.target < num for edge in graph.edges)
                assert {len(graph.places), len(graph.kinds)} <= {0, num}

    @pytest.mark.parametrize("bad", [None, 5, "|none~0|", torch.zeros(3)], ids=repr)
    def test_what_is_no_architecture_is_refused(self, name: str, bad: object) -> None:
        space = SMALL[name]()
        asked = [space.canonical, space.is_valid, space.num_convolutions, space.to_string]
        asked += [space.standalone, partial(space.supernet(), inputs(space, 2))]
        if isinstance(space, Priced):
            asked += [space.flops, space.params]
        if isinstance(space, Listable):
            asked.append(space.index)
        if isinstance(space, Drawable):
            asked.append(space.drawing)
        for ask in asked:
            with pytest.raises(ValueError, match="an arch is a tuple of choices, got"):
                ask(bad)  # type: ignore[arg-type]

    def test_canonical_form_is_a_representative(self, name: str) -> None:
        space = SMALL[name]()
        for arch in self._archs(name):
            live = space.canonical(arch)
            assert check_arch(live, space.num_choices) == live
            assert space.canonical(live) == live
            assert space.is_valid(live) == space.is_valid(arch)
            assert space.num_convolutions(live) == space.num_convolutions(arch)

    def test_the_encoding_tells_architectures_apart(self, name: str) -> None:
        archs = list(dict.fromkeys(self._archs(name)))
        assert len(encode(archs, SMALL[name]().num_choices).unique(dim=0)) == len(archs)

    def test_costs_are_those_of_the_standalone_network(self, name: str) -> None:
        space = priced(name)
        for arch in self._archs(name)[:10]:
            parameters = space.standalone(arch).parameters()
            assert space.params(arch) == sum(parameter.numel() for parameter in parameters)
            assert space.flops(arch) > 0

    def test_the_extremes_are_the_ends_of_what_architectures_cost(self, name: str) -> None:
        space = priced(name)
        least, most = space.extremes()
        for arch in [*self._archs(name), least, most]:
            assert check_arch(arch, space.num_choices) == arch
            assert space.flops(least) <= space.flops(arch) <= space.flops(most)
            assert space.params(least) <= space.params(arch) <= space.params(most)
        differ = name not in ONE_COST
        assert (space.flops(least) < space.flops(most)) == differ
        assert (space.params(least) < space.params(most)) == differ

    def test_width_sites_choose_widths_from_the_narrowest(self, name: str) -> None:
        space = priced(name)
        sites = space.width_sites
        assert sorted(set(sites)) == list(sites)
        assert set(sites) <= set(range(len(space.num_choices)))
        dearer = set()
        for arch in [*self._archs(name), space.extremes()[1]]:
            for site in sites:
                wider = [
                    (*arch[:site], choice, *arch[site + 1 :])
                    for choice in range(space.num_choices[site])
                ]
                for cost in (space.flops, space.params):
                    costs = [cost(one) for one in wider]
                    # The width of a layer that passes its input on means nothing.
                    assert costs == sorted(costs)
                    dearer |= {site} if costs[0] < costs[-1] else set()
        assert dearer == set(sites)

    def test_networks_are_called_as_promised(self, name: str) -> None:
        space = SMALL[name]()
        x, supernet = inputs(space, 2), space.supernet()
        for arch in self._archs(name)[:10]:
            alone, shared = (
                outputs(space, y) for y in (space.standalone(arch)(x), supernet(x, arch))
            )
            assert alone.shape == shared.shape
            assert (len(shared), shared.shape[-1]) == (2, 3)

    def test_validity_says_whether_the_output_depends_on_the_input(self, name: str) -> None:
        space = SMALL[name]()
        supernet, x = space.supernet().eval(), inputs(space, 4)
        drawn = sample(SAMPLERS["uniform"](space), 300, torch.Generator().manual_seed(1))
        pathless = [arch for arch in drawn if not space.is_valid(arch)][:3]
        for arch in [*self._archs(name)[:10], *pathless]:
            output = outputs(space, supernet(x, arch))
            assert torch.equal(output, output[:1].expand_as(output)) != space.is_valid(arch)


@pytest.mark.parametrize(
    ("package", "registry"),
    [
        (kshot_core.sharing, SHARING),
        (kshot_core.sampling, SAMPLERS),
    ],
    ids=["sharing", "sampling"],
)
def test_every_file_is_registered(package: object, registry: dict[str, object]) -> None:
    folder = Path(package.__file__).parent  # type: ignore[attr-defined]
    files = {path.stem.replace("_", "-") for path in folder.glob("[!_]*.py")}
    assert files == set(registry)


def test_every_task_has_outputs_here() -> None:
    assert set(TASKS) == set(OUTPUTS)


def test_every_space_has_small_settings_here() -> None:
    assert set(SPACES) == set(SMALL)
    for name, space in SPACES.items():
        assert isinstance(SMALL[name](), space)
