"""What a record says of memory."""

from __future__ import annotations

import os

import pytest
import torch

from benchmark.records.environment import forget_peak_memory, peak_memory_bytes

CPU = torch.device("cpu")


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the system cannot forget its peak"
)
def test_the_peak_is_of_the_time_since_it_was_forgotten() -> None:
    forget_peak_memory(CPU)
    before = peak_memory_bytes(CPU)
    block = torch.ones(100_000_000)  # more than programs keep when it is freed
    held = block.nbytes
    assert held == 400_000_000
    high = peak_memory_bytes(CPU)
    assert high > before + 0.9 * held
    del block
    assert peak_memory_bytes(CPU) >= 0.99 * high
    forget_peak_memory(CPU)
    assert peak_memory_bytes(CPU) < high - 0.8 * held
