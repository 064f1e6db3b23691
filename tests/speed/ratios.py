"""Ratios of times measured in one process, so that the machine cancels out."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from kshot_core.space import Arch
from kshot_core.spaces import NASBench201
from kshot_core.tasks.images import ImageSet

SPACE = NASBench201(channels=16, cells=5)
"""The published supernet."""


def random_archs(num: int, seed: int = 0) -> list[Arch]:
    """Uniform architectures with a path, always the same ones."""
    valid = [arch for arch in SPACE.archs() if SPACE.is_valid(arch)]
    return random.Random(seed).sample(valid, num)


def cifar_like(num: int, device: torch.device) -> ImageSet:
    """Random images of CIFAR-10's shape, with its augmentation."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (num, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (num,), generator=generator)
    return ImageSet(pixels, labels, [0.5] * 3, [0.25] * 3, crop_padding=4, flip=True, device=device)


Clock = Callable[[], float]
"""Seconds since some moment."""


def timed(
    function: Callable[[], object], device: torch.device, clock: Clock = time.perf_counter
) -> float:
    """Seconds of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = clock()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - started


def compare(
    ours: list[Callable[[], object]],
    theirs: list[Callable[[], object]],
    device: torch.device,
    paired: bool = True,
    clock: Clock = time.perf_counter,
) -> tuple[float, float, float]:
    """Median seconds of each side, and the median of their ratios, pair by pair.

    Pairs run back to back and take turns in going first, so that whatever else the machine does
    meets both alike. Unless ``paired``, one call has nothing to do with the other, and the means
    and their ratio are returned.
    """
    for warm_up in (ours[0], theirs[0]):
        warm_up()
    gc.disable()
    times = []
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if index % 2:
            second = timed(other, device, clock)
            times.append((timed(one, device, clock), second))
        else:
            first = timed(one, device, clock)
            times.append((first, timed(other, device, clock)))
    gc.enable()
    middle = statistics.median if paired else statistics.mean
    first, second = (middle(column) for column in zip(*times, strict=True))
    ratio = statistics.median(one / other for one, other in times) if paired else first / second
    return first, second, ratio


def peak_bytes(function: Callable[[], object], device: torch.device) -> int:
    """The most memory that a call holds beyond what was there before it."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        function()
    assert profiler.profiler is not None
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
