"""What a run ran on, for its record: versions, hardware and the code's commit."""

from __future__ import annotations

import contextlib
import platform
import re
import resource
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmark.cli.errors import UserError
from benchmark.cli.version import commit

_PACKAGES = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "nas-bench-201")


def describe(device: torch.device) -> dict[str, Any]:
    """JSON-ready description of hardware, versions and commit."""
    described = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "num_threads": torch.get_num_threads(),
        "commit": commit(),
    }
    for package in _PACKAGES:
        try:
            described[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            described[package] = "absent"
    return described


def forget_peak_memory(device: torch.device) -> None:
    """Let ``peak_memory_bytes`` count from now on, where the system can do that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    # Linux then starts its high-water mark over; a sandbox may not allow it.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory held: on a GPU by torch's tensors, else by the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    # Kilobytes, but bytes on macOS; of the whole life of the process.
    unit = 1 if platform.system() == "Darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def choose_device(name: str) -> torch.device:
    """The device of ``--device``: ``auto`` takes a GPU if there is one.

    Raises:
        UserError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(
            f"--device {name} is not to be had here; use cpu, or cuda where torch sees a GPU"
        ) from None
    return device


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
