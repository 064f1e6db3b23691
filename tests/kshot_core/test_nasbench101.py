"""NAS-Bench-101: published costs, isomorphism against brute force, channels, supernet, refusals."""

from __future__ import annotations

import itertools
from random import Random

import made_up
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from kshot_core.sampling import SAMPLERS
from kshot_core.sharing.simplex import SimplexNet
from kshot_core.space import Arch
from kshot_core.spaces.nasbench101 import NASBench101
from kshot_core.spaces.nasbench101.cell import Cell, canonical, channels, live
from kshot_core.spaces.nasbench101.space import NUM_CHOICES, arch_of, cell_of
from kshot_core.spaces.nasbench101.text import from_matrix, read, written
from kshot_core.streams import seeded
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

SPACE = NASBench101()
SMALL = NASBench101(channels=12, cells=1, num_classes=made_up.NUM_CLASSES, image_size=9)
# The cell of the benchmark's own introduction, and the first of its file.
INCEPTION = (
    "{'matrix': [[0,1,1,1,0,1,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,1],[0,0,0,0,1,0,0],[0,0,0,0,0,0,1],"
    "[0,0,0,0,0,0,1],[0,0,0,0,0,0,0]], 'ops': ['input', 'conv1x1-bn-relu', 'conv3x3-bn-relu', "
    "'conv3x3-bn-relu', 'conv3x3-bn-relu', 'maxpool3x3', 'output']}"
)
FIRST = (
    "{'module_adjacency': [[0,1,0,0,1,1,0],[0,0,1,0,0,0,0],[0,0,0,1,0,0,1],[0,0,0,0,0,1,0],"
    "[0,0,0,0,0,1,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,0]], 'module_operations': ['input', "
    "'conv3x3-bn-relu', 'maxpool3x3', 'conv3x3-bn-relu', 'conv3x3-bn-relu', 'conv1x1-bn-relu', "
    "'output']}"
)


def archs(num: int, seed: int = 0) -> list[Arch]:
    generator = Random(seed)
    return [SPACE.sample(generator) for _ in range(num)]


# Costs.


def test_trainable_parameters_are_the_published_ones() -> None:
    assert SPACE.params(SPACE.from_string(INCEPTION)) == 2_694_282
    assert SPACE.params(SPACE.from_string(FIRST)) == 8_555_530
    # The table's smallest and largest network.
    assert [SPACE.params(arch) for arch in SPACE.extremes()] == [227_274, 49_979_274]


@pytest.mark.parametrize(
    "text", [INCEPTION, FIRST, "output~0", "conv3x3~0|conv1x1~0|conv3x3~0|output~0+1+2+3"]
)
def test_costs_are_those_of_the_built_network(text: str) -> None:
    arch = SMALL.from_string(text)
    network = SMALL.standalone(arch).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 9, 9))
    assert counter.get_total_flops() == 2 * SMALL.flops(arch)
    assert sum(p.numel() for p in network.parameters()) == SMALL.params(arch)


@pytest.mark.parametrize(
    ("text", "outputs", "expected"),
    [
        ("conv3x3~0|output~1", 128, (128,)),
        # Shared, the first taking one more.
        ("conv3x3~0|conv3x3~0|conv3x3~0|output~1+2+3", 128, (43, 43, 42)),
        ("conv3x3~0|conv3x3~0|conv3x3~0|output~1+2+3", 7, (3, 2, 2)),
        # The input that is added takes no share.
        ("conv3x3~0|conv3x3~0|output~0+1+2", 128, (64, 64)),
        # The widest of the vertices that read it, backwards.
        ("conv3x3~0|conv3x3~1|conv3x3~1+2|conv3x3~2|output~3+4", 9, (5, 5, 5, 4)),
        ("output~0", 128, ()),
    ],
)
def test_channels_depend_on_the_graph(text: str, outputs: int, expected: tuple[int, ...]) -> None:
    assert channels(read(text), outputs) == expected


# Which cells are the same.


def every_cell(num: int, operations: int) -> list[Cell]:
    """All graphs over ``num`` inner vertices, whether or not anything is dead."""
    found = []
    pairs = [(source, target) for target in range(1, num + 2) for source in range(target)]
    for chosen in itertools.product((False, True), repeat=len(pairs)):
        edges = [pair for pair, there in zip(pairs, chosen, strict=True) if there]
        sources = tuple(tuple(s for s, t in edges if t == v) for v in range(1, num + 2))
        found += [Cell(ops, sources) for ops in itertools.product(range(operations), repeat=num)]
    return found


def edges_of(cell: Cell) -> set[tuple[int, int]]:
    return {(s, t) for t, row in enumerate(cell.sources, start=1) for s in row}


def pruned(cell: Cell) -> tuple[tuple[int, ...], set[tuple[int, int]]] | None:
    """Vertices and edges left when what nothing leads to, or leads nowhere, is taken off."""
    edges, vertices = edges_of(cell), set(range(cell.output + 1))
    while True:
        dead = {
            v
            for v in vertices
            if (v != 0 and not any(t == v for _, t in edges))
            or (v != cell.output and not any(s == v for s, _ in edges))
        }
        if not dead:
            return tuple(sorted(vertices)), edges
        if dead & {0, cell.output}:
            return None
        vertices -= dead
        edges = {(s, t) for s, t in edges if s in vertices and t in vertices}


def isomorphic(one: Cell, other: Cell) -> bool:
    """By trying every mapping of one's vertices to the other's."""
    first, second = pruned(one), pruned(other)
    assert first is not None
    assert second is not None
    (left, edges), (right, others) = first, second
    if len(left) != len(right) or len(edges) != len(others):
        return False
    inner = right[1:-1]
    for order in itertools.permutations(inner):
        to = dict(zip(left, (0, *order, other.output), strict=True))
        if {(to[s], to[t]) for s, t in edges} == others and all(
            one.operations[v - 1] == other.operations[to[v] - 1] for v in left[1:-1]
        ):
            return True
    return False


def test_the_canonical_form_decides_equality_as_brute_force_does() -> None:
    cells = [cell for cell in every_cell(3, 2) if live(cell)]
    generator = Random(0)
    chosen = generator.sample(cells, 60)
    pairs = list(itertools.combinations(chosen, 2))
    same = 0
    for one, other in pairs:
        equal = canonical(one) == canonical(other)
        assert equal == isomorphic(one, other), (one, other)
        same += equal
    assert 10 < same < len(pairs) / 2


def test_larger_cells_with_their_vertices_in_another_order_are_the_same() -> None:
    generator = Random(1)
    moved = 0
    for arch in archs(60):
        cell = cell_of(arch)
        order = list(range(1, cell.output))
        generator.shuffle(order)
        to = {0: 0, cell.output: cell.output} | dict(zip(range(1, cell.output), order, strict=True))
        edges = sorted((to[s], to[t]) for s, t in edges_of(cell))
        if any(s >= t for s, t in edges):
            continue  # leads back
        operations = tuple(cell.operations[order.index(v)] for v in range(1, cell.output))
        sources = tuple(tuple(s for s, t in edges if t == v) for v in range(1, cell.output + 1))
        other = Cell(operations, sources)
        moved += other != cell
        assert canonical(other) == canonical(cell)
        # One operation changed is another cell.
        known = live(cell)
        assert known is not None
        if known.operations:
            changed = Cell(((known.operations[0] + 1) % 3, *known.operations[1:]), known.sources)
            assert canonical(changed) != canonical(cell)
    assert moved > 3


def test_there_are_as_many_cells_as_published() -> None:
    # By number of vertices: 1, 6, 84, 2,441, then 62,010 and 359,082 make the 423,624.
    found = [
        {canonical(cell) for cell in every_cell(num, 3) if len_live(cell) == num}
        for num in range(3)
    ]
    assert list(map(len, found)) == [1, 6, 84]


def len_live(cell: Cell) -> int | None:
    known = live(cell)
    return None if known is None else len(known.operations)


def test_what_is_dead_changes_nothing() -> None:
    with_dead = read("conv3x3~0|conv1x1~0|maxpool3x3~|conv3x3~3|output~1+4")
    assert live(with_dead) == read("conv3x3~0|output~1")
    arch, plain = arch_of(with_dead), arch_of(read("conv3x3~0|output~1"))
    assert SPACE.canonical(arch) == SPACE.canonical(plain) != arch
    assert SPACE.params(arch) == SPACE.params(plain)
    assert SPACE.num_convolutions(arch) == 1


# What belongs to the space.


def test_sampled_architectures_belong_to_it_and_are_spread() -> None:
    found = archs(150)
    for arch in found:
        assert SPACE.contains(arch)
        assert SPACE.is_valid(arch)
        assert SPACE.from_string(SPACE.to_string(arch)) == arch
    assert len(set(found)) == 150
    assert {sum(arch[:21]) for arch in found} >= {6, 7, 8, 9}
    assert max(sum(arch[:21]) for arch in found) == 9
    assert {SPACE.num_convolutions(arch) for arch in found} >= set(range(5))


def test_what_does_not_belong() -> None:
    none = (0,) * 26
    assert not SPACE.contains(none)
    assert not SPACE.is_valid(none)
    assert not SPACE.contains((1,) * 21 + (0,) * 5)
    assert not SPACE.contains(archs(1)[0][:-1])
    assert not SPACE.contains("conv3x3~0|output~1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no path"):
        SPACE.params(none)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("conv3x3~0|conv3x3~3|conv3x3~2|output~3", r"cycle through the vertices \[2, 3\]"),
        ("conv3x3~1|output~1", r"cycle through the vertices \[1\]"),
        ("conv3x3~2|conv3x3~0|output~1", r"every edge leads onwards, got \(2, 1\)"),
        ("conv3x3~0|conv3x3~0+1|conv3x3~0+1+2|conv3x3~0+1+2+3|output~4", "9 edges, got 11"),
        ("|".join(["conv3x3~0"] * 6) + "|output~1", "7 vertices, got 8"),
        ("conv5x5~0|output~1", "one of conv3x3, conv1x1, maxpool3x3, got 'conv5x5'"),
        ("conv3x3~0|output~5", r"can be read are 0\.\.1 here, got 5"),
        ("conv3x3~0|output~", "no path leads"),
        ("conv3x3~0|conv3x3~1", "reads conv3x3~0"),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|", "reads conv3x3~0"),
        ("|tanh~0|relu~1|relu~1|relu~1|relu~1|relu~1|relu~1|relu~1|", "reads conv3x3~0"),
        ("", "reads conv3x3~0"),
        ("{'matrix': [[0, 1], [1, 0]], 'ops': ['input', 'output']}", "cycle"),
        ("{'matrix': [[0, 0], [1, 0]], 'ops': ['input', 'output']}", "leads onwards"),
        ("{'matrix': [[0, 2], [0, 0]], 'ops': ['input', 'output']}", "entry 1"),
        ("{'matrix': [[0, 1]], 'ops': ['input', 'output']}", "as many rows"),
        ("{'matrix': [[0, 1], [0, 0]], 'ops': ['output', 'input']}", "first vertex is input"),
        ("{'matrix': [[0, 1], [0, 0]]}", "benchmark's words"),
        ("{'matrix': open('x')}", "benchmark's words"),
        ("{", "benchmark's words"),
    ],
)
def test_what_is_no_cell_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        SPACE.from_string(text)
    assert "\n" not in str(caught.value)


def test_matrices_are_read() -> None:
    arch = SPACE.from_string(INCEPTION)
    assert SPACE.to_string(arch) == (
        "conv1x1~0|conv3x3~0|conv3x3~0|conv3x3~3|maxpool3x3~0|output~1+2+4+5"
    )
    names = ["input", "conv1x1-bn-relu", "output"]
    cell = from_matrix([[0, 1, 1], [0, 0, 1], [0, 0, 0]], names)
    assert written(cell) == "conv1x1~0|output~0+1"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels": 3}, "channels must be at least 4"),
        ({"cells": 0}, "cells must be at least 1, got 0"),
        ({"batch_norm": "none"}, 'batch_norm is "batch" or "running"'),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NASBench101(**wrong)  # type: ignore[arg-type]


# The networks.


def images(num: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, 3, 9, 9, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("arch", [arch_of(canonical(cell_of(arch))) for arch in archs(4, seed=5)])
def test_a_path_of_the_supernet_is_the_network_with_the_leading_weights(arch: Arch) -> None:
    with seeded(0):
        supernet = SMALL.supernet().double()
    alone = SMALL.standalone(arch).double()
    shared = dict(supernet.named_parameters())
    with torch.no_grad():
        for name, parameter in alone.named_parameters():
            parameter.copy_(shared[name][tuple(map(slice, parameter.shape))])
    torch.testing.assert_close(supernet(images(), arch), alone(images()))


def test_isomorphic_cells_are_one_path_and_others_are_not() -> None:
    with seeded(0):
        supernet = SMALL.supernet().double()
    one = arch_of(read("conv3x3~0|conv1x1~0|maxpool3x3~1|output~2+3"))
    other = arch_of(read("conv1x1~0|conv3x3~0|maxpool3x3~2|output~1+3"))
    third = arch_of(read("conv1x1~0|conv3x3~0|maxpool3x3~1|output~2+3"))
    assert torch.equal(supernet(images(), one), supernet(images(), other))
    assert not torch.allclose(supernet(images(), one), supernet(images(), third))


def test_only_the_path_gets_gradients() -> None:
    with seeded(0):
        shared = KShot(SMALL.supernet(), 2, group=SMALL.parameter_group)
    arch = arch_of(read("conv3x3~0|maxpool3x3~1|output~2"))
    shared(images().float(), arch, torch.tensor([0.3, 0.7])).sum().backward()
    used = {name for name, value in shared.bank.items() if value.grad is not None}
    first = {
        f"cells-{cell}-vertices-0-{what}"
        for cell in range(3)
        for what in ("project", "choices-conv3x3")
    }
    assert used == {"fixed", *first}


def test_it_trains_k_shot() -> None:
    wider = NASBench101(channels=8, cells=1, num_classes=made_up.NUM_CLASSES, image_size=13)
    with seeded(0):
        shared = KShot(wider.supernet(), 2, group=wider.parameter_group)
    trainer = Trainer(
        shared,
        SimplexNet(NUM_CHOICES, 2, seed=0),
        SAMPLERS["uniform"](wider),
        made_up.images(96, size=13),
        Recipe(epochs=8, batch_size=16, warmup_epochs=1, num_groups=2, learning_rate=0.1),
        seed=0,
    )
    losses = [figures["weight_loss"] for figures in fit(trainer)]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    assert trainer.num_simplex_steps > 0
    # Of the others one wants equally many choices at every site, one a space it can list.
    for name in ("uniform", "valid"):
        drawn = SAMPLERS[name](wider)(torch.Generator().manual_seed(0))
        assert all(wider.contains(arch) for arch in drawn), name


def test_running_statistics_of_the_standalone_network() -> None:
    running = NASBench101(channels=8, cells=1, num_classes=4, batch_norm="running")
    network = running.standalone(running.from_string(FIRST))
    x = images().float()
    trained = network(x)
    network.eval()
    assert not torch.allclose(network(x), trained)
    assert torch.allclose(network(x)[:1], network(x[:1]), atol=1e-6)
