"""Processes that end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from typing import Any


def end_with_parent() -> None:
    """Let this process end when the one that started it does.

    Processes outlive a program that is killed, and would finish its work for nobody.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "the main process has no parent to watch"
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(process: Any) -> None:
    process.join()
    os._exit(1)
