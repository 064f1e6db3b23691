"""The NAS-Bench-201 space: how its architectures are written, listed and counted."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from kshot_core.space import Arch
from kshot_core.spaces.nasbench201.space import (
    CONV_1X1,
    CONV_3X3,
    EDGES,
    NONE,
    NUM_ARCHS,
    POOL,
    SKIP,
    NASBench201,
    canonical,
)

SPACE = NASBench201()
ARCHS = SPACE.archs()
BEST_CIFAR10 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
)
FIRST = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
    "+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
)
archs = st.tuples(*[st.integers(0, 4)] * 6)


def test_how_many_there_are() -> None:
    assert len(set(ARCHS)) == len(ARCHS) == NUM_ARCHS == 15_625
    assert len({SPACE.canonical(arch) for arch in ARCHS}) == 9_445
    assert sum(not SPACE.is_valid(arch) for arch in ARCHS) == 341


def test_known_indices() -> None:
    assert SPACE.to_string(SPACE.from_index(6111)) == BEST_CIFAR10
    assert SPACE.to_string(SPACE.from_index(0)) == FIRST
    assert SPACE.index(SPACE.from_string(BEST_CIFAR10)) == 6111


@given(st.integers(0, NUM_ARCHS - 1))
def test_index_arch_and_text_agree(index: int) -> None:
    arch = SPACE.from_index(index)
    assert SPACE.index(arch) == index
    assert SPACE.from_string(SPACE.to_string(arch)) == arch == ARCHS[index]


@given(archs)
def test_text_names_the_operation_and_source_of_every_edge(arch: Arch) -> None:
    text = SPACE.to_string(arch)
    nodes = text.split("+")
    assert len(nodes) == 3
    names = {0: "none", 1: "skip_connect", 2: "nor_conv_1x1", 3: "nor_conv_3x3", 4: "avg_pool_3x3"}
    for (source, target), choice in zip(EDGES, arch, strict=True):
        assert nodes[target - 1].split("|")[1:-1][source] == f"{names[choice]}~{source}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        BEST_CIFAR10[:-1],
        BEST_CIFAR10 + "|",
        BEST_CIFAR10.replace("~2", "~1"),
        BEST_CIFAR10.replace("nor_conv_1x1", "nor_conv_5x5"),
        BEST_CIFAR10.replace("+", "|"),
        BEST_CIFAR10.upper(),
        "|none~0|+|none~0|none~1|",
        BEST_CIFAR10 + "+|none~0|",
        "|~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    ],
)
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"architecture reads \|op~0\||operation is one of"):
        SPACE.from_string(text)


@settings(max_examples=300)
@given(st.text(alphabet="|+~012noe", max_size=60))
def test_no_text_is_read_as_something_else(text: str) -> None:
    try:
        arch = SPACE.from_string(text)
    except ValueError:
        return
    assert SPACE.to_string(arch) == text


@pytest.mark.parametrize("index", [-1, NUM_ARCHS])
def test_an_index_outside_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=r"0\.\.15624"):
        SPACE.from_index(index)


def test_an_arch_of_another_space_is_refused() -> None:
    for bad in ((0,) * 5, (0,) * 7, (5, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, -1)):
        with pytest.raises(ValueError, match="choice"):
            SPACE.index(bad)
        with pytest.raises(ValueError, match="choice"):
            SPACE.standalone(bad)


@pytest.mark.parametrize(
    "setting",
    [
        {"channels": 0},
        {"cells": 0},
        {"num_classes": 0},
        {"image_channels": 0},
        {"image_size": 3},
        {"batch_norm": "none"},
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, int | str]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        NASBench201(**setting)  # type: ignore[arg-type]


# Live edges.


def _live_by_paths(arch: Arch) -> Arch:
    """Edges on any of the four ways from node 0 to node 3 that no ``none`` interrupts."""
    ways = [(0, 1, 3), (0, 2, 3), (0, 1, 2, 3), (0, 3)]
    live: set[tuple[int, int]] = set()
    for way in ways:
        edges = list(pairwise(way))
        if all(arch[EDGES.index(edge)] != NONE for edge in edges):
            live.update(edges)
    return tuple(choice if edge in live else NONE for edge, choice in zip(EDGES, arch, strict=True))


def test_live_edges_are_those_on_a_path_from_input_to_output() -> None:
    for arch in ARCHS:
        assert canonical(arch) == _live_by_paths(arch)


def test_canonical_form_is_stable_and_says_validity() -> None:
    for arch in ARCHS:
        live = SPACE.canonical(arch)
        assert SPACE.canonical(live) == live
        assert SPACE.is_valid(arch) == any(live)
        num = sum(choice in (CONV_1X1, CONV_3X3) for choice in live)
        assert SPACE.num_convolutions(arch) == num


def test_numbers_of_convolutions() -> None:
    counts = Counter(SPACE.num_convolutions(arch) for arch in ARCHS)
    assert set(counts) == set(range(7))
    assert counts[6] == 2**6, "six live convolutions need convolutions on all six edges"


# Costs.


def test_costs_equal_the_benchmark(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "nb201" / "nb201_truth.csv.xz")
    cifar10 = NASBench201()
    imagenet = NASBench201(num_classes=120, image_size=16)
    from_text = [cifar10.from_string(text) for text in table["arch"]]
    assert from_text == cifar10.archs(), "the benchmark's order"
    rows = {
        "cifar10/params_M": [cifar10.params(arch) for arch in from_text],
        "cifar10/flops_M": [cifar10.flops(arch) for arch in from_text],
        "imagenet16-120/flops_M": [imagenet.flops(arch) for arch in from_text],
    }
    for column, ours in rows.items():
        # The columns are millions, written with at most six decimals.
        np.testing.assert_allclose(np.array(ours), table[column] * 1e6, rtol=0, atol=0.5)


MACROS = [
    NASBench201(channels=4, cells=1, num_classes=3, image_size=8),
    NASBench201(channels=3, cells=2, num_classes=7, image_size=12, image_channels=1),
    NASBench201(channels=4, cells=1, num_classes=5, image_size=13),
    NASBench201(channels=2, cells=3, num_classes=2, image_size=7, image_channels=2),
    NASBench201(channels=4, cells=1, num_classes=120, image_size=9, affine=True),
]


@pytest.mark.parametrize("space", MACROS, ids=lambda space: f"size{space.image_size}")
@settings(max_examples=8, deadline=None)
@given(arch=archs)
def test_costs_equal_a_count_on_the_built_network(space: NASBench201, arch: Arch) -> None:
    network = space.standalone(arch)
    assert sum(parameter.numel() for parameter in network.parameters()) == space.params(arch)
    live = space.canonical(arch)
    size = space.image_size
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(2, space.image_channels, size, size))
    # torch counts two operations a multiply-add, and no bias; ours counts the classifier's.
    counted = counter.get_total_flops() / 2 / 2 + space.num_classes
    assert counted == space.live_flops(arch) == space.flops(live)
    assert space.live_flops(arch) <= space.flops(arch)
    assert space.live_params(arch) == space.params(live) <= space.params(arch)
    dead = [choice for choice, kept in zip(arch, live, strict=True) if choice != kept]
    costly = any(choice in (CONV_1X1, CONV_3X3) for choice in dead)
    assert (space.live_flops(arch) < space.flops(arch)) == costly


def test_dead_edges_cost_what_live_ones_do() -> None:
    dead = (NONE, NONE, NONE, SKIP, CONV_3X3, POOL)
    alive = (SKIP, NONE, NONE, SKIP, CONV_3X3, POOL)
    assert SPACE.flops(dead) == SPACE.flops(alive)
    assert SPACE.live_flops(dead) < SPACE.flops(dead) == SPACE.live_flops(alive)
