"""DistributedDataParallel around a KShot, on two ranks: ``torchrun ... ddp_ranks.py FOLDER``.

Each rank takes half of every batch and leaves its state in the folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import made_up
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from kshot_core.weights.bank import KShot

STEPS = (((1, 2, 1), 0), ((2, 1, 0), 1), ((0, 0, 1), 2))


class Model(nn.Module):
    """A module of a user's around the wrapper, with a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = KShot.from_supernets([made_up.supernet(seed) for seed in range(3)])
        self.codes = nn.Embedding.from_pretrained(torch.eye(3) + 1, freeze=False)

    def forward(self, x: Tensor, arch: tuple[int, ...], row: int) -> Tensor:
        output: Tensor = self.shared(x, arch, self.codes.weight[row].softmax(0))
        return output


def batches() -> Iterator[Tensor]:
    for step in range(len(STEPS)):
        yield torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(step))


def train(model: nn.Module, losses: Callable[[Tensor, tuple[int, ...], int], Tensor]) -> None:
    """Three steps of SGD on different paths."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, (arch, row) in zip(batches(), STEPS, strict=True):
        optimizer.zero_grad()
        losses(x, arch, row).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def main(folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    model = Model()
    if rank:  # which DDP has to put right
        with torch.no_grad():
            model.shared.bank["stem-weight"].zero_()
    parallel = nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
    half = slice(2 * rank, 2 * rank + 2)
    train(parallel, lambda x, arch, row: parallel(x[half], arch, row).square().mean())
    save_file(model.state_dict(), Path(folder, str(rank)))
    dist.destroy_process_group()
    # DistributedDataParallel keeps gloo's threads alive after this (seen with torch 2.13), and a
    # thread that wants the interpreter while it is being taken down aborts the process.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
