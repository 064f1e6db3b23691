"""Gradients in shared weights: which weights count, and what their cosine is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.evaluation.interference import gradient_pairs
from kshot_core.sharing import SHARING
from kshot_core.space import Arch
from kshot_core.spaces import DARTSPTB, NASBench201
from kshot_core.streams import seeded
from kshot_core.tasks import task_of
from kshot_core.weights.bank import KShot

SPACE = NASBench201(channels=3, cells=1, num_classes=4, image_size=8)
ONE = SHARING["one-shot"](SPACE, 1, 0)
ARCHS: list[Arch] = [(3, 0, 0, 1, 2, 0), (3, 0, 0, 3, 2, 0), (3, 2, 0, 2, 0, 2), (3, 0, 0, 2, 2, 0)]


def _batches(num: int = 2) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(6, 3, 8, 8, generator=generator),
            torch.randint(4, (6,), generator=generator),
        )
        for _ in range(num)
    ]


def _shared(K: int = 1) -> KShot:
    with seeded(1):
        supernet = SPACE.supernet()
    return KShot(supernet, K, group=SPACE.parameter_group)


def test_the_cosine_is_that_of_gradients_of_the_plain_network() -> None:
    shared, batches = _shared(), _batches()
    archs = [SPACE.canonical(arch) for arch in ((3, 3, 0, 1, 2, 3), (3, 1, 0, 0, 2, 3))]
    third = SPACE.canonical((0, 0, 0, 1, 0, 0))
    found = gradient_pairs(shared, ONE, [*archs, third], batches)
    assert [(one.first, one.second) for one in found] == [(0, 1), (0, 2), (1, 2)]
    with seeded(1):
        plain = SPACE.supernet().eval()
    gradients = []
    for arch in archs:
        plain.zero_grad()
        sum(F.cross_entropy(plain(x, arch), y) for x, y in batches).backward()  # type: ignore[union-attr]
        gradients.append(
            {
                name: value.grad.clone()
                for name, value in plain.named_parameters()
                if value.grad is not None and SPACE.parameter_group(name) != "fixed"
            }
        )
    common = sorted(gradients[0].keys() & gradients[1].keys())
    assert common
    assert set(common) != set(gradients[0])
    ends = [torch.cat([one[name].flatten() for name in common]) for one in gradients]
    assert found[0].cosine == pytest.approx(float(F.cosine_similarity(*ends, dim=0)), abs=1e-5)
    sizes = [{name: value.numel() for name, value in one.items()} for one in gradients]
    union = sizes[0] | sizes[1]
    shares = sum(sizes[0][name] for name in common) / sum(union.values())
    assert found[0].in_common == pytest.approx(shares)
    assert 0 < shares < 1
    # A path of skips alone has no searched weights.
    assert math.isnan(found[1].cosine)
    assert found[1].in_common == 0


class _Tug(nn.Module):
    """One weight that paths pull upwards, downwards, or not at all; and one that all use."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Parameter(torch.ones(1))
        self.pulled = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (B, 2)."""
        score = self.stem.expand(len(x))
        if arch[0] < 2:
            sign = 1.0 if arch[0] == 0 else -1.0
            score = score + sign * self.pulled.sum()
        return torch.stack([score, -score], 1)


def test_planted_conflict_is_found() -> None:
    shared = KShot(_Tug(), 1, group=lambda name: name)
    x, y = torch.zeros(4, 1), torch.zeros(4, dtype=torch.long)
    archs: list[Arch] = [(0,), (1,), (0,), (2,)]
    found = {(p.first, p.second): p for p in gradient_pairs(shared, ONE, archs, [(x, y)])}
    assert found[0, 1].cosine == pytest.approx(-1)
    assert found[0, 2].cosine == pytest.approx(1)
    assert math.isnan(found[0, 3].cosine)
    assert (found[0, 1].in_common, found[0, 3].in_common) == (1, 0)


def test_copies_that_paths_do_not_share_do_not_interfere() -> None:
    shared = KShot(_Tug(), 2, group=lambda name: name)
    x, y = torch.zeros(4, 1), torch.zeros(4, dtype=torch.long)

    class Own(nn.Module):
        K = 2

        def forward(self, archs: list[Arch]) -> Tensor:
            return torch.eye(2)[[arch[0] for arch in archs]]

    archs: list[Arch] = [(0,), (1,)]
    (pair,) = gradient_pairs(shared, Own(), archs, [(x, y)])  # type: ignore[arg-type]
    assert pair.cosine == pytest.approx(0, abs=1e-9)


def test_nothing_of_the_supernet_changes() -> None:
    shared, sharing = _shared(3), SHARING["simplex"](SPACE, 3, 0)
    shared.train()
    before = {name: value.clone() for name, value in shared.state_dict().items()}
    state = torch.get_rng_state()
    first = gradient_pairs(shared, sharing, ARCHS, _batches())
    assert repr(first) == repr(gradient_pairs(shared, sharing, ARCHS, _batches()))
    assert shared.training
    assert sharing.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in shared.state_dict().items())
    assert all(one.grad is None for one in shared.parameters())
    assert len(first) == 6
    with pytest.raises(ValueError, match="at least 2 archs, got 1"):
        gradient_pairs(shared, sharing, ARCHS[:1], _batches())


def test_a_task_that_carries_a_state_has_gradients_too() -> None:
    space = DARTSPTB(units=5, num_classes=7)
    with seeded(0):
        shared = KShot(space.supernet(), 1, group=space.parameter_group)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(7, (2, 2, 4, 6), generator=generator)
    batches = [(x, y) for x, y in tokens]
    archs = [space.sample(generator) for _ in range(3)]
    found = gradient_pairs(shared, ONE, archs, batches, task_of(space))
    # Every path uses all weights, and so all count.
    assert all(pair.in_common == 1 and -1 <= pair.cosine <= 1 for pair in found)
