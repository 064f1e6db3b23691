"""Merging: the convex combination Θλ (paper eq. 4-5), of one code or of those of several members.

Shapes: K copies, P parameters of a group, m members of a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from kshot_core.weights.many import Members


class Merging:
    """The weights of one ``forward_many``: merges a group for the members that ask for it.

    Args:
        merged_group: every parameter of a parameter's group, merged by the codes (n, K).
        codes: (m, K).
    """

    def __init__(
        self, merged_group: Callable[[str, Tensor], Iterable[tuple[str, Tensor]]], codes: Tensor
    ) -> None:
        self._merged_group = merged_group
        self._codes = codes
        self._weights: dict[tuple[str, Members], Tensor] = {}
        self._index: dict[Members, Tensor] = {}

    def take(self, name: str, members: Members) -> Tensor:
        """See ``Weights``."""
        if (name, members) not in self._weights:
            codes = self._codes
            if len(members) < len(codes):
                if members not in self._index:
                    self._index[members] = _index_on(codes.device, members)
                codes = codes.index_select(0, self._index[members])
            for part_name, part in self._merged_group(name, codes):
                self._weights[part_name, members] = part
        return self._weights[name, members]

    def store(self, name: str, members: Members, value: Tensor) -> None:
        """Copies share their buffers, so the members of a pass cannot each write them."""
        raise RuntimeError(f"the buffer {name} belongs to all paths; run them one by one")


def _index_on(device: torch.device, numbers: Sequence[int]) -> Tensor:
    """An index tensor on the device, without making the processor wait for it."""
    index = torch.tensor(numbers)
    index = index.pin_memory() if device.type == "cuda" else index
    return index.to(device, non_blocking=True)


def merge(bank: Tensor, code: Tensor) -> Tensor:
    """Θλ: (K, P) and codes (..., K) to (..., P).

    One copy is its own merge: on the simplex its code is 1.
    """
    if len(bank) == 1:
        return bank[0].expand(*code.shape[:-1], -1)
    if code.dtype != bank.dtype:
        code = code.to(bank.dtype)
    kind = bank.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return code @ bank
    # Merged in full precision, whatever the pass that reads the weights runs in.
    with torch.autocast(kind, enabled=False):
        return code @ bank
