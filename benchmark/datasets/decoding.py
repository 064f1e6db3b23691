"""Images decoded by other processes, a few at a time, in the order in which they are asked for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import forkserver, resource_tracker
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmark.cli.errors import UserError
from benchmark.cli.stopping import SIGNALS
from benchmark.datasets.jpeg import Pixels, UnreadableImageError
from benchmark.workers.jobs import num_cores
from benchmark.workers.parent import end_with_parent

Read: TypeAlias = Callable[[str, int], Pixels]
"""From a file and a seed to pixels (size, size, 3)."""

Chunk: TypeAlias = Sequence[tuple[str, int]]
"""Files and their seeds."""

Decoded: TypeAlias = tuple[Tensor, list[tuple[int, str]]]
"""Pixels uint8 (B, size, size, 3), and which of the B are unreadable and why."""

CHUNK_IMAGES = 16
"""A process gets this many images at once: many enough that handing them over takes no time, few
enough that the first batch comes soon and that shared memory holds little (2.4 MB at 224)."""

UNREADABLE_SHARE = 0.01
"""More unreadable images of a list than this share are an error; one may be, if others are left."""

_AHEAD = 4
# In the time that a process takes to start it could have decoded more than this.
_WORTH_A_PROCESS = 256


class CorruptImageWarning(UserWarning):
    """An image cannot be read; the message names the file and says what came in its place."""


class Unreadable:
    """Keeps count of a list's unreadable images: a warning for each, an error for too many.

    Args:
        num_images: length of the list.
        warned: files that the user knows of, from this list or another.
    """

    def __init__(self, num_images: int, warned: set[str]) -> None:
        self._num_images, self._warned = num_images, warned
        self._paths: set[str] = set()

    def add(self, path: str, reason: str, instead: str) -> None:
        """Count an image and warn of it, both at most once.

        Raises:
            UserError: there are too many, or no image is left.
        """
        if path not in self._warned:
            self._warned.add(path)
            text = f"cannot read {path} ({reason}); {instead}"
            warnings.warn(text, CorruptImageWarning, stacklevel=2)
        self._paths.add(path)
        most = min(max(1, int(UNREADABLE_SHARE * self._num_images)), self._num_images - 1)
        if len(self._paths) > most:
            raise UserError(
                f"{len(self._paths)} of {self._num_images} images cannot be read, more than "
                f"{UNREADABLE_SHARE:.0%}, the last of them {path} ({reason}); fetch them again or "
                "remove them"
            )


def num_decoders(asked: int | None, num_images: int, again: bool) -> int:
    """How many processes to decode in, 0 for this one: as asked, or as many as help.

    Args:
        asked: by the user; None to choose from the cores and from what there is to do.
        num_images: what there is to do.
        again: whether it is done again and again, while this process trains; else once, while it
            waits.
    """
    if asked is not None:
        return asked
    # Set by torchrun: processes that share this machine.
    cores = num_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if again:
        return max(1, min(cores - 1, num_images // CHUNK_IMAGES))
    return min(cores, num_images // _WORTH_A_PROCESS)


class Decoders:
    """Processes that decode images, started when first needed and kept for the next pass.

    Args:
        read: what they do with a file; it can be pickled.
        size: height and width of what ``read`` returns.
        workers: how many; 0 decodes in this process.
    """

    def __init__(self, read: Read, size: int, workers: int) -> None:
        self.read, self.size, self.workers = read, size, workers
        # Passes may run side by side, each with processes of its own.
        self._idle: list[DataLoader[Decoded]] = []

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[Decoded]:
        """The chunks' images, in order.

        Raises:
            UserError: a process died.
        """
        decode = _Decode(self.read, self.size)
        if not self.workers:
            yield from map(decode.__getitem__, chunks)
            return
        loader = self._idle.pop() if self._idle else _start(decode, self.workers)
        loader.sampler.chunks = chunks  # type: ignore[attr-defined]
        try:
            yield from loader
        except GeneratorExit:
            # A pass that is broken off; the next one throws away what was decoded ahead.
            self._idle.append(loader)
            raise
        except (RuntimeError, EOFError, OSError) as error:
            raise UserError(
                f"a process that decodes images died ({' '.join(str(error).split())}); it was "
                "killed, or memory or shared memory (/dev/shm) ran out: give more, or use fewer"
            ) from None
        else:
            self._idle.append(loader)


class _Decode(Dataset[Decoded]):
    """What each process does."""

    def __init__(self, read: Read, size: int) -> None:
        self.read, self.size = read, size

    def __getitem__(self, chunk: Chunk) -> Decoded:
        pixels = torch.zeros(len(chunk), self.size, self.size, 3, dtype=torch.uint8)
        unreadable = []
        for place, (path, seed) in enumerate(chunk):
            try:
                # Pillow's pixels are read-only, of which torch would warn.
                pixels.numpy()[place] = self.read(path, seed)
            except UnreadableImageError as error:
                unreadable.append((place, str(error)))
        return pixels, unreadable


class _Chunks:
    """What a loader asks for its work; each pass has other chunks."""

    chunks: Iterable[Chunk] = ()

    def __iter__(self) -> Iterator[Chunk]:
        return iter(self.chunks)


def _as_it_is(decoded: Any) -> Any:
    return decoded


def _end_with_the_program(_: int) -> None:
    # From here on out of reach of what is sent to the whole group; what came before is forgotten.
    os.setsid()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # The way in which the program ends them.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()


def _start(decode: _Decode, workers: int) -> DataLoader[Decoded]:
    context = multiprocessing.get_context("forkserver")
    # The server imports what this program has imported, so that its forks need not.
    ours = [name for name in sys.modules if name.startswith(("benchmark.", "kshot_core."))]
    main = getattr(sys.modules["__main__"], "__spec__", None)
    context.set_forkserver_preload(sorted({*ours} - {main.name if main is not None else ""}))
    _start_server()
    return DataLoader(
        decode,
        # The chunks are the batches.
        batch_size=None,
        sampler=_Chunks(),
        collate_fn=_as_it_is,
        num_workers=workers,
        multiprocessing_context=context,
        worker_init_fn=_end_with_the_program,
        persistent_workers=True,
        prefetch_factor=_AHEAD,
        # Its seeds are not used, but would be drawn from torch's global generator.
        generator=torch.Generator(),
    )


def _start_server() -> None:
    """Start what forks the processes, with Ctrl-C and SIGTERM blocked in it and them.

    Terminals and torchrun send them to a program and all it has started; the program finishes its
    step first, for which it needs images.
    """
    # It would let the signals through again, were it started by the other.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
