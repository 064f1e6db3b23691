"""Programs started by ``torchrun``: joining the other processes, and leaving them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from benchmark.cli.errors import UserError
from benchmark.cli.stopping import SIGNALS, StoppedError, agree, asked, together
from benchmark.workers.jobs import one_thread
from kshot_core.tasks.batches import Part
from kshot_core.training.distributed import ALONE, Processes


@contextmanager
def processes(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """Join the processes that ``torchrun`` started; without it, be one alone.

    A signal to any of them is a request to all, see ``agreed_stop``; what one does for all others,
    such as judging a network, is finished first.

    Yields:
        the processes, and this one's device: on a machine with GPUs each has its own.

    Raises:
        UserError: fewer GPUs than processes on this machine.
        StoppedError: in the first process, where all agreed to stop; in the others ``SystemExit``.
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
    rank = dist.get_rank()
    try:
        with together():
            yield Processes(Part(rank, dist.get_world_size())), device
    except StoppedError as stopped:
        # torchrun ends the others when one has ended: not before the first has saved.
        dist.barrier()
        if rank == 0:
            raise
        # One line is enough.
        raise SystemExit(stopped.code) from None
    finally:
        dist.destroy_process_group()


STEPS_BETWEEN = 8
"""Steps of a training between two exchanges of whether to stop: a GPU need not wait at each."""


def agreed_stop(processes: Processes, every: int = 1) -> Callable[[], bool]:
    """Whether to stop after a step, the same answer in all processes that work together.

    A signal to one of several counts for all, which then end with the same code.

    Args:
        processes: which they are; each calls the result after each of the same steps.
        every: steps from one exchange to the next, in which several are told to go on.
    """
    if processes.part.num == 1:
        return asked
    on_gpu = dist.get_backend() == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    num_steps = 0

    def stop() -> bool:
        nonlocal num_steps
        num_steps += 1
        if num_steps % every:
            return False
        own = torch.tensor([float(asked(number)) for number in SIGNALS], device=device)
        for number, num_asked in zip(SIGNALS, processes.total(own).tolist(), strict=True):
            if num_asked:
                agree(number)
                return True
        return False

    return stop
