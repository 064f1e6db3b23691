"""Scores of architectures against a plain loop over the merged network."""

from __future__ import annotations

import made_up
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.evaluation.scores import iterate_scores, predict, work_list
from kshot_core.sharing import SHARING, Sharing
from kshot_core.sharing.few_shot import FewShotSettings
from kshot_core.sharing.simplex import SimplexSettings
from kshot_core.spaces import NASBench201
from kshot_core.tasks.images import ImageSet
from kshot_core.weights.bank import KShot

SPACE = NASBench201(channels=2, cells=1, num_classes=4, image_size=6)
# Among these are many that share their live edges.
ARCHS = [arch for arch in SPACE.archs() if arch[3] == 1 and arch[0] == 0][:60]


def _shared(K: int, space: NASBench201 = SPACE) -> KShot:
    """Copies with every parameter drawn from a seed."""
    supernets = [space.supernet() for _ in range(K)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for network in supernets:
            for parameter in network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return KShot.from_supernets(supernets, group=space.parameter_group)


def _sharing(name: str, encoding: str = "raw") -> Sharing:
    K = 1 if name == "one-shot" else 3
    strategy = SimplexSettings(encoding=encoding) if name == "simplex" else SHARING[name]
    return strategy(SPACE, K)


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return made_up.images(36)


@pytest.mark.parametrize("name", SHARING)
def test_scores_equal_a_plain_loop(name: str, images: ImageSet) -> None:
    sharing = _sharing(name)
    shared = _shared(sharing.K)
    archs = ARCHS[:12]
    scores = predict(
        shared, sharing, archs, images, SPACE.canonical, batch_size=12, num_examples=30
    )
    assert scores.score.dtype == scores.loss.dtype == np.float32
    for index, arch in enumerate(archs):
        plain = SPACE.supernet()
        plain.load_state_dict(shared.weights(sharing([arch])[0]))
        plain.eval()
        with torch.no_grad():
            outputs = [(plain(x, arch), y) for x, y in images.scoring_batches(12, 30)]
        right = sum(int((logits.argmax(1) == y).sum()) for logits, y in outputs)
        loss = sum(float(F.cross_entropy(logits, y)) for logits, y in outputs) / 2
        assert scores.score[index] == pytest.approx(100 * right / 24)
        assert scores.loss[index] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "encoding", "merged"),
    [
        ("one-shot", "raw", True),
        ("fixed", "raw", True),
        ("simplex", "canonical", True),
        ("simplex", "raw", False),
        ("random", "raw", False),
    ],
)
def test_scoring_each_class_once_equals_scoring_all(
    name: str, encoding: str, merged: bool, images: ImageSet
) -> None:
    sharing = _sharing(name, encoding)
    shared = _shared(sharing.K)
    num_classes = len({SPACE.canonical(arch) for arch in ARCHS})
    assert num_classes < len(ARCHS) / 2
    scores = predict(shared, sharing, ARCHS, images, SPACE.canonical, batch_size=18)
    assert scores.num_scored == (num_classes if merged else len(ARCHS))
    all_scored = list(iterate_scores(shared, sharing, ARCHS, images.scoring_batches(18)))
    expected = np.array(all_scored, dtype=np.float32)
    assert np.array_equal(np.stack([scores.score, scores.loss], axis=1), expected)


def test_few_shot_merges_only_what_one_copy_runs() -> None:
    sharing = FewShotSettings(few_shot_edge=5)(SPACE, 5)
    unique, positions = work_list(ARCHS, sharing, SPACE.canonical)
    keys = [(SPACE.canonical(arch), arch[5]) for arch in ARCHS]
    assert len(unique) == len(set(keys)) < len(ARCHS)
    for arch, position in zip(ARCHS, positions, strict=True):
        assert SPACE.canonical(unique[position]) == SPACE.canonical(arch)
        assert unique[position][5] == arch[5]


@pytest.mark.parametrize("name", SHARING)
def test_a_score_does_not_depend_on_the_others(name: str, images: ImageSet) -> None:
    sharing = _sharing(name)
    shared = _shared(sharing.K)

    def score(archs: list[tuple[int, ...]]) -> list[tuple[float, float]]:
        scores = predict(shared, sharing, archs, images, SPACE.canonical, batch_size=18)
        return list(zip(scores.score.tolist(), scores.loss.tolist(), strict=True))

    together = score(ARCHS[:10])
    assert score(ARCHS[:10][::-1]) == together[::-1]
    assert [score([arch])[0] for arch in ARCHS[:10]] == together
    assert score([ARCHS[0]] * 3) == together[:1] * 3


def test_no_architectures_have_no_scores(images: ImageSet) -> None:
    scores = predict(_shared(1), _sharing("one-shot"), [], images, SPACE.canonical, batch_size=9)
    assert scores.score.shape == scores.loss.shape == (0,)
    assert scores.num_scored == 0


@pytest.mark.parametrize("training", [True, False])
def test_modes_and_gradients_are_left_as_they_were(training: bool, images: ImageSet) -> None:
    sharing, shared = _sharing("simplex"), _shared(3)
    shared.train(training)
    sharing.train(not training)
    batches = images.scoring_batches(18)
    list(iterate_scores(shared, sharing, ARCHS[:2], batches))
    assert shared.training == training
    assert sharing.training == (not training)
    assert all(p.grad is None for p in [*shared.parameters(), *sharing.parameters()])
    with pytest.raises(ValueError, match="the choice at site 5"):
        list(iterate_scores(shared, sharing, [(3, 3, 3, 3, 3, 7)], batches))
    assert shared.training == training


def _loss_by_batch_size(shared: KShot, images: ImageSet) -> list[float]:
    return [
        float(
            predict(
                shared,
                _sharing("one-shot"),
                [(3, 2, 1, 4, 3, 3)],
                images,
                SPACE.canonical,
                batch_size=size,
            ).loss[0]
        )
        for size in (12, 36)
    ]


def test_batch_norm_policy_is_the_spaces(images: ImageSet) -> None:
    """Batch statistics make the batch part of the score; running ones do not, nor do they move."""
    by_batch = _loss_by_batch_size(_shared(1), images)
    assert by_batch[0] != pytest.approx(by_batch[1], rel=1e-3)
    running = NASBench201(channels=2, cells=1, num_classes=4, image_size=6, batch_norm="running")
    shared = _shared(1, running)
    before = {name: value.clone() for name, value in shared.named_buffers()}
    by_batch = _loss_by_batch_size(shared, images)
    assert by_batch[0] == pytest.approx(by_batch[1], rel=1e-5)
    assert before
    for name, value in shared.named_buffers():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("batch_norm", ["batch", "running"])
def test_several_architectures_in_one_pass_score_as_each_does(
    batch_norm: str, images: ImageSet
) -> None:
    space = NASBench201(channels=2, cells=1, num_classes=4, image_size=6, batch_norm=batch_norm)
    shared, sharing = _shared(3, space), _sharing("simplex")
    batches = images.scoring_batches(12)
    each = list(iterate_scores(shared, sharing, ARCHS[:11], batches))
    together = list(iterate_scores(shared, sharing, ARCHS[:11], batches, num_paths=4))
    np.testing.assert_allclose(together, each, rtol=1e-4, atol=1e-4)


class Broken(nn.Module):
    """Its outputs are no numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((made_up.NUM_CLASSES,), torch.nan))

    def forward(self, x: Tensor, arch: tuple[int, ...]) -> Tensor:
        return x.mean((1, 2, 3))[:, None] * self.weight


def test_a_score_that_is_no_number_is_an_error(images: ImageSet) -> None:
    shared = KShot(Broken(), 1)
    with pytest.raises(FloatingPointError, match=r"\(0, 1\)"):
        predict(shared, _sharing("one-shot"), [(0, 1)], images, lambda arch: arch, batch_size=9)
