"""Jobs for a cluster that do next to nothing."""

from __future__ import annotations

import os
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.pipeline.stages import Stage
from benchmark.workers.relay import Tell


def tiny(tell: Tell, number: int) -> int:
    tell((f"job {number}", "", 0, 0))
    return -number


def _tiny(_machine: Any, _progress: Any, number: int) -> int:
    return -number


TINY = Stage("job", str, _tiny)


def refused_one(number: int) -> int:
    raise UserError(f"no {number}")


def killed_one(number: int) -> int:
    if number == 1:
        os._exit(1)
    return number


def version() -> str:
    return "1"
