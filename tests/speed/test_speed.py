"""Speed as ratios, with pytest-benchmark: ``tox -e speed``. A time in seconds never fails a test.

Sizes are the published supernet's (16 channels, 5 cells a stage) at batch 64 to train and 256 to
score, on one thread of the processor, or on a GPU where there is one. Each test's ``extra_info``
has the times and the ratio; ``docs/performance.md`` has the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import plain
import pytest
import torch
from ratios import SPACE, cifar_like, compare, peak_bytes, random_archs
from torch import Tensor
from torch.nn import functional as F

from benchmark.cli.memory import keep_freed_memory
from kshot_core.evaluation.scores import score_one
from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import SHARING
from kshot_core.space import Arch
from kshot_core.spaces import NASBench201
from kshot_core.spaces.nasbench201 import pooling
from kshot_core.streams import seeded
from kshot_core.training.recipe import Recipe
from kshot_core.training.trainer import Trainer
from kshot_core.weights.bank import KShot

BATCH, SCORING_BATCH, NUM = 64, 256, 24
POOL = {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}
Work = list[Callable[[], object]]
# Pixels a side, and the most that a simplex step of sixteen paths may cost in weight steps.
SMALL = [(8, 3.2), (16, 2.6), (32, 2.2)]


@pytest.fixture(scope="session")
def device() -> torch.device:
    keep_freed_memory()  # as every program does
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _trainer(
    K: int, device: torch.device, batch_paths: bool = True, space: NASBench201 = SPACE
) -> Trainer:
    sharing = SHARING["simplex" if K > 1 else "one-shot"](space, K, 0)
    with seeded(0):
        supernet = space.supernet()
    return Trainer(
        KShot(supernet, K, group=space.parameter_group).to(device),
        sharing.to(device),
        SAMPLERS["uniform"](space),
        cifar_like(BATCH * 4, device),
        Recipe(batch_size=BATCH, batch_paths=batch_paths),
        seed=0,
    )


def _batch(device: torch.device, num: int = BATCH) -> tuple[Tensor, Tensor]:
    images = cifar_like(num, device)
    return next(iter(images.training_batches(num, torch.Generator().manual_seed(1))))


def _step_on(trainer: Trainer, arch: Arch, x: Tensor, y: Tensor) -> None:
    trainer.sampler = lambda generator: [arch]  # type: ignore[assignment]
    trainer._weight_step(x, y, False)


def _times(
    ours: Work, theirs: Work, device: torch.device, paired: bool = True
) -> tuple[float, float, float]:
    """``compare``; on a processor by the time it worked on this, so that other programs count less.

    What they take of caches and memory still counts.
    """
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    return compare(ours, theirs, device, paired, clock)


def _report(benchmark: Any, work: Work, names: tuple[str, str], times: tuple[float, ...]) -> float:
    """Let pytest-benchmark time our side once more, and keep what was compared."""
    first, second, ratio = times
    benchmark.extra_info[f"{names[0]}_ms"] = round(1e3 * first, 2)
    benchmark.extra_info[f"{names[1]}_ms"] = round(1e3 * second, 2)
    benchmark.extra_info["ratio"] = round(ratio, 3)
    # Beside the table of pytest-benchmark, which has no room for it.
    print(f"\n{names[0]} {1e3 * first:.1f} ms, {names[1]} {1e3 * second:.1f} ms: {ratio:.3f}")  # noqa: T201
    benchmark.pedantic(work[0], rounds=3)
    return ratio


@pytest.mark.parametrize(("K", "most"), [(8, 1.05), (12, 1.08)])
def test_a_weight_step_costs_hardly_more_with_k_copies(
    benchmark: Any, device: torch.device, K: int, most: float
) -> None:
    x, y = _batch(device)
    one, several = _trainer(1, device), _trainer(K, device)
    archs = random_archs(NUM)
    ours: Work = [partial(_step_on, several, arch, x, y) for arch in archs]
    theirs: Work = [partial(_step_on, one, arch, x, y) for arch in archs]
    ratio = _report(benchmark, ours, (f"K={K}", "K=1"), _times(ours, theirs, device))
    assert ratio <= most


def test_a_simplex_step_costs_little_more_than_a_weight_step(
    benchmark: Any, device: torch.device
) -> None:
    x, y = _batch(device)
    trainer, other = _trainer(8, device), _trainer(8, device)
    ours: Work = [partial(trainer._simplex_step, x, y)] * NUM
    theirs: Work = [partial(_step_on, other, arch, x, y) for arch in random_archs(NUM)]
    # Sixteen random paths cost about their mean, a single one anything.
    times = _times(ours, theirs, device, paired=False)
    assert _report(benchmark, ours, ("simplex step", "weight step"), times) <= 1.5


@pytest.mark.parametrize(("size", "most"), SMALL)
def test_a_simplex_step_of_a_small_supernet(
    benchmark: Any, device: torch.device, size: int, most: float
) -> None:
    """Sixteen paths in one step against the mean of the weight steps of those paths.

    At most 1.5 is the aim, which is not met; what is bounded is what there is.
    """
    space = NASBench201(channels=8, cells=1)
    x, y = _batch(device)
    x = x[..., :size, :size].contiguous(memory_format=torch.channels_last)
    trainer, other = (_trainer(8, device, space=space) for _ in range(2))
    archs = random_archs(16)
    trainer.sampler = lambda generator: tuple(archs)
    ours: Work = [partial(trainer._simplex_step, x, y)] * len(archs)
    theirs: Work = [partial(_step_on, other, arch, x, y) for arch in archs]
    times = _times(ours, theirs, device, paired=False)
    assert _report(benchmark, ours, ("simplex step", "weight step"), times) <= most


def test_many_paths_in_one_pass_beat_a_loop(benchmark: Any, device: torch.device) -> None:
    x, y = _batch(device)
    together, apart = _trainer(8, device), _trainer(8, device, batch_paths=False)
    ours: Work = [partial(together._simplex_step, x, y)] * 12
    theirs: Work = [partial(apart._simplex_step, x, y)] * 12
    times = _times(ours, theirs, device)
    assert _report(benchmark, ours, ("one pass", "loop"), times) < 1


def _plain_step(
    trainer: Trainer, optimizer: torch.optim.Optimizer, arch: Arch, x: Tensor, y: Tensor
) -> None:
    with trainer.shared.merged(torch.ones(1, device=x.device)) as network:
        loss = F.cross_entropy(plain.forward(network, x, arch), y)  # type: ignore[arg-type]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(trainer.bank, 5.0)
    optimizer.step()


def test_a_training_step_beats_a_plain_one(benchmark: Any, device: torch.device) -> None:
    x, y = _batch(device)
    trainer, other = _trainer(1, device), _trainer(1, device)
    archs = random_archs(NUM)
    optimizer = torch.optim.SGD(other.bank, 0.025, 0.9, weight_decay=5e-4, nesterov=True)
    nchw = x.contiguous()
    ours: Work = [partial(_step_on, trainer, arch, x, y) for arch in archs]
    theirs: Work = [partial(_plain_step, other, optimizer, arch, nchw, y) for arch in archs]
    times = _times(ours, theirs, device)
    # Half is the aim, and .47 to .49 was measured (docs/performance.md): what is left are
    # convolutions at most of the speed they can have, so the rest is room for another machine.
    assert _report(benchmark, ours, ("ours", "plain"), times) <= 0.6


@torch.no_grad()
def _plain_score(shared: KShot, arch: Arch, x: Tensor, y: Tensor, dead_edges: bool) -> Tensor:
    with shared.merged(torch.ones(1, device=x.device)) as network:
        logits = plain.forward(network, x, arch, dead_edges)  # type: ignore[arg-type]
    return torch.stack([(logits.argmax(1) == y).float().mean() * 100, F.cross_entropy(logits, y)])


def test_scoring_takes_half_of_a_plain_forward_pass(benchmark: Any, device: torch.device) -> None:
    trainer = _trainer(1, device)
    x, y = _batch(device, SCORING_BATCH)
    archs = random_archs(NUM)
    score = partial(score_one, trainer.shared, trainer.sharing)
    ours: Work = [partial(score, arch, [(x, y)]) for arch in archs]
    nchw = x.contiguous()
    theirs: Work = [partial(_plain_score, trainer.shared, arch, nchw, y, False) for arch in archs]
    for one, other in zip(ours[:3], theirs[:3], strict=True):
        torch.testing.assert_close(one(), other(), rtol=1e-4, atol=0.5, check_dtype=False)
    times = _times(ours, theirs, device)
    assert _report(benchmark, ours, ("ours", "plain"), times) <= 0.5


def test_leaving_out_dead_edges_pays(benchmark: Any, device: torch.device) -> None:
    trainer = _trainer(1, device)
    x, y = _batch(device, SCORING_BATCH)
    archs = [arch for arch in random_archs(200) if SPACE.canonical(arch) != arch][:12]
    # Of the plain network, with and without: only the edges differ.
    ours: Work = [partial(_plain_score, trainer.shared, arch, x, y, False) for arch in archs]
    theirs: Work = [partial(_plain_score, trainer.shared, arch, x, y, True) for arch in archs]
    times = _times(ours, theirs, device)
    assert _report(benchmark, ours, ("live edges", "all edges"), times) < 0.95


def test_average_pooling_by_convolution_pays(benchmark: Any, device: torch.device) -> None:
    size = (BATCH, SPACE.channels, 32, 32)
    x = torch.randn(size, device=device).to(memory_format=torch.channels_last).requires_grad_()
    if not pooling.is_faster_by_convolution(x):
        pytest.skip("this processor pools as PyTorch does")

    gradient = torch.randn_like(x)

    def pool(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.autograd.grad(function(x), x, gradient)[0]

    ours: Work = [partial(pool, pooling.average_3x3)] * NUM
    theirs: Work = [partial(pool, partial(F.avg_pool2d, **POOL))] * NUM
    times = _times(ours, theirs, device)
    assert _report(benchmark, ours, ("convolution", "pooling"), times) < 1


def test_cutting_a_batch_is_a_small_part_of_a_step(benchmark: Any, device: torch.device) -> None:
    trainer = _trainer(1, device)
    images = cifar_like(BATCH * NUM, device)
    batches = images.training_batches(BATCH, torch.Generator().manual_seed(0))
    x, y = _batch(device)
    ours: Work = [partial(next, batches)] * (NUM - 4)
    theirs: Work = [partial(_step_on, trainer, arch, x, y) for arch in random_archs(NUM - 4)]
    times = _times(ours, theirs, device)
    assert _report(benchmark, ours, ("batch", "step"), times) < 0.05


def test_a_step_allocates_no_more_with_k_copies(benchmark: Any, device: torch.device) -> None:
    """Beside the bank and its momentum, which are K times as large and no matter of steps."""
    x, y = _batch(device)
    archs, peaks = random_archs(6), {}
    for K in (1, 8):
        trainer = _trainer(K, device)
        for arch in archs:  # momentum is there from a weight's first step on
            _step_on(trainer, arch, x, y)
        peaks[K] = []
        for arch in archs:
            trainer.optimizer.zero_grad()
            peaks[K].append(peak_bytes(partial(_step_on, trainer, arch, x, y), device))
    ratios = [several / one for one, several in zip(peaks[1], peaks[8], strict=True)]
    benchmark.extra_info["peak_megabytes"] = {K: [b / 1e6 for b in p] for K, p in peaks.items()}
    benchmark.pedantic(_step_on, (trainer, archs[0], x, y), rounds=1)
    assert max(ratios) <= 1.06
