"""What a data set gives to a run: the images it trains on and those it scores architectures on.

Shape letters: B images, C channels, H height, W width.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch

from benchmark.cli.errors import UserError
from benchmark.datasets.shrinking import square_means
from kshot_core.tasks.batches import WHOLE, Part, ScoringBatches, TrainingBatches
from kshot_core.tasks.images import ImageSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor


@dataclass(frozen=True)
class Splits:
    """Everything a run needs of its images, on the CPU, as they are stored.

    Args:
        name: the data set, a key of ``benchmark.datasets.DATASETS``.
        num_classes: labels are 0 .. num_classes - 1.
        train_images: uint8 (B, C, H, W), the images weights are trained on.
        train_labels: int64 (B,).
        valid_images: uint8 (B, C, H, W), the images architectures are scored on.
        valid_labels: int64 (B,).
        mean: per channel, of pixel values divided by 255; subtracted before the network.
        std: per channel, of pixel values divided by 255; divided by after ``mean``.
        trained_on: the truth table's name of this training set. ``"cifar10-valid"`` is the
            published half of CIFAR-10's training images, ``"cifar10"`` would be all of them.
        crop_padding: pixels of zeros around an image before a random crop of its own size.
        flip: whether training images are mirrored at random, left to right.
        description: what a record says about the data: which split, which files, their MD5.
        test_images: uint8 (B, C, H, W), images that neither trained nor chose anything; retrained
            networks are judged by them. None where a data set has none.
        test_labels: int64 (B,), likewise.
        valid_is_held_out: whether the validation images are training images held back, which a
            retrained network gets too.
    """

    name: str
    num_classes: int
    train_images: Tensor
    train_labels: Tensor
    valid_images: Tensor
    valid_labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    trained_on: str
    crop_padding: int
    flip: bool
    description: dict[str, str]
    test_images: Tensor | None = None
    test_labels: Tensor | None = None
    valid_is_held_out: bool = False

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.train_images.shape[2]

    @property
    def image_channels(self) -> int:
        """Channels of an image."""
        return self.train_images.shape[1]

    @property
    def num_train(self) -> int:
        """Number of training images."""
        return len(self.train_labels)

    @property
    def num_valid(self) -> int:
        """Number of images that architectures are scored on."""
        return len(self.valid_labels)

    @property
    def num_test(self) -> int:
        """Number of images that retrained networks are judged by; 0 where there are none."""
        return 0 if self.test_labels is None else len(self.test_labels)

    def first(self, num: int) -> Splits:
        """The same with the first ``num`` training images alone."""
        images, labels = self.train_images[:num], self.train_labels[:num]
        return dataclasses.replace(self, train_images=images, train_labels=labels)

    def shrunk(self, size: int) -> Splits:
        """The same with images of ``size`` pixels a side, each the mean of a square of pixels.

        What ImageNet16 is made by (Chrabaszcz et al., 2017, "box"). Crops shrink alike.

        Raises:
            UserError: ``size`` does not divide the images' side.
        """
        side = self.image_size
        if side % size or size == side:
            allowed = [str(one) for one in range(4, side) if side % one == 0]
            raise UserError(
                f"--image-size of {self.name} is one of {', '.join(allowed)}, or 0 for its own "
                f"{side} pixels, got {size}"
            )
        tests = None if self.test_images is None else square_means(self.test_images, side // size)
        return dataclasses.replace(
            self,
            train_images=square_means(self.train_images, side // size),
            valid_images=square_means(self.valid_images, side // size),
            test_images=tests,
            crop_padding=self.crop_padding * size // side,
            description={**self.description, "pixels": f"{size}x{size}, means of squares"},
        )

    def training(
        self, device: torch.device, part: Part = WHOLE, everything: bool = False
    ) -> ImageSet:
        """Images to train on, augmented; with ``everything`` those held out of training too."""
        images, labels = self.train_images, self.train_labels
        if everything and self.valid_is_held_out:
            images = torch.cat([images, self.valid_images])
            labels = torch.cat([labels, self.valid_labels])
        mean, std = self.mean, self.std
        return ImageSet(images, labels, mean, std, self.crop_padding, self.flip, device, part)

    def validation(self, device: torch.device) -> ImageSet:
        """Images to score architectures on."""
        return ImageSet(self.valid_images, self.valid_labels, self.mean, self.std, device=device)

    def test(self, device: torch.device) -> ImageSet:
        """Images to judge a retrained network by.

        Raises:
            UserError: the data set has none.
        """
        if self.test_images is None or self.test_labels is None:
            raise UserError(f"{self.name} has no test images here; retrain on another --dataset")
        return ImageSet(self.test_images, self.test_labels, self.mean, self.std, device=device)


class Data(Protocol):
    """What programs ask of a data set, whatever its examples are: images, or windows of a text.

    One of another task than image classification has it as ``task``, see ``task_of``.
    """

    @property
    def name(self) -> str:
        """Name of the data set."""
        ...

    @property
    def num_classes(self) -> int:
        """Number of labels, or of tokens."""
        ...

    @property
    def num_train(self) -> int:
        """Number of training examples, those held out not counted."""
        ...

    @property
    def num_valid(self) -> int:
        """Number of examples that architectures are scored on."""
        ...

    @property
    def num_test(self) -> int:
        """Number of examples that retrained networks are judged by; 0 where there are none."""
        ...

    @property
    def trained_on(self) -> str:
        """The truth table's name of the training set."""
        ...

    @property
    def description(self) -> dict[str, str]:
        """What a record says about the data."""
        ...

    def first(self, num: int) -> Data:
        """The same with the first ``num`` training examples alone."""
        ...

    def training(
        self, device: torch.device, part: Part = WHOLE, everything: bool = False
    ) -> TrainingBatches:
        """Examples to train on; with ``everything`` those held out of training too."""
        ...

    def validation(self, device: torch.device) -> ScoringBatches:
        """Examples to score architectures on."""
        ...

    def test(self, device: torch.device) -> ScoringBatches:
        """Examples to judge a retrained network by. Raises ``UserError`` where there are none."""
        ...


@runtime_checkable
class ImageData(Data, Protocol):
    """A data set of images: ``Splits``, or images that are read as they are needed."""

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        ...

    @property
    def image_channels(self) -> int:
        """Channels of an image."""
        ...

    def first(self, num: int) -> ImageData:
        """The same with the first ``num`` training images alone."""
        ...

    def validation(self, device: torch.device) -> ImageSet:
        """Images to score architectures on."""
        ...

    def test(self, device: torch.device) -> ImageSet:
        """Images to judge a retrained network by. Raises ``UserError`` where there are none."""
        ...


@dataclass(frozen=True)
class DataRequest:
    """Where a run looks for its images, and how it splits them.

    Args:
        folder: from ``--data``; looked into first.
        split_file: a list of indices in NAS-Bench-201's format; None looks for the published
            one beside the images.
        seed: of the split that is drawn where there is no split file.
        download: whether files found nowhere may be downloaded. They are not when ``folder``
            is given: a folder without the files is a mistake to report.
        workers: processes that decode an image folder; None for as many as there are cores.
    """

    folder: Path | None = None
    split_file: Path | None = None
    seed: int = 0
    download: bool = True
    workers: int | None = None


@dataclass(frozen=True)
class SplitPlan:
    """How NAS-Bench-201 cuts one list of images in two (Dong & Yang, ICLR 2020, section 2.2).

    Args:
        file: name under which the benchmark's authors published the indices.
        sha256: of that file.
        keys: names of the two parts in the file.
        sizes: number of images in each part.
    """

    file: str
    sha256: str
    keys: tuple[str, str]
    sizes: tuple[int, int]


def choose_split(
    plan: SplitPlan, request: DataRequest, folders: Sequence[Path]
) -> tuple[Tensor, Tensor, str]:
    """Indices of the two parts, int64 and ascending, and what a record says about them.

    The file of ``request`` is used when it names one, else the published file when it lies in
    one of ``folders``, else a split of the same sizes is drawn with the seed of ``request``.
    Without ``folders`` the images are in another order than the published file counts in.

    Raises:
        UserError: the split file is missing, malformed, does not cut the images as planned, or is
            the published one and counts other images.
    """
    path = request.split_file
    if path is None:
        path = next((f / plan.file for f in folders if (f / plan.file).is_file()), None)
    if path is None:
        first, second = _draw_split(plan.sizes, request.seed)
        why = f"{plan.file} not found" if folders else f"{plan.file} counts in another order"
        text = f"drawn with seed {request.seed} ({why})"
    else:
        first, second, digest = _read_split(path.expanduser(), plan)
        if not folders and digest == plan.sha256:
            raise UserError(
                f"--split {path} is the published file, which counts images in the order of the "
                "published batches, not in that of class folders; leave it out"
            )
        source = "published" if digest == plan.sha256 else "not the published"
        text = f"{path.name} ({source} file, sha256 {digest})"
    keys, sizes = " + ".join(plan.keys), " + ".join(map(str, plan.sizes))
    return torch.tensor(first), torch.tensor(second), f"{keys} ({sizes} images): {text}"


def _draw_split(sizes: tuple[int, int], seed: int) -> tuple[list[int], list[int]]:
    """A random split of ``sum(sizes)`` images."""
    # Of all generators at hand only random.random() promises the same numbers in every version.
    generator = random.Random(seed)
    order = sorted(range(sum(sizes)), key=lambda _: generator.random())
    return sorted(order[: sizes[0]]), sorted(order[sizes[0] :])


def _read_split(path: Path, plan: SplitPlan) -> tuple[list[int], list[int], str]:
    """The two index lists of a split file, ascending, and the file's SHA-256."""
    wanted = (
        f'wanted {plan.file}\'s format, {{"{plan.keys[0]}": ["int", ["0", ...]], '
        f'"{plan.keys[1]}": ...}}; get that file from '
        "https://github.com/D-X-Y/AutoDL-Projects (configs/nas-benchmark) or leave it out"
    )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read split file {path}: {error.strerror}; {wanted}") from None
    try:
        lists = json.loads(content)
        kinds = [lists[key][0] for key in plan.keys]
        parts = [[_index(index) for index in lists[key][1]] for key in plan.keys]
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise UserError(f"split file {path} is malformed: {wanted}") from None
    if kinds != ["int", "int"]:
        raise UserError(f"split file {path} lists {kinds[0]!r} and {kinds[1]!r}: {wanted}")
    sizes = tuple(map(len, parts))
    if sizes != plan.sizes:
        raise UserError(f"split file {path} lists {sizes}, not {plan.sizes} images: {wanted}")
    # The parts have as many indices as there are images, so this is also "none out of range,
    # none twice, none in both".
    if sorted(parts[0] + parts[1]) != list(range(sum(plan.sizes))):
        raise UserError(
            f"split file {path} does not name each of the {sum(plan.sizes)} images once: {wanted}"
        )
    return sorted(parts[0]), sorted(parts[1]), hashlib.sha256(content).hexdigest()


def _index(value: object) -> int:
    """A whole number, or its text; 1.5 and true are none. Raises ``ValueError``."""
    if type(value) is int or (isinstance(value, str) and value.strip().isdecimal()):
        return int(value)
    raise ValueError(f"an index is a whole number, got {value!r}")


def check_splits(splits: Splits) -> Splits:
    """``splits``, after checking that it keeps the promises of its class.

    Raises:
        ValueError: a tensor's shape, dtype or values are not as documented. A data set's own
            reader has said what is wrong with a user's file before; this is a mistake in code.
    """
    channels = splits.train_images.shape[1:2]
    parts = ("train", "valid") if splits.test_images is None else ("train", "valid", "test")
    for part in parts:
        images: Tensor = getattr(splits, f"{part}_images")
        labels: Tensor = getattr(splits, f"{part}_labels")
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[0] == 0:
            raise ValueError(
                f"{splits.name}: {part}_images must be uint8 (B, C, H, W), "
                f"got {images.dtype} {tuple(images.shape)}"
            )
        if images.shape[1:] != splits.train_images.shape[1:]:
            raise ValueError(f"{splits.name}: images of training and validation differ in shape")
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{splits.name}: {part}_labels must be int64 ({images.shape[0]},), "
                f"got {labels.dtype} {tuple(labels.shape)}"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= splits.num_classes:
            raise ValueError(
                f"{splits.name}: {part}_labels must be 0..{splits.num_classes - 1}, "
                f"got {low}..{high}"
            )
    if (len(splits.mean),) != channels or (len(splits.std),) != channels or min(splits.std) <= 0:
        raise ValueError(f"{splits.name}: mean and std must have one value per channel, std > 0")
    if splits.crop_padding < 0:
        raise ValueError(f"{splits.name}: crop_padding must be >= 0, got {splits.crop_padding}")
    return splits
