"""Image classification, and images on the device as one tensor.

Batches are cut, cropped and flipped from it in few kernels.

Every random number comes from a generator on the CPU that the caller passes, so the batches of a
seed are the same on every device. Shapes: N images of the set, B images of a batch, C channels,
H×W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, final, overload

import torch
from torch import Tensor
from torch.nn import functional as F

from kshot_core.tasks.batches import WHOLE, Batch, Part
from kshot_core.tasks.task import Task, at_least_float32


@final
class ImageClassification(Task):
    """Logits (B, num_classes) of labels; scored by accuracy in percent."""

    score: ClassVar[str] = "accuracy (percent)"
    higher_is_better: ClassVar[bool] = True
    carries: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 100.0)
    # Chance on a million classes is 14.
    exploded: ClassVar[float] = 1e3

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of each path: (m, B, num_classes) and labels (m, B) to (m,)."""
        logits, labels = at_least_float32(outputs).flatten(0, 1), targets.flatten()
        if len(outputs) == 1:  # one kernel takes the mean, too
            return F.cross_entropy(logits, labels).view(1)
        return F.cross_entropy(logits, labels, reduction="none").view(targets.shape).mean(1)

    def totals(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Number of images classified right, and the sum of the loss, (m, 2)."""
        m, logits = len(outputs), outputs.float().flatten(0, 1)
        if m == 1:
            losses = F.cross_entropy(logits, targets, reduction="sum").view(1)
        else:
            each = F.cross_entropy(logits, targets.repeat(m), reduction="none")
            losses = each.view(m, -1).sum(1)
        return torch.stack([(outputs.argmax(2) == targets).sum(1).double(), losses.double()], 1)

    def scores(self, totals: Tensor, num_targets: int) -> Tensor:
        """Percent of the images classified right, and mean loss in nats, (m, 2)."""
        return totals * totals.new_tensor([100 / num_targets, 1 / num_targets])


CLASSIFICATION = ImageClassification()
"""The task where none is named."""


def scale_and_shift(
    mean: Sequence[float], std: Sequence[float], device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """What makes (byte / 255 - mean) / std one multiply and one add; each float32 (C,).

    Args:
        mean: per channel, of pixel values divided by 255.
        std: likewise.
        device: where they are used.
    """
    scale = 1 / (255 * torch.tensor(std, dtype=torch.float32))
    shift = -torch.tensor(mean, dtype=torch.float32) * 255 * scale
    return scale.to(device), shift.to(device)


def normalised(pixels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Images float32 (B, C, H, W) in channels-last memory, of bytes (B, H, W, C)."""
    return pixels.float().mul_(scale).add_(shift).permute(0, 3, 1, 2)


class ImageSet:
    """Images and labels of one split, kept as bytes on the device and normalised when cut.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        mean, std: per channel, of pixel values divided by 255.
        crop_padding: zero pixels added on each side before cropping at random; 0 for no crop.
        flip: whether batches for training are mirrored at random, left to right.
        device: where the images live.
        part: what this process takes of every batch for training.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        mean: Sequence[float],
        std: Sequence[float],
        crop_padding: int = 0,
        flip: bool = False,
        device: torch.device | str = "cpu",
        part: Part = WHOLE,
    ) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or len(images) != len(labels):
            raise ValueError(
                "images must be uint8 (N, C, H, W) with as many labels, "
                f"got {images.dtype} {tuple(images.shape)} and {len(labels)} labels"
            )
        self.height, self.width = images.shape[2:]
        self.crop_padding, self.flip, self.part = crop_padding, flip, part
        padded = F.pad(images, (crop_padding,) * 4) if crop_padding else images
        # Channels last, so that a window of a batch comes out in the layout convolutions like.
        self.pixels = padded.permute(0, 2, 3, 1).contiguous().to(device)
        self.labels = labels.to(device)
        self.scale, self.shift = scale_and_shift(mean, std, device)

    def __len__(self) -> int:
        """Number of images N."""
        return len(self.labels)

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One pass in random order, cropped and flipped; an incomplete last batch is left out.

        Yields:
            this process's part of each batch: images float32 (B, C, H, W) in channels-last memory,
            labels int64 (B,).
        """
        if not 1 <= batch_size <= len(self):
            raise ValueError(f"batch_size must be 1..{len(self)}, got {batch_size}")
        device, total = self.labels.device, len(self)
        span, part = 2 * self.crop_padding + 1, self.part.of(batch_size)
        # Drawn for the whole pass at once: one copy to the device instead of one per batch.
        order = torch.randperm(total, generator=generator).to(device)
        tops = torch.randint(span, (total,), generator=generator).to(device)
        lefts = torch.randint(span, (total,), generator=generator).to(device)
        mirrored = torch.rand(total, generator=generator).lt(0.5).to(device)
        for start in range(0, total - batch_size + 1, batch_size):
            batch = slice(start + part.start, start + part.stop)
            chosen = order[batch]
            if span == 1 and not self.flip:
                pixels = self.pixels[chosen]
            else:
                pixels = self._windows(chosen, tops[batch], lefts[batch], mirrored[batch])
            yield self._normalise(pixels), self.labels[chosen]

    def _windows(self, chosen: Tensor, tops: Tensor, lefts: Tensor, mirrored: Tensor) -> Tensor:
        rows = tops[:, None] + torch.arange(self.height, device=tops.device)
        columns = torch.arange(self.width, device=tops.device).expand(len(chosen), -1)
        if self.flip:
            columns = torch.where(mirrored[:, None], self.width - 1 - columns, columns)
        columns = lefts[:, None] + columns
        return self.pixels[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]

    def scoring_batches(
        self, batch_size: int, num_images: int | None = None, keep_remainder: bool = False
    ) -> Sequence[Batch]:
        """The first ``num_images`` in fixed order, unaugmented, as equal batches.

        A remainder smaller than a batch is left out unless it is all there is: under batch
        statistics every architecture must be normalised over equally many images. Under running
        statistics it need not be: ``keep_remainder`` makes it a smaller last batch.

        Batches are normalised once and kept, or, where that would take gigabytes, whenever they
        are asked for.

        Raises:
            ValueError: there would be no batch.
        """
        total = len(self) if num_images is None else min(num_images, len(self))
        if min(batch_size, total) < 1:
            raise ValueError(
                f"batch_size and num_images must be at least 1, got {batch_size} and {total}"
            )
        batch_size = min(batch_size, total)
        pad = self.crop_padding
        window = self.pixels[:total, pad : pad + self.height, pad : pad + self.width]
        labels = self.labels[:total]
        stop = total if keep_remainder else total - batch_size + 1
        batches = [
            (window[start : start + batch_size], labels[start:][:batch_size])
            for start in range(0, stop, batch_size)
        ]
        if 4 * window.numel() > _MOST_KEPT_BYTES:
            return _Batches(self, batches)
        return [(self._normalise(pixels), y) for pixels, y in batches]

    def _normalise(self, pixels: Tensor) -> Tensor:
        return normalised(pixels, self.scale, self.shift)


_MOST_KEPT_BYTES = 2 << 30


class _Batches(Sequence[Batch]):
    """Batches that are normalised each time they are read."""

    def __init__(self, images: ImageSet, batches: list[Batch]) -> None:
        self._images, self._batches = images, batches

    def __len__(self) -> int:
        return len(self._batches)

    @overload
    def __getitem__(self, index: int) -> Batch: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Batch]: ...

    def __getitem__(self, index: int | slice) -> Batch | Sequence[Batch]:
        if isinstance(index, slice):
            return _Batches(self._images, self._batches[index])
        pixels, y = self._batches[index]
        return self._images._normalise(pixels), y
