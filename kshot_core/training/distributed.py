"""Several processes that train one bank together: a weight step's images, a simplex step's paths.

Every process has the same weights, codes and random streams, and draws the same paths. A weight
step's path runs in all of them, each on its part of the batch, normalised by that part's
statistics as usual. Of a simplex step each process runs some of the m paths on all their B/m
images: batch-norm over fewer would be another network, and is over few already. So a simplex step
is the same step on any number of processes. The gradients of the weights that paths used are
averaged over the processes, and nothing else is exchanged. Running statistics, where a network
keeps them, are averaged after every epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import torch
import torch.distributed as dist
from torch import Tensor, nn

from kshot_core.tasks.batches import WHOLE, Part
from kshot_core.training.states import part_of

_EACH = "each/"
"""What names of tensors begin with of which every process has its own."""


class Processes:
    """The processes of ``torch.distributed``'s default group, or one alone.

    Args:
        part: which of them this one is; ``WHOLE`` for one alone, which exchanges nothing.
    """

    def __init__(self, part: Part = WHOLE) -> None:
        self.part = part

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.part.rank == 0

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over processes into every tensor; all processes give the same shapes.

        Tensors of one kind travel as one.
        """
        for parts, flat in self._exchanged(tensors):
            means = torch.split(flat / self.part.num, [tensor.numel() for tensor in parts])
            for tensor, mean in zip(parts, means, strict=True):
                tensor.copy_(mean.view_as(tensor))

    def fill_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give zeros to parameters without a gradient that have one in another process.

        Where paths are divided, what they used differs, and ``average`` wants equal shapes.
        """
        if self.part.num == 1:
            return
        used = [float(parameter.grad is not None) for parameter in parameters]
        anywhere = self.total(torch.tensor(used, device=parameters[0].device)).tolist()
        for parameter, num in zip(parameters, anywhere, strict=True):
            if num and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    @torch.no_grad()
    def total(self, tensor: Tensor) -> Tensor:
        """The sum over processes, of the same shape."""
        for _, flat in self._exchanged([tensor]):
            return flat.view_as(tensor)
        return tensor

    @torch.no_grad()
    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What each process has under a name, in the order of their ranks: ``each/NAME``, (R, ...).

        All R processes give the same names and shapes. One alone has nothing to gather.
        """
        if self.part.num == 1:
            return {}
        found = {}
        # Exchanges are told apart by their order alone.
        for name, own in sorted(tensors.items()):
            rows = own.new_empty(self.part.num, *own.shape)
            dist.all_gather(list(rows), own.contiguous())
            found[_EACH + name] = rows
        return found

    def own_of(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state with this process's own of what was ``gathered`` into it.

        Where there were other processes than now, each takes the mean of theirs.

        Raises:
            ValueError: that would be no state of these processes: a stream carries another number
                of sequences.
        """
        found = {name: value for name, value in state.items() if not name.startswith(_EACH)}
        for name, rows in part_of(dict(state), _EACH).items():
            if len(rows) == self.part.num:
                found[name] = rows[self.part.rank]
            elif name.endswith("/carried"):
                raise ValueError(
                    f"it was stopped in the middle of an epoch by {len(rows)} processes, each with "
                    f"sequences of its own; go on with {len(rows)}"
                )
            else:
                found[name] = rows.mean(0)
        return found

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.part.num > 1:
            dist.barrier()

    def _exchanged(self, tensors: Sequence[Tensor]) -> Iterator[tuple[list[Tensor], Tensor]]:
        """Tensors of one kind, and their sum over processes in one piece."""
        if self.part.num == 1:
            return
        # Equal order in every process, whatever order the tensors of other kinds come in.
        ordered = sorted(tensors, key=_kind)
        for _, same in groupby(ordered, _kind):
            parts = list(same)
            flat = torch.cat([tensor.reshape(-1) for tensor in parts])
            dist.all_reduce(flat)
            yield parts, flat


def _kind(tensor: Tensor) -> str:
    return f"{tensor.device.type} {tensor.dtype}"


ALONE = Processes()
"""One process by itself."""
