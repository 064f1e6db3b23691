"""A GPU's part rehearsed without one: no step mixes devices or waits, and its kernels are few."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from kshot_core.evaluation.scores import score_ensemble, score_one, score_several
from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import SHARING
from kshot_core.space import Arch, Space
from kshot_core.spaces import MobileNetV2, NASBench201, NASBenchMacro
from kshot_core.training.lockstep import run_steps
from kshot_core.training.recipe import Recipe
from kshot_core.training.regularisation import WidthRegularisation
from kshot_core.training.rehearsal import DEVICE, Rehearsal, RehearsalError, rehearse_step
from kshot_core.training.steps import Step, run_step
from kshot_core.training.trainer import Trainer
from kshot_core.weights.bank import KShot

SPACES: dict[str, Space] = {
    "nasbench201": NASBench201(channels=8, cells=1),
    "nasbench_macro": NASBenchMacro(stem=4, head=8),
    "mobilenetv2": MobileNetV2(
        stages=((8, 2, 2),), stem=4, first=4, head=8, num_classes=10, image_size=32
    ),
}
SIZE, BATCH = 16, 32


class _OnTheDevice:
    """Batches without numbers."""

    def __len__(self) -> int:
        return 2 * BATCH

    def training_batches(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(2):
            yield batch(batch_size)


def batch(num: int = BATCH) -> tuple[Tensor, Tensor]:
    labels = torch.empty(num, dtype=torch.long, device=DEVICE)
    return torch.empty(num, 3, SIZE, SIZE, device=DEVICE), labels


def trainer(
    name: str = "nasbench201", K: int = 4, sharing: str = "simplex", sampler: str = "uniform",
    **changes: object,
) -> Trainer:  # fmt: skip
    """A training on the meta device."""
    space = SPACES[name]
    widths = WidthRegularisation(space.num_choices, space.width_sites, canonical=space.canonical)
    return Trainer(
        KShot(space.supernet(), K, group=space.parameter_group).to(DEVICE),
        SHARING[sharing](space, K).to(DEVICE),
        SAMPLERS[sampler](space),
        _OnTheDevice(),
        Recipe(batch_size=BATCH, num_groups=2, **changes),  # type: ignore[arg-type]
        0,
        widths=widths if space.width_sites else None,
    )


@pytest.mark.parametrize("name", SPACES)
def test_no_step_mixes_devices_or_waits(name: str) -> None:
    mended = {"compensate": True, "clip_norm": "merged", "balance": 1.0}
    training = trainer(name, unsampled="decay", **mended)
    with Rehearsal() as seen:
        for warm in (True, False):
            training._weight_step(*batch(), warm=warm)
        figures = training._simplex_step(*batch())
    assert ("width_regularisation" in figures) == (name == "mobilenetv2")
    assert seen.by_name()["convolution_backward"] > 10
    joint = trainer(name, schedule="joint")
    with Rehearsal():
        joint._joint_step(*batch())


@pytest.mark.parametrize("sharing", ["random", "few-shot", "fixed", "one-shot"])
def test_no_strategy_makes_a_step_wait(sharing: str) -> None:
    training = trainer(K=1 if sharing == "one-shot" else 4, sharing=sharing, sampler="fair")
    with Rehearsal():
        training._weight_step(*batch(), warm=False)


def test_no_strategy_makes_scoring_wait() -> None:
    for sharing in ("simplex", "random"):
        training = trainer(sharing=sharing)
        archs = [(3, 3, 1, 2, 4, 3), (1, 2, 3, 2, 1, 0)]
        parts = training.shared.eval(), training.sharing.eval()
        with Rehearsal() as seen:
            score_one(*parts, archs[0], [batch(), batch()])
        # Merged once for all batches.
        assert seen.by_name()["convolution"] == 2 * len(_convolutions(archs[0]))
        with Rehearsal(), torch.no_grad():
            score_several(*parts, archs, [batch()])
            score_ensemble([parts, parts], archs[0], [batch()], "average")


def _convolutions(arch: Arch) -> list[int]:
    """One of the stem, three of each reduction, one of a live edge in each of three cells."""
    live = SPACES["nasbench201"].canonical(arch)
    return [0] * 7 + [edge for edge in live if edge in (2, 3)] * 3


def _step(training: Trainer, archs: list[Arch]) -> Step:
    x, y = (one.expand(len(archs), *one.shape) for one in batch())
    codes = training.sharing(archs).detach()
    return Step(training.shared, x, y, archs, codes, codes.new_ones(len(archs)), True)


def test_steps_in_lockstep_share_kernels_and_do_not_wait() -> None:
    trainings = [trainer(K=K) for K in (1, 2, 3)]
    archs: list[Arch] = [(3, 3, 1, 2, 4, 3)]
    with Rehearsal() as apart:
        for training in trainings:
            run_step(_step(training, archs))
    with Rehearsal() as together:
        run_steps([_step(training, archs) for training in trainings])
    assert together.flops == pytest.approx(apart.flops, rel=0.05)
    # And equal operations that leave one node are one.
    assert together.by_name()["convolution"] < apart.by_name()["convolution"] / 3


def test_the_kernels_and_bytes_of_a_step_are_bounded() -> None:
    """As they were measured, with a little to spare: whoever adds some sees it here."""
    arch: Arch = (3, 3, 1, 2, 4, 3)
    counts = {}
    for K in (1, 8):
        training = trainer(K=K)
        training.sampler = lambda generator: (arch,)
        counts["weight", K] = rehearse_step(training, "weight", *batch())
    training = trainer(K=8)
    training.sampler = lambda generator: (arch, (2, 4, 3, 1, 3, 2))
    counts["simplex", 8] = rehearse_step(training, "simplex", *batch())
    one, eight = counts["weight", 1], counts["weight", 8]
    assert (one.num_kernels, one.num_bytes) <= (200, 57e6)
    # What K costs is merging: a product of each group used, forward and backward.
    assert eight.num_kernels <= one.num_kernels + 20
    assert eight.flops <= 1.01 * one.flops
    # Two paths of half the images each, in one pass.
    assert counts["simplex", 8].num_kernels <= 2.1 * eight.num_kernels
    assert counts["simplex", 8].num_bytes <= 1.2 * eight.num_bytes


def test_what_is_counted() -> None:
    with Rehearsal() as seen:
        x = torch.empty(4, 8, device=DEVICE)
        y = x.view(8, 4).mT @ torch.empty(8, 2, device=DEVICE)
        y.relu_()
    assert seen.by_name() == {"mm": 1, "relu_": 1}
    assert seen.flops == 2 * 4 * 8 * 2
    # Three operands of the product, and one that is read and written in place.
    assert seen.num_bytes == 4 * (32 + 16 + 8) + 4 * (8 + 8)
    with Rehearsal() as elsewhere:
        torch.ones(3) + 1
    assert elsewhere.operations == []


WRONG: dict[str, tuple[Callable[[Tensor], object], str]] = {
    "mixed": (lambda x: x + torch.ones(3), "add mixes devices: cpu, meta"),
    "item": (lambda x: x.sum().item(), "waits for the device"),
    "bool": (lambda x: bool((x > 0).all()), "waits for the device"),
    "cpu": (lambda x: x.cpu(), "a copy from it to cpu"),
    "nonzero": (lambda x: x.nonzero(), "nonzero waits"),
    "mask": (lambda x: x[x > 0], "waits"),
    "upload": (lambda x: torch.ones(3).to(DEVICE), "not non_blocking"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_gpu_would_forgive_is_refused(name: str) -> None:
    function, message = WRONG[name]
    with Rehearsal(), pytest.raises(RehearsalError, match=message):
        function(torch.empty(3, device=DEVICE))


def test_a_step_that_waits_is_caught() -> None:
    """What the tests above would see."""
    training = trainer()
    run = training.engine

    def waits(step: Step) -> Tensor:
        losses = run(step)
        return losses if losses.sum() < 1e9 else losses * 0

    training.engine = waits
    with Rehearsal(), pytest.raises(RehearsalError, match="waits"):
        training._weight_step(*batch(), warm=False)
