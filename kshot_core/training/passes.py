"""An epoch that can be taken up again in its midst, and what stops a training there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from kshot_core.tasks.batches import TrainingBatches
from kshot_core.tasks.task import Memory
from kshot_core.training.states import part_of

Examples = tuple[Tensor, Tensor, Memory | None]
"""Inputs, targets, and what their stream carries."""


class Interrupted(Exception):  # noqa: N818
    """A training was asked to stop and did so between two steps; its state can be saved."""


def go_on() -> bool:
    """The answer of whoever never stops a training."""
    return False


CARRIED = "carried"
"""The last part of the name, in a state, of what a stream carries."""

Stop = Callable[[], bool]
"""Asked after every step whether the training is to stop there."""


class Pass:
    """One pass over examples in random order, an iterator over its batches.

    What it carries from batch to batch begins and ends with it. A pass that was stopped is drawn
    again from the random state it began with, up to the batch where it was.

    Args:
        examples: what is gone through.
        batch_size: of a batch.
        stream: whose numbers order and augmentation are.
        carries: whether a state goes from batch to batch.
        state: of a pass that was stopped, as ``state()`` returned it; None to begin one.
    """

    def __init__(
        self,
        examples: TrainingBatches,
        batch_size: int,
        stream: torch.Generator,
        carries: bool = False,
        state: dict[str, Tensor] | None = None,
    ) -> None:
        self._carries = carries
        self._memory: Memory | None = None
        self._began = stream.get_state() if state is None else state["began"].cpu()
        stream.set_state(self._began)
        self._batches = examples.training_batches(batch_size, stream)
        self.num_done = 0
        if state is not None:
            self._go_to(int(state["num_done"]), state.get(CARRIED))

    def __iter__(self) -> Pass:
        return self

    def __next__(self) -> Examples:
        """The next batch."""
        x, y = next(self._batches)
        if self._memory is None and self._carries:
            self._memory = Memory(len(x))
        self.num_done += 1
        return x, y, self._memory

    def _go_to(self, num_done: int, carried: Tensor | None) -> None:
        for _ in range(num_done):
            next(self)
        if self._memory is not None and carried is not None:
            self._memory.keep([carried])

    def state(self) -> dict[str, Tensor]:
        """What the rest of the pass depends on, as tensors by name."""
        state = {"began": self._began, "num_done": torch.tensor(self.num_done)}
        if self._memory is not None and (carried := self._memory.state) is not None:
            state[CARRIED] = carried
        return state


class Epoch:
    """The epoch under way: its passes over the examples, and the figures of its steps.

    Args:
        examples: what is gone through.
        sizes: of a batch, by the purpose of a pass.
        streams: the random numbers of each pass, by its purpose.
        carries: whether a state goes from batch to batch.
    """

    def __init__(
        self,
        examples: TrainingBatches,
        sizes: Mapping[str, int],
        streams: Mapping[str, torch.Generator],
        carries: bool,
    ) -> None:
        self._examples, self._sizes, self._streams = examples, sizes, streams
        self._carries = carries
        self._passes: dict[str, Pass] = {}
        self.seen: dict[str, list[Tensor]] = {}
        self.codes: list[Tensor] = []

    def batches(self, purpose: str) -> Pass:
        """The pass of a purpose that is under way, or a new one."""
        if purpose not in self._passes:
            self._passes[purpose] = self._pass(purpose, None)
        return self._passes[purpose]

    def next_batch(self, purpose: str) -> Examples:
        """The next batch of a purpose that may go through the examples several times."""
        batch = next(self.batches(purpose), None)
        if batch is None:
            del self._passes[purpose]
            batch = next(self.batches(purpose))
        return batch

    def add(self, figures: Mapping[str, Tensor]) -> None:
        """Take the figures of a step, each a number."""
        for name, value in figures.items():
            self.seen.setdefault(name, []).append(value)

    def own(self) -> dict[str, Tensor]:
        """Of ``state()`` what several processes that train together differ in."""
        state = self.state().items()
        return {name: v for name, v in state if name.startswith("seen/") or name.endswith(CARRIED)}

    def finish(self) -> tuple[dict[str, Tensor], Tensor | None]:
        """The figures' means over the epoch, and all its codes (A, K) if there are any; begin anew.

        The codes are those of its weight steps.
        """
        means = {name: torch.stack(values).mean() for name, values in self.seen.items()}
        codes = torch.cat(self.codes) if self.codes else None
        self._passes, self.seen, self.codes = {}, {}, []
        return means, codes

    def state(self) -> dict[str, Tensor]:
        """What the rest of the epoch depends on, as tensors by name; none between two epochs."""
        state = {
            f"pass/{purpose}/{name}": value
            for purpose, one in self._passes.items()
            for name, value in one.state().items()
        }
        state |= {f"seen/{name}": torch.stack(values) for name, values in self.seen.items()}
        return state | ({"codes": torch.cat(self.codes)} if self.codes else {})

    def restore(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Take up what ``state()`` returned, the figures on ``device``."""
        parts = {purpose: part_of(state, f"pass/{purpose}/") for purpose in self._sizes}
        self._passes = {name: self._pass(name, part) for name, part in parts.items() if part}
        seen = part_of(state, "seen/")
        self.seen = {name: list(values.to(device).unbind()) for name, values in seen.items()}
        self.codes = [state["codes"].to(device)] if "codes" in state else []

    def _pass(self, purpose: str, state: dict[str, Tensor] | None) -> Pass:
        size, stream = self._sizes[purpose], self._streams[purpose]
        return Pass(self._examples, size, stream, self._carries, state)
