"""Two processes under torchrun are one that runs weight steps in halves, simplex steps whole."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_ranks
from safetensors.torch import load_file
from torch import Tensor

from kshot_core.sharing import SHARING
from kshot_core.tasks.batches import Part
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.recipe import Recipe
from kshot_core.training.steps import Step, run_step
from kshot_core.training.trainer import Trainer, fit

FOLDER = Path(two_ranks.__file__).parent


def torchrun(*arguments: str) -> None:
    """Run a program in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", *arguments]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{FOLDER}:{FOLDER.parent.parent}",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def _in_halves(step: Step) -> Tensor:
    """Run a weight step half batch by half batch, each normalised by itself, and add the gradients.

    A simplex step is none of the processes' business: whole paths are divided among them.
    """
    if len(step.archs) > 1:
        return run_step(step)
    middle = step.y.shape[1] // 2
    losses = torch.zeros(1, dtype=step.x.dtype)
    for half in (slice(0, middle), slice(middle, None)):
        x, y = step.x[:, half], step.y[:, half]
        losses += run_step(dataclasses.replace(step, x=x, y=y, weights=step.weights / 2)) / 2
    return losses


@pytest.mark.parametrize(
    ("schedule", "unsampled"),
    [("alternate", "freeze"), ("alternate", "decay"), ("joint", "freeze")],
)
def test_two_processes_equal_one(schedule: str, unsampled: str, tmp_path: Path) -> None:
    torchrun(str(FOLDER / "two_ranks.py"), str(tmp_path), schedule, unsampled)
    first, second = load_file(tmp_path / "0"), load_file(tmp_path / "1")
    one = two_ranks.trainer(schedule, unsampled, engine=_in_halves)
    log = torch.cat([torch.tensor(list(figures.values())) for figures in fit(one)])
    for name, value in (one.state() | {"log": log}).items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(
            first[name], value, msg=lambda text, name=name: f"{name}: {text}"
        )
    # Something was learnt, and by more than the bank alone.
    start = two_ranks.trainer(schedule, unsampled).state()
    moved = {name for name, value in start.items() if not torch.equal(value, first[name])}
    assert {name.partition("/")[0] for name in moved} >= {"shared", "sharing"}


def test_only_the_path_s_gradients_are_exchanged() -> None:
    """What the path did not use travels to nobody, under either policy for it."""
    for unsampled in ("freeze", "decay"):
        counting = _Counting()
        trainer = two_ranks.trainer("alternate", unsampled, counting)
        for _ in range(3):
            x, y = next(trainer.examples.training_batches(16, torch.Generator()))
            trainer._weight_step(x, y, warm=False)
        used, whole = counting.num_scalars, sum(p.numel() for p in trainer.bank)
        assert all(num < 0.6 * whole for num in used)


class _Counting(Processes):
    """One process that counts what it would exchange."""

    def __init__(self) -> None:
        super().__init__()
        self.num_scalars: list[int] = []

    def average(self, tensors) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        self.num_scalars.append(sum(tensor.numel() for tensor in tensors))


def test_one_process_alone_exchanges_nothing() -> None:
    tensor = torch.ones(3)
    ALONE.average([tensor])
    assert torch.equal(ALONE.total(tensor), torch.ones(3))
    ALONE.wait()
    assert ALONE.is_first
    assert not Processes(Part(1, 2)).is_first


def test_each_process_takes_up_what_was_its_own() -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    state = {"w": torch.ones(1), "seen/loss": rows[0], "each/seen/loss": rows}
    for rank in range(2):
        found = Processes(Part(rank, 2)).own_of(state)
        assert found.keys() == {"w", "seen/loss"}
        assert torch.equal(found["seen/loss"], rows[rank])
    # Of other processes than now, the mean.
    assert torch.equal(ALONE.own_of(state)["seen/loss"], torch.tensor([2.0, 4.0]))
    carried = {"each/pass/batches/carried": rows}
    with pytest.raises(ValueError, match=r"by 2 processes, .*; go on with 2"):
        ALONE.own_of(carried)
    assert ALONE.own_of({"w": rows}) == {"w": rows}
    assert ALONE.gathered({"w": rows}) == {}


def test_parts_of_a_batch() -> None:
    assert [Part(rank, 3).of(12) for rank in range(3)] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    with pytest.raises(ValueError, match="a batch of 10 does not divide among 3 processes"):
        Part(0, 3).of(10)


def test_paths_that_processes_cannot_share_are_refused() -> None:
    parts = two_ranks.trainer("alternate", "freeze")
    objects = parts.shared, parts.sharing, parts.sampler, parts.examples
    recipe = Recipe(batch_size=18, num_groups=4)
    with pytest.raises(ValueError, match=r"4 groups .* do not divide among 3 processes"):
        Trainer(*objects, recipe, 0, processes=Processes(Part(0, 3)))
    # Without a simplex-net there is no simplex step.
    fixed = SHARING["fixed"](two_ranks.SPACE, 3)
    Trainer(parts.shared, fixed, *objects[2:], recipe, 0, processes=Processes(Part(0, 3)))
