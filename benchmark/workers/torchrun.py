"""Programs started by ``torchrun``: joining the other processes, and leaving them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from benchmark.cli.errors import UserError
from benchmark.workers.jobs import one_thread
from kshot_core.tasks.batches import Part
from kshot_core.training.distributed import ALONE, Processes


@contextmanager
def processes(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """Join the processes that ``torchrun`` started; without it, be one alone.

    Yields:
        the processes, and this one's device: on a machine with GPUs each has its own.

    Raises:
        UserError: fewer GPUs than processes on this machine.
    """
    if device.type == "cpu":
        # Threads of one process gain little on small images; torchrun gives it more processes.
        one_thread()
    num = int(os.environ.get("WORLD_SIZE", "1"))
    if num == 1:
        yield ALONE, device
        return
    if device.type == "cuda":
        rank = int(os.environ["LOCAL_RANK"])
        if rank >= torch.cuda.device_count():
            raise UserError(
                f"torchrun started process {rank + 1} on a machine with "
                f"{torch.cuda.device_count()} GPUs; start as many as there are with "
                "--nproc-per-node"
            )
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    # One judges and writes while the others wait, on 50,000 images and more.
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=6))
    try:
        yield Processes(Part(dist.get_rank(), dist.get_world_size())), device
    finally:
        dist.destroy_process_group()


_STEPS_BETWEEN = 8


def agreed_stop(processes: Processes, asked: Callable[[], bool]) -> Callable[[], bool]:
    """Whether to stop after a step, the same answer in all processes that train together.

    Args:
        processes: which they are; several exchange their answers at every eighth step.
        asked: whether this one was asked to stop.
    """
    if processes.part.num == 1:
        return asked
    num_asked = 0

    def stop() -> bool:
        nonlocal num_asked
        num_asked += 1
        if num_asked % _STEPS_BETWEEN:
            return False
        return bool(processes.total(torch.tensor([float(asked())], device=device)).item())

    device = torch.device("cuda", torch.cuda.current_device()) if _on_gpu() else torch.device("cpu")
    return stop


def _on_gpu() -> bool:
    return dist.get_backend() == "nccl"
