"""DARTS's space: genotypes, published parameter counts, every cost of its real table, networks."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_up
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from kshot_core.retraining.auxiliary import WithAuxiliary, with_auxiliary
from kshot_core.retraining.standalone import (
    StandaloneRecipe,
    build_fleet,
    build_standalone,
    train_standalone,
)
from kshot_core.retraining.trainer import Retraining, RetrainRecipe
from kshot_core.space import Arch
from kshot_core.spaces import DARTS
from kshot_core.spaces.darts.genotype import (
    NODES,
    NONE,
    NUM_SITES,
    OPERATIONS,
    cell_of,
    cells_of,
    choices_of,
    live,
    read,
    written,
)
from kshot_core.spaces.darts.network import FactorizedReduce
from kshot_core.streams import seeded
from kshot_core.weights.bank import KShot

SPACE = DARTS()
SMALL = DARTS(channels=4, layers=4, num_classes=3, image_size=9)
NUM_CHOICES = SMALL.num_choices
ARCHS = st.tuples(*(st.integers(0, num - 1) for num in NUM_CHOICES))
_V2_NORMAL = (
    "[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)]"
)
_V2_REDUCE = (
    "[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
    "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)]"
)
V2 = (
    f"Genotype(normal={_V2_NORMAL}, normal_concat=[2, 3, 4, 5], reduce={_V2_REDUCE}, "
    "reduce_concat=[2, 3, 4, 5])"
)
# Of Chen et al. (2019) and Xu et al. (2020).
P_DARTS = (
    "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0), "
    "('dil_conv_5x5', 4)], normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 0), "
    "('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), ('max_pool_3x3', 0), "
    "('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=range(2, 6))"
)
PC_DARTS = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), "
    "('dil_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), "
    "('dil_conv_3x3', 1)], normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 1), "
    "('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], reduce_concat=range(2, 6))"
)


def _images(num: int = 3, size: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, 3, size, size, generator=generator, dtype=torch.float64)


def _dead_free(arch: Arch) -> bool:
    """Every convolution is on an edge that carries something."""
    cells = SMALL.cells(arch)
    return all(
        sum(choice != NONE for node in cell for _, choice in node) == sum(map(len, live(cell)))
        for cell in cells
    )


@pytest.mark.parametrize(
    ("genotype", "params", "millions"),
    [(V2, 3_349_342, 3.3), (P_DARTS, 3_433_798, 3.4), (PC_DARTS, 3_634_678, 3.6)],
    ids=["DARTS V2", "P-DARTS", "PC-DARTS"],
)
def test_published_cells_have_the_published_parameters(
    genotype: str, params: int, millions: float
) -> None:
    """DARTS's README states 3.349 M of V2; the papers state millions."""
    count = SPACE.params(SPACE.from_string(genotype))
    assert count == params
    assert round(count / 1e6, 1) == millions


def test_the_auxiliary_head_is_the_published_one() -> None:
    # 1×1 and 2×2 convolutions with batch-norms, and a classifier, on 576 channels.
    head = 576 * 128 + 256 + 4 * 128 * 768 + 1536 + 7690
    space, arch = DARTS(auxiliary=0.4), SPACE.from_string(V2)
    assert space.params(arch) - SPACE.params(arch) == head
    small = replace(space, channels=2, layers=3)
    network = small.standalone(arch)
    assert sum(p.numel() for p in network.parameters()) == small.params(arch)
    network.eval()(torch.zeros(2, 3, 32, 32))


def test_the_auxiliary_head_trains_with_its_weight() -> None:
    """Its loss is part of a retraining's and of a fleet's, and it does not run in evaluation."""
    space = DARTS(channels=1, layers=3, num_classes=4, auxiliary=0.4, batch_norm="running")
    arch = SPACE.from_string(V2)
    images = made_up.images(8, size=32)
    network = build_standalone(space, arch, 0)
    ((x, y),) = images.scoring_batches(8)
    network.train()
    loss = F.cross_entropy(network(x), y)
    assert isinstance(network, WithAuxiliary)
    head = network.auxiliary_outputs
    assert head is not None
    assert head.shape == (8, 4)
    both = float((loss + 0.4 * F.cross_entropy(head, y)).detach())
    total = with_auxiliary(network, loss, lambda outputs: F.cross_entropy(outputs, y))
    assert float(total.detach()) == pytest.approx(both, rel=1e-6)
    assert network.auxiliary_outputs is None
    recipe = RetrainRecipe(epochs=1, batch_size=8, label_smoothing=0.0)
    retraining = Retraining(build_standalone(space, arch, 0), images, recipe, seed=0)
    assert retraining.run_epoch()["loss"] == pytest.approx(both, rel=0.02)
    fleet = build_fleet(space, [arch, arch], [0, 1])
    before = fleet.stacks["network-auxiliary-classifier-weight"].detach().clone()
    train_standalone(fleet, images, StandaloneRecipe(batch_size=8), [0, 1])
    change = (fleet.stacks["network-auxiliary-classifier-weight"].detach() - before).abs()
    assert (change.flatten(1).amax(1) > 0).all()
    network.eval()(x)
    assert network.auxiliary_outputs is None


def _table(name: str, shared_file: Callable[[str], Path]) -> list[dict[str, str]]:
    path = shared_file(f"five_spaces/{name}")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def _arch_of(values: dict[str, Any]) -> Arch:
    fields: dict[str, object] = {}
    for cell in ("normal", "reduce"):
        keys = [f"{cell}/{node}/{at}" for node in NODES for at in (0, 1)]
        fields[cell] = [(values[f"{key}/op"], values[f"{key}/input"]) for key in keys]
        fields[f"{cell}_concat"] = list(NODES)
    normal, reduction = cells_of(fields)
    return choices_of(normal) + choices_of(reduction)


def _uncounted(arch: Arch) -> int:
    """Multiply-adds of the depthwise convolutions that the table's counter does not know.

    They are those that its code calls with a stride: the first of each edge.
    """
    total, size = 0, SPACE.image_size
    for place in SPACE.places():
        size //= 2 if place.reduces else 1
        for node in SPACE.cells(arch)[place.reduces]:
            for _, choice in node:
                if "conv" in OPERATIONS[choice]:
                    total += int(OPERATIONS[choice][-1]) ** 2 * place.channels * size**2
    return total


@pytest.mark.parametrize(
    ("name", "num"), [("darts-cifar10.csv", 377), ("darts-cifar10-seed43.csv", 101)]
)
def test_every_cost_of_the_real_tables(
    name: str, num: int, shared_file: Callable[[str], Path]
) -> None:
    rows = _table(name, shared_file)
    assert len(rows) == num
    for row in rows:
        arch = _arch_of(json.loads(row["architecture"]))
        assert SPACE.params(arch) == int(row["params"])
        assert SPACE.flops(arch) - _uncounted(arch) == float(row["flops"])


@settings(max_examples=4, deadline=None)
@given(arch=ARCHS)
def test_costs_are_those_of_the_built_network(arch: Arch) -> None:
    network = SMALL.standalone(arch).eval()
    assert sum(p.numel() for p in network.parameters()) == SMALL.params(arch)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 9, 9))
    counted = counter.get_total_flops()
    # Dead edges count and are not computed.
    assert counted <= 2 * SMALL.flops(arch)
    assert counted == 2 * SMALL.flops(arch) or not _dead_free(arch)


@settings(max_examples=50, deadline=None)
@given(arch=ARCHS)
def test_a_genotype_says_all_of_an_architecture(arch: Arch) -> None:
    text = SPACE.to_string(arch)
    assert SPACE.from_string(text) == arch
    # It is Python code, which is how DARTS's users take it up.
    genotype = eval(text, {"Genotype": dict})
    assert genotype["normal_concat"] == genotype["reduce_concat"] == [2, 3, 4, 5]
    # In either order of a node's edges.
    for name in ("normal", "reduce"):
        edges = genotype[name]
        genotype[name] = [edge for at in range(0, 8, 2) for edge in (edges[at + 1], edges[at])]
    other = ", ".join(f"{key} = {value}" for key, value in genotype.items())
    assert SPACE.from_string(f"Genotype({other})") == arch


@settings(max_examples=100, deadline=None)
@given(arch=ARCHS)
def test_equal_live_edges_have_one_representative(arch: Arch) -> None:
    same = SMALL.canonical(arch)
    for before, after in zip(SMALL.cells(arch), SMALL.cells(same), strict=True):
        assert live(before) == live(after)
    assert SMALL.canonical(same) == same


def test_the_representative_computes_the_same() -> None:
    generator = torch.Generator().manual_seed(1)
    with seeded(0):
        supernet = SMALL.supernet().double()
    num_other = 0
    for _ in range(12):
        # A third of the operations is none.
        choices = [int(torch.randint(3 * n // 2, (), generator=generator)) for n in NUM_CHOICES]
        arch = tuple(min(choice, n - 1) for choice, n in zip(choices, NUM_CHOICES, strict=True))
        same = SMALL.canonical(arch)
        num_other += same != arch
        assert torch.equal(supernet(_images(), arch), supernet(_images(), same))
    assert num_other > 6


def test_what_follows_from_nothing_is_dead() -> None:
    none = ((0, NONE), (1, NONE))
    cell = (none, ((1, 3), (2, 3)), ((2, 4), (3, 0)), ((0, NONE), (2, 1)))
    assert live(cell) == ((), ((1, 3),), ((3, 0),), ())
    arch = choices_of(cell) * 2
    assert arch == SMALL.from_string(written((cell, cell)))
    assert SMALL.num_convolutions(arch) == 2
    # Of the edges without effect only the earliest nodes are left.
    assert cell_of(SMALL.canonical(arch)[:NUM_SITES]) == (
        none, ((0, NONE), (1, 3)), ((0, NONE), (3, 0)), none,
    )  # fmt: skip


@pytest.mark.parametrize("layers", [3, 4, 5])
def test_validity_is_whether_the_output_depends_on_the_images(layers: int) -> None:
    """Cells that have nothing, that take one input alone, and that have both, in all pairs."""
    none = ((0, NONE), (1, NONE))
    space = replace(SMALL, channels=1, layers=layers)
    with seeded(0):
        supernet = space.supernet().double()
    kinds = [
        (none,) * 4,
        (((0, 3), (1, NONE)), none, none, none),
        (((0, NONE), (1, 2)), none, none, none),
        (((0, 0), (1, 2)), none, none, none),
    ]
    for normal in kinds:
        for reduction in kinds:
            arch = choices_of(normal) + choices_of(reduction)
            output = supernet(_images(4), arch)
            assert torch.equal(output, output[:1].expand_as(output)) != space.is_valid(arch)


@pytest.mark.parametrize("seed", range(3))
def test_a_path_of_the_supernet_is_the_network_with_its_weights(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    arch = tuple(int(torch.randint(n, (), generator=generator)) for n in SMALL.num_choices)
    space = replace(SMALL, affine=True)
    with seeded(0):
        supernet = space.supernet().double()
    alone = space.standalone(arch).double()
    shared = dict(supernet.named_parameters())
    alone.load_state_dict({name: shared[name] for name in alone.state_dict()})
    torch.testing.assert_close(supernet(_images(), arch), alone(_images()))


def test_only_the_path_gets_gradients() -> None:
    space = replace(SMALL, zero=False, channels=1)
    assert set(space.num_choices) == {3, 6, 10, 7}
    with seeded(0):
        shared = KShot(space.supernet(), 2, group=space.parameter_group)
    arch = SPACE.from_string(V2)
    shared(_images().float(), arch, torch.tensor([0.3, 0.7])).sum().backward()
    used = {name for name, value in shared.bank.items() if value.grad is not None}
    normal = {"2-0-sep_conv_3x3", "2-1-sep_conv_3x3", "3-0-sep_conv_3x3", "3-1-sep_conv_3x3"}
    normal |= {"4-1-sep_conv_3x3", "5-2-dil_conv_3x3"}
    # Pooling has no weights, nor has skipping from a node of the cell.
    assert used == {"fixed", *(f"normal-{name}" for name in normal)}


def test_a_reduction_halves_even_and_odd_sizes() -> None:
    """By hand: even pixels in the first channels, odd ones in the others, none past the edge."""
    for size in (4, 5):
        layer = FactorizedReduce(1, 2, False, False)
        layer.norm = nn.Identity()  # type: ignore[assignment]
        nn.init.ones_(layer.even.weight)
        nn.init.ones_(layer.odd.weight)
        x = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)
        even, odd = layer(x)[0]
        half = (size + 1) // 2
        assert torch.equal(even, x[0, 0, ::2, ::2])
        wanted = torch.zeros(half, half)
        inner = x[0, 0, 1::2, 1::2]
        wanted[: len(inner), : len(inner)] = inner
        assert torch.equal(odd, wanted)


OTHERS = {
    "of another space": ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|", "reads Geno"),
    "of DARTS's recurrent cell": (
        "Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=range(1, 9))", "recurrent, concat",
    ),
    "of NASNet": (V2.replace("[2, 3, 4, 5]", "[4, 5, 6]", 1), "normal_concat=.4, 5, 6"),
    "of five nodes": (V2.replace("normal=[", "normal=[('none', 0), ('none', 1), "), "of 10 edges"),
    "of other operations": (V2.replace("dil_conv_3x3", "conv_7x1_1x7"), "got 'conv_7x1_1x7'"),
    "of a later node": (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "0..4, got 5"),
    "with a node twice": (V2.replace("('skip_connect', 0), ('dil_conv_3x3', 2)",
        "('skip_connect', 2), ('dil_conv_3x3', 2)"), "both from 2"),
    "cut short": (V2[:200], "reads Genotype"),
    "with code": ("Genotype(normal=__import__('os').getcwd())", "reads Genotype"),
    "much too long": ("(" * 100_000, "reads Genotype"),
    "empty": ("", "reads Genotype"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_a_genotype_that_is_none_of_this_space_is_refused(case: str) -> None:
    text, message = OTHERS[case]
    with pytest.raises(ValueError, match=message) as caught:
        read(text)
    assert "got" in str(caught.value)
    assert "\n" not in str(caught.value)


def _pair_of_number(number: int) -> Arch:
    return tuple(number if num == 10 else 0 for num in SPACE.num_choices)


def test_none_is_refused_where_there_is_no_zero_operation() -> None:
    text = V2.replace("dil_conv_3x3", "none")
    assert NONE in SPACE.from_string(text)
    seven = replace(SPACE, zero=False)
    with pytest.raises(ValueError, match="without its zero operation has no none"):
        seven.from_string(text)
    # The pairs of node 5 are ten, so a pair may have the number that none has.
    for arch in [tuple(num - 1 for num in seven.num_choices), _pair_of_number(NONE)]:
        assert seven.from_string(seven.to_string(arch)) == arch == seven.canonical(arch)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layers": 2}, "layers must be at least 3, got 2"),
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"auxiliary": 0.4, "image_size": 16}, "images of 29 to 40 pixels, got image_size 16"),
        ({"auxiliary": -1.0}, "auxiliary must be 0 or more"),
        ({"batch_norm": "none"}, 'batch_norm is "batch" or "running"'),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DARTS(**wrong)  # type: ignore[arg-type]
