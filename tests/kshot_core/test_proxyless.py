"""ProxylessNAS's space: published networks, every cost of its real table, the two networks."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from kshot_core.space import Arch
from kshot_core.spaces import Proxyless
from kshot_core.spaces.proxyless import SKIP
from kshot_core.streams import seeded
from kshot_core.weights.bank import KShot

SPACE = Proxyless()
SMALL = Proxyless(
    stages=((8, 2, 2), (12, 3, 1)), stem=8, first=6, head=20, num_classes=4, image_size=13,
    stem_stride=1,
)  # fmt: skip
ARCHS = st.tuples(*(st.integers(0, num - 1) for num in SMALL.num_choices))


@dataclass(frozen=True)
class Published:
    """A network of the paper's authors: channels, choices, parameters and millions of FLOPs."""

    stem: int
    first: int
    head: int
    widths: tuple[int, ...]
    arch: Arch
    params: int
    mflops: float


_MOBILE: Arch = (2, 0, 6, 6, 4, 0, 2, 2, 5, 2, 2, 2, 3, 2, 2, 2, 5, 5, 4, 4, 5)
PUBLISHED = {
    "mobile": Published(32, 16, 1280, (32, 40, 80, 96, 192, 320), _MOBILE, 4_080_512, 320),
    "mobile_14": Published(48, 24, 1792, (40, 56, 112, 136, 256, 448), _MOBILE, 6_857_568, 581),
    "cpu": Published(
        40, 24, 1432, (32, 48, 88, 104, 216, 360),
        (1, 0, 0, 0, 1, 0, 0, 2, 1, 6, 6, 0, 3, 0, 0, 0, 3, 2, 2, 0, 3), 4_361_648, 439,
    ),
    "gpu": Published(
        40, 24, 1728, (32, 56, 112, 128, 256, 432),
        (2, 6, 6, 6, 4, 6, 6, 0, 5, 6, 6, 2, 3, 6, 0, 2, 5, 5, 5, 3, 5), 7_119_848, 465,
    ),
}  # fmt: skip


def _images(num: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(num, 3, 13, 13, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_cost_what_is_published(name: str) -> None:
    net = PUBLISHED[name]
    stages = tuple(
        (width, num, stride)
        for width, (_, num, stride) in zip(net.widths, SPACE.stages, strict=True)
    )
    space = Proxyless(stages=stages, stem=net.stem, first=net.first, head=net.head)
    assert space.params(net.arch) == net.params
    assert round(space.flops(net.arch) / 1e6) == net.mflops


def test_there_are_as_many_architectures_as_stated() -> None:
    assert math.prod(SPACE.num_choices) == 7**15 * 6**6


def test_every_cost_of_the_real_table(shared_file: Callable[[str], Path]) -> None:
    path = shared_file("five_spaces/proxylessnas.csv")
    space = replace(SPACE, width=1.35)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 36
    for row in rows:
        arch = tuple(json.loads(row["architecture"]).values())
        assert space.params(arch) == int(row["params"])
        # The table counted in 32 bits.
        assert np.float32(space.flops(arch)) == float(row["flops"])


def test_a_wider_network_has_channels_that_eight_divides() -> None:
    wider = replace(SPACE, width=1.35).widths
    assert (wider.stem, wider.first, wider.head) == (40, 24, 1728)
    assert sorted(set(wider.layers)) == [32, 56, 112, 128, 256, 432]
    narrow = replace(SPACE, width=0.1).widths
    assert (narrow.stem, narrow.first, narrow.head) == (8, 8, 1280)
    assert set(narrow.layers) == {8, 16, 24, 32}


@settings(max_examples=15, deadline=None)
@given(arch=ARCHS)
def test_costs_are_those_of_the_built_network(arch: Arch) -> None:
    network = SMALL.standalone(arch).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 13, 13))
    assert counter.get_total_flops() == 2 * SMALL.flops(arch)
    assert sum(p.numel() for p in network.parameters()) == SMALL.params(arch)


@pytest.mark.parametrize("arch", [(0, 6, 5, 6, 6), (3, 1, 2, 6, 4)])
def test_a_path_of_the_supernet_is_the_network_with_its_weights(arch: Arch) -> None:
    with seeded(0):
        supernet = SMALL.supernet().double()
    alone = SMALL.standalone(arch).double()
    shared = dict(supernet.named_parameters())
    alone.load_state_dict({name: shared[name] for name in alone.state_dict()})
    torch.testing.assert_close(supernet(_images(), arch), alone(_images()))


def test_only_the_path_gets_gradients() -> None:
    with seeded(0):
        shared = KShot(SMALL.supernet(), 2, group=SMALL.parameter_group)
    arch = (0, SKIP, 5, 4, SKIP)
    shared(_images().float(), arch, torch.tensor([0.3, 0.7])).sum().backward()
    used = {name for name, value in shared.bank.items() if value.grad is not None}
    assert used == {"fixed", "layer-0-k3_e3", "layer-2-k7_e6", "layer-3-k7_e3"}


@pytest.mark.parametrize(
    "text", ["", "id,k3e3,k3e3,k3e3,k3e3", "k3e3,k3e3,k3e3,k3e3", "k3e3,k4e3,id,id,id"]
)
def test_text_that_is_no_architecture_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="got"):
        SMALL.from_string(text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0.0}, "width must be above 0, got 0"),
        ({"stages": ()}, "stages must be at least one"),
        ({"stages": ((8, 1, 3),)}, "stride 1 or 2"),
        ({"stem_stride": 3}, "stem_stride is 1 or 2, got 3"),
        ({"batch_norm": "none"}, 'batch_norm is "batch" or "running"'),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Proxyless(**wrong)  # type: ignore[arg-type]
