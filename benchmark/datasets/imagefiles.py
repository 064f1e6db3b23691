"""Batches of images that are read from their files when they are needed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from benchmark.datasets.decoding import (
    CHUNK_IMAGES,
    Decoders,
    Unreadable,
    num_decoders,
)
from benchmark.datasets.jpeg import UnreadableImageError, read_augmented, read_middle
from kshot_core.tasks.batches import Part
from kshot_core.tasks.images import ImageSet, normalised, scale_and_shift

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from benchmark.datasets.decoding import Chunk, Decoded
    from benchmark.datasets.listing import Listing
    from kshot_core.tasks.batches import Batch


class TrainingFiles:
    """Images that are decoded, cropped, mirrored and jittered anew in each pass.

    An image is the same whichever process decodes it: what is random about it has a seed of its
    own, drawn with the order of the pass. An image that cannot be read is warned of, once, and the
    next one of the list that can be read is taken in its place.

    Args:
        listing: all files.
        chosen: int64 (N,), those to train on.
        mean, std: per channel, of pixel values divided by 255.
        size: height and width in pixels.
        jitter: see ``read_augmented``.
        device: where batches are wanted.
        part: what this process takes of every batch; it decodes no more than that.
        workers: processes that decode; None to choose, 0 for this one.
        warned: unreadable files that the user knows of.
    """

    def __init__(
        self,
        listing: Listing,
        chosen: Tensor,
        mean: Sequence[float],
        std: Sequence[float],
        size: int,
        jitter: float,
        device: torch.device,
        part: Part,
        workers: int | None,
        warned: set[str],
    ) -> None:
        self._listing, self._chosen = listing, chosen
        self._device, self._part, self._size = device, part, size
        self._labels = listing.labels[chosen]
        self._scale, self._shift = scale_and_shift(mean, std, device)
        read = partial(read_augmented, size=size, jitter=jitter)
        self._decoders = Decoders(read, size, num_decoders(workers, len(chosen), again=True))
        self._unreadable = Unreadable(len(chosen), warned)
        # Place in the list of an unreadable image: that of the image which is taken instead.
        self._stand_ins: dict[int, int] = {}

    def __len__(self) -> int:
        """Number of images N."""
        return len(self._chosen)

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One pass in random order, augmented; an incomplete last batch is left out.

        Yields:
            this process's part of each batch: images float32 (B, 3, size, size) in channels-last
            memory, labels int64 (B,).

        Raises:
            ValueError: ``batch_size`` is more than there are, or does not divide.
            UserError: too many images cannot be read, or a decoding process died.
        """
        total = len(self)
        if not 1 <= batch_size <= total:
            raise ValueError(f"batch_size must be 1..{total}, got {batch_size}")
        part = self._part.of(batch_size)
        # Everything is drawn before anything is decoded, by every process alike.
        order = torch.randperm(total, generator=generator)
        seeds = torch.randint(1 << 62, (total,), generator=generator)
        num_batches = total // batch_size
        mine = torch.arange(num_batches * batch_size).view(num_batches, batch_size)[:, part]
        batches = list(zip(order[mine], seeds[mine], strict=True))
        decoded = self._decoders(self._chunks(batches))
        for places, their_seeds in batches:
            yield self._batch(places, their_seeds, decoded)

    def _chunks(self, batches: Sequence[tuple[Tensor, Tensor]]) -> Iterator[Chunk]:
        for places, seeds in batches:
            for start in range(0, len(places), CHUNK_IMAGES):
                some = slice(start, start + CHUNK_IMAGES)
                files = [self._path(self._stand_ins.get(p, p)) for p in places[some].tolist()]
                yield list(zip(files, seeds[some].tolist(), strict=True))

    def _batch(self, places: Tensor, seeds: Tensor, decoded: Iterator[Decoded]) -> Batch:
        """The next batch, its chunks put together where the device can fetch it from."""
        shape, pinned = (len(places), self._size, self._size, 3), self._device.type == "cuda"
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        done = 0
        while done < len(places):
            chunk, unreadable = next(decoded)
            pixels[done : done + len(chunk)] = chunk
            for place, reason in unreadable:
                at = done + place
                pixels[at] = self._instead(int(places[at]), int(seeds[at]), reason)
            done += len(chunk)
        taken = [self._stand_ins.get(place, place) for place in places.tolist()]
        labels = self._labels[taken]
        if pinned:
            labels = labels.pin_memory()
        pixels = pixels.to(self._device, non_blocking=True)
        images = normalised(pixels, self._scale, self._shift)
        return images, labels.to(self._device, non_blocking=True)

    def _instead(self, place: int, seed: int, reason: str) -> Tensor:
        """Pixels of the next readable image; after the list's last comes its first."""
        failed = [place]
        while True:
            self._unreadable.add(self._path(place), reason, "another image takes its place")
            place = self._stand_ins.get(place, (place + 1) % len(self))
            try:
                pixels = self._decoders.read(self._path(place), seed)
            except UnreadableImageError as error:
                reason = str(error)
                failed.append(place)
            else:
                self._stand_ins |= dict.fromkeys(failed, place)
                return torch.from_numpy(pixels.copy())

    def _path(self, place: int) -> str:
        return self._listing.path(int(self._chosen[place]))


def decode_set(
    listing: Listing,
    chosen: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    size: int,
    device: torch.device,
    workers: int | None,
    warned: set[str],
) -> ImageSet:
    """The middle squares of images, all in memory; images that cannot be read are left out.

    Args:
        listing: all files.
        chosen: int64 (N,), those to decode.
        mean: per channel, of pixel values divided by 255.
        std: likewise.
        size: height and width in pixels. N images take 3 N size² bytes.
        device: where they are wanted.
        workers: processes that decode; None to choose, 0 for this one.
        warned: unreadable files that the user knows of.

    Raises:
        UserError: too many images cannot be read, or a decoding process died.
    """
    total = len(chosen)
    read = partial(read_middle, size=size)
    decoders = Decoders(read, size, num_decoders(workers, total, again=False))
    unreadable = Unreadable(total, warned)
    parts = [chosen[start : start + CHUNK_IMAGES] for start in range(0, total, CHUNK_IMAGES)]
    chunks = ([(listing.path(i), 0) for i in part.tolist()] for part in parts)
    pixels = torch.empty(total, size, size, 3, dtype=torch.uint8)
    kept: list[Tensor] = []
    done = 0
    for part, (decoded, failed) in zip(parts, decoders(chunks), strict=True):
        good = torch.ones(len(part), dtype=torch.bool)
        for place, reason in failed:
            good[place] = False
            unreadable.add(listing.path(int(part[place])), reason, "it is left out")
        kept.append(part[good])
        pixels[done : done + len(kept[-1])] = decoded[good]
        done += len(kept[-1])
    labels = listing.labels[torch.cat(kept)]
    return ImageSet(pixels[:done].permute(0, 3, 1, 2), labels, mean, std, device=device)
