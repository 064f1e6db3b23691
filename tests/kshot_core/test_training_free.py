"""Scores of untrained networks and the angle of trained ones, each against brute force."""

from __future__ import annotations

import copy
import csv
import lzma
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.evaluation.angle import used_groups, weights_angle
from kshot_core.evaluation.training_free import TRAINING_FREE, depth, naswot, synflow
from kshot_core.metrics.correlation import spearman
from kshot_core.space import Space
from kshot_core.spaces import (
    DARTS,
    DARTSPTB,
    MobileNetV2,
    NASBench101,
    NASBench201,
    NASBenchMacro,
    Proxyless,
)
from kshot_core.streams import seeded
from kshot_core.weights.bank import KShot


class Plain(nn.Module):
    """Two convolutions, one beside a skip, a ReLU as a module and one as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.second = nn.Conv2d(4, 4, 1)
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.first(x)))
        x = x + F.relu6(self.second(x))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def plain() -> tuple[Plain, Tensor]:
    with seeded(0):
        return Plain(), torch.randn(5, 3, 6, 6)


def test_naswot_is_the_kernel_s_determinant() -> None:
    network, x = plain()
    inner = network.norm(network.first(x))
    outer = network.second(F.relu(inner))
    patterns = torch.cat([(inner > 0).flatten(1), (outer > 0).flatten(1)], 1)
    kernel = torch.tensor(
        [[float((a == b).sum()) for b in patterns] for a in patterns], dtype=torch.float64
    )
    assert naswot(network, x) == pytest.approx(math.log(float(torch.det(kernel))), rel=1e-9)
    assert naswot(network, x[[0, 0, 1]]) == -math.inf


def test_synflow_is_the_sum_over_weights_of_the_network_without_norms() -> None:
    network, x = plain()
    other = copy.deepcopy(network).double()
    other.norm = nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.abs_()
            parameter.mul_(0.01)  # far below 6
    ours = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(-0.01)
    other(torch.ones(1, 3, 6, 6, dtype=torch.float64)).sum().backward()
    used = [p for p in other.parameters() if p.grad is not None]
    total = float(sum((p.detach() * p.grad).abs().sum() for p in used))
    assert synflow(ours, x) == pytest.approx(math.log(total), rel=1e-6)
    # Where a bounded ReLU would hold it back, the flow still grows with every weight's scale.
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(1e4)
    assert synflow(ours, x) > math.log(total) + 2 * math.log(1e4)
    assert all(p.grad is None for p in ours.parameters())


def test_synflow_of_a_network_that_nothing_flows_through() -> None:
    network, x = plain()
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    assert synflow(network, x) == -math.inf


def test_depth_is_the_longest_way() -> None:
    network, x = plain()
    assert depth(network, x) == 3
    space = NASBench201(channels=2, cells=1, num_classes=3, image_size=8)
    images = torch.zeros(2, 3, 8, 8)
    # Stem, two reductions of two convolutions, classifier; then 3 edges in a row, or 1, in 3 cells.
    for arch, per_cell in {
        (3, 0, 3, 0, 0, 3): 3,
        (0, 0, 0, 3, 0, 0): 1,
        (1, 0, 1, 0, 0, 1): 0,
    }.items():
        assert depth(space.standalone(arch), images) == 1 + 4 + 1 + 3 * per_cell
    chain = Proxyless(stages=((4, 3, 1),), stem=4, first=4, head=4, num_classes=3, image_size=8)
    # Stem, two of the fixed block, three a block, head, classifier.
    assert depth(chain.standalone((0, 6, 5)), images) == 1 + 2 + 2 * 3 + 1 + 1


SPACES: dict[str, Space] = {
    "darts": DARTS(channels=2, layers=3, zero=False, num_classes=3, image_size=8),
    "mobilenetv2": MobileNetV2(
        stages=((4, 2, 2),), stem=4, first=4, head=6, num_classes=3, image_size=8
    ),
    "nasbench101": NASBench101(channels=4, cells=1, num_classes=3, image_size=8),
    "nasbench201": NASBench201(channels=2, cells=1, num_classes=3, image_size=8),
    "nasbench_macro": NASBenchMacro(stem=2, head=6, num_classes=3, image_size=8),
    "proxyless": Proxyless(
        stages=((8, 2, 2),), stem=4, first=4, head=6, num_classes=3, image_size=8
    ),
}


@pytest.mark.parametrize("score", TRAINING_FREE)
@pytest.mark.parametrize("name", SPACES)
def test_networks_of_every_space_have_scores(name: str, score: str) -> None:
    space = SPACES[name]
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    least, most = space.extremes()  # type: ignore[attr-defined]
    with seeded(0):
        networks = [space.standalone(arch) for arch in (least, most)]
    before = [p.clone() for p in networks[1].parameters()]
    values = [TRAINING_FREE[score](network, images) for network in networks]
    assert math.isfinite(values[1])
    # The largest architecture of each space is not thought the worse one.
    assert values[1] >= values[0]
    assert all(torch.equal(p, q) for p, q in zip(networks[1].parameters(), before, strict=True))


def _shared(space: Space, K: int, seed: int) -> KShot:
    with seeded(seed):
        return KShot(space.supernet(), K, seed=seed, group=space.parameter_group)


@pytest.mark.parametrize("name", SPACES)
def test_the_weights_of_a_path_are_those_that_get_gradients(name: str) -> None:
    space = SPACES[name]
    arch = space.extremes()[1]  # type: ignore[attr-defined]
    shared, images, code = _shared(space, 2, 0), torch.randn(4, 3, 8, 8), torch.tensor([0.3, 0.7])
    used = used_groups(shared, arch, code, images)
    shared(images, arch, code).sum().backward()
    assert set(used) == {key for key, value in shared.bank.items() if value.grad is not None}


@pytest.mark.parametrize("name", SPACES)
def test_every_space_of_images_has_angles_that_tell_architectures_apart(name: str) -> None:
    space = SPACES[name]
    before, after = _shared(space, 1, 0), _shared(space, 1, 1)
    archs = [*space.extremes(), space.sample(torch.Generator().manual_seed(0))]  # type: ignore[attr-defined]
    images, one = torch.randn(2, 3, 8, 8), torch.ones(1)
    angles = [weights_angle(before, after, arch, (one, one), images) for arch in archs]
    assert all(0 < angle < math.pi for angle in angles)
    assert len(set(angles)) > 1
    assert weights_angle(after, after, archs[0], (one, one), images) < 1e-3


def test_recurrent_cells_use_all_weights_so_that_only_codes_tell_them_apart() -> None:
    space = DARTSPTB(units=6, num_classes=12)
    before, after = _shared(space, 2, 0), _shared(space, 2, 1)
    inputs, half = (torch.randint(12, (2, 4)), None), torch.tensor([0.5, 0.5])
    least, most = space.extremes()
    angles = [weights_angle(before, after, arch, (half, half), inputs) for arch in (least, most)]
    assert 0 < angles[0] == angles[1] < math.pi
    assert set(used_groups(after, most, half, inputs)) == set(after.bank)
    other = torch.tensor([0.9, 0.1])
    assert weights_angle(before, after, most, (half, other), inputs) != angles[0]


def test_the_angle_is_that_between_the_mixed_weights() -> None:
    space = SPACES["nasbench201"]
    before, after = _shared(space, 3, 0), _shared(space, 3, 1)
    images, arch = torch.randn(4, 3, 8, 8), (3, 0, 1, 4, 0, 2)
    codes = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([0.6, 0.4, 0.0])
    vectors = []
    for shared, code in zip((before, after), codes, strict=True):
        groups = ["fixed", "edge-0-3", "edge-5-2"]
        copies = torch.cat([shared.bank[group].detach() for group in groups], 1)
        vectors.append((code[:, None] * copies).sum(0))
    cosine = F.cosine_similarity(*vectors, dim=0)
    angle = weights_angle(before, after, arch, codes, images)
    assert angle == pytest.approx(float(torch.acos(cosine)), rel=1e-4)
    assert weights_angle(before, before, arch, (codes[0], codes[0]), images) < 1e-3


def test_naswot_ranks_as_published_scores_do(shared_file: Callable[[str], Path]) -> None:
    """Narrow networks on noise, against the column's, which are the benchmark's on images."""
    path = shared_file("nb201/nb201_truth.csv.xz")
    with lzma.open(path, "rt", encoding="utf-8") as file:
        rows = [row for at, row in enumerate(csv.DictReader(file)) if at % 500 == 0]
    space = NASBench201(channels=8, cells=1)
    images = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ours, published = [], []
    for row in rows:
        if row["cifar10/naswot"]:
            with seeded(0):
                network = space.standalone(space.from_string(row["arch"]))
            ours.append(naswot(network, images))
            published.append(float(row["cifar10/naswot"]))
    assert len(ours) > 25
    assert spearman(ours, published) > 0.4
