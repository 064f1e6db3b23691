"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """One thread: fastest for tensors this small, and the order of sums stays the same."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data for tests; the test is skipped where there is none."""
    folder = Path(os.environ.get("KSHOT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set KSHOT_SHARED_DATA to run this test")
    return folder


@pytest.fixture(scope="session")
def shared_file(shared_data: Path) -> Callable[[str], Path]:
    """Gives a file of the real data by its path there; the test is skipped where it is not."""

    def find(name: str) -> Path:
        path = shared_data / name
        if not path.is_file():
            pytest.skip(f"{path} is not there")
        return path

    return find
