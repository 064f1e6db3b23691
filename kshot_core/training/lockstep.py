"""Several trainings in one process, every step of theirs in one pass.

Trainings of different seeds and different K have steps of the same form. Each runs in a thread of
its own, unchanged; where it asks for a step it waits for the others, and the last to arrive runs
all their paths side by side. A training's bank, codes, paths, images and random streams are its
own, so each step gives it to float tolerance what it would have computed alone.

Shapes: m paths of all steps together.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kshot_core.training.precision import precise
from kshot_core.training.steps import Engine, Step, run_step
from kshot_core.weights.bank import KShot
from kshot_core.weights.many import Members, Weights, runs_many_paths


class AnotherFailedError(RuntimeError):
    """A training cannot go on because one that it shares its steps with failed."""


class Lockstep:
    """The meeting point of several trainings of supernets of the same shape.

    Every training must ``leave`` when it ends or fails, or the others wait for it for ever.

    Args:
        num: how many trainings take part.
    """

    def __init__(self, num: int) -> None:
        self._present = set(range(num))
        self._waiting: dict[int, _Asked] = {}
        self._stopped = False
        self._changed = threading.Condition()

    def engine(self, member: int) -> Engine:
        """What training number ``member`` (0..num-1) is to run its steps with."""

        def run(step: Step) -> Tensor:
            return self._meet(member, step)

        return run

    def leave(self, member: int) -> None:
        """Say that a training takes no further steps."""
        with self._changed:
            self._present.discard(member)
            self._run_if_all_wait()

    def stop(self) -> None:
        """Let every training fail at its next step, with ``AnotherFailedError``."""
        with self._changed:
            self._stopped = True
            for asked in self._waiting.values():
                asked.done = True
            self._waiting.clear()
            self._changed.notify_all()

    def _meet(self, member: int, step: Step) -> Tensor:
        asked = _Asked(step)
        with self._changed:
            if not self._stopped:
                self._waiting[member] = asked
                self._run_if_all_wait()
                self._changed.wait_for(lambda: asked.done)
        if asked.losses is None:
            raise AnotherFailedError("another training in lockstep with this one failed")
        return asked.losses

    def _run_if_all_wait(self) -> None:
        if not self._waiting or self._waiting.keys() != self._present:
            return
        # In the order of their numbers, so that rounding does not depend on who came last.
        asked = [self._waiting[member] for member in sorted(self._waiting)]
        self._waiting.clear()
        try:
            with torch.enable_grad():
                results = run_steps([one.step for one in asked])
            for one, losses in zip(asked, results, strict=True):
                one.losses = losses
        finally:
            # An error is raised in this thread alone; the others must not wait for ever.
            for one in asked:
                one.done = True
            self._changed.notify_all()


@dataclass
class _Asked:
    step: Step
    losses: Tensor | None = None
    done: bool = False


def run_steps(steps: Sequence[Step]) -> list[Tensor]:
    """Run steps of different banks, those with equally many images a path in one pass.

    Returns:
        for each step the losses (m,) of its paths, detached.
    """
    alike: dict[object, list[int]] = {}
    for position, step in enumerate(steps):
        alike.setdefault(_form(step), []).append(position)
    results: dict[int, Tensor] = {}
    for positions in alike.values():
        network = steps[positions[0]].shared.network
        together = len(positions) > 1 and steps[positions[0]].in_one_pass
        if not together or not runs_many_paths(network):
            results |= {position: run_step(steps[position]) for position in positions}
            continue
        group = [steps[position] for position in positions]
        archs = [arch for step in group for arch in step.archs]
        x = torch.cat([step.x for step in group])
        with precise(x.device, group[0].precision):
            outputs = network.forward_many(x, archs, _SeveralBanks(group))
        losses = group[0].task.losses(outputs, torch.cat([step.y for step in group]))
        weighted = losses * torch.cat([step.weights for step in group])
        weighted.sum().backward()  # type: ignore[no-untyped-call]
        parts = torch.split(losses.detach(), [len(step.archs) for step in group])
        results |= dict(zip(positions, parts, strict=True))
    return [results[position] for position in range(len(steps))]


def _form(step: Step) -> object:
    """What steps must have in common to run in one pass."""
    x = step.x
    kind = step.task, step.batch_paths, step.precision
    return *kind, x.shape[1:], x.device, x.dtype, _shapes(step.shared)


def _shapes(shared: KShot) -> tuple[tuple[str, int], ...]:
    return tuple((name, stack.shape[1]) for name, stack in shared.bank.items())


class _SeveralBanks:
    """Weights of members that belong to several banks, in the order of the steps."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._of: list[tuple[int, Weights]] = []
        start = 0
        for step in steps:
            self._of.append((start, step.shared.merging(step.codes)))
            start += len(step.archs)
        self._num = start
        self._parts: dict[Members, list[tuple[Weights, Members]]] = {}

    def take(self, name: str, members: Members) -> Tensor:
        """See ``Weights``."""
        if members not in self._parts:
            self._parts[members] = self._divide(members)
        parts = [weights.take(name, own) for weights, own in self._parts[members]]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def store(self, name: str, members: Members, value: Tensor) -> None:
        """See ``Weights``."""
        raise RuntimeError(f"the buffer {name} belongs to all paths; run them one by one")

    def _divide(self, members: Members) -> list[tuple[Weights, Members]]:
        ends = [start for start, _ in self._of[1:]] + [self._num]
        divided = []
        for (start, weights), end in zip(self._of, ends, strict=True):
            own = tuple(member - start for member in members if start <= member < end)
            if own:
                divided.append((weights, own))
        return divided
