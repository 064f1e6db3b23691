"""ImageNet, or any folder of images in class folders, read while it is needed.

    train/<class>/*.JPEG    to train on, a part of them held out to rank architectures by
    val/<class>/*.JPEG      the public validation set, to judge retrained networks by

The search trains on random parts of images and holds 50,000 of ImageNet's 1.28 million training
images out (Su et al., ICML 2021, section 5.1). Images end as ``jpeg.SUFFIXES``
do, in any case; other files are counted and said. Labels are the places of the classes in sorted
order, which for ImageNet's synsets is the order of published networks. Nothing is downloaded:
ImageNet asks for registration.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from benchmark.cli.errors import UserError
from benchmark.datasets.files import describe_places, search_folders
from benchmark.datasets.imagefiles import TrainingFiles, decode_set
from benchmark.datasets.listing import Listing, list_images
from benchmark.datasets.passed_over import describe_passed_over, warn_of_passed_over
from kshot_core.checks import check_at_least, check_not_negative
from kshot_core.settings import setting
from kshot_core.tasks.batches import WHOLE, Part
from kshot_core.tasks.images import ImageSet

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from benchmark.datasets.splits import DataRequest

ADDRESS = "https://image-net.org/download-images"
IMAGE_SIZE = 224
# Of ImageNet's training images, as published networks take them.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
HELD_OUT = 50_000
# Below this number of training images 50,000 are too many, and a tenth is held out.
LARGE = 10 * HELD_OUT


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder; see :class:`benchmark.datasets.splits.ImageData`.

    Training images are decoded for each pass. Those to score and to judge by are decoded once for
    each call, into memory: 7.5 GB for 50,000 at 224 pixels, on the CPU first and then on the
    device.

    Args:
        train_files: the images of ``train/``.
        test_files: the images of ``val/``, of the same classes.
        chosen: int64 (N,), which of ``train_files`` are trained on, in random order.
        held_out: int64, which are held out, in random order.
        test_order: int64, all of ``test_files`` in random order: under batch statistics a batch
            should not be of one class.
        image_size: height and width in pixels.
        jitter: colour jitter of training images.
        workers: processes that decode, None to choose.
        description: what a record says about the data.
        warned: unreadable files that the user knows of.
    """

    train_files: Listing
    test_files: Listing
    chosen: Tensor
    held_out: Tensor
    test_order: Tensor
    image_size: int
    jitter: float
    workers: int | None
    description: dict[str, str]
    name: str = "imagenet"
    trained_on: str = "imagenet"
    image_channels: int = 3
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    warned: set[str] = field(default_factory=set)

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return len(self.train_files.classes)

    @property
    def num_train(self) -> int:
        """Number of training images, those held out not counted."""
        return len(self.chosen)

    @property
    def num_valid(self) -> int:
        """Number of images that architectures are scored on."""
        return len(self.held_out)

    @property
    def num_test(self) -> int:
        """Number of images that retrained networks are judged by; 0 where there are none."""
        return len(self.test_order)

    def first(self, num: int) -> ImageFolder:
        """The same with the first ``num`` training images of the random order alone."""
        return dataclasses.replace(self, chosen=self.chosen[:num])

    def training(
        self, device: torch.device, part: Part = WHOLE, everything: bool = False
    ) -> TrainingFiles:
        """Images to train on, augmented; with ``everything`` those held out of training too."""
        return TrainingFiles(
            self.train_files,
            torch.cat([self.chosen, self.held_out]) if everything else self.chosen,
            self.mean,
            self.std,
            self.image_size,
            self.jitter,
            device,
            part,
            self.workers,
            self.warned,
        )

    def validation(self, device: torch.device) -> ImageSet:
        """Images to score architectures on: the middle of those held out of training."""
        return self._middles(self.train_files, self.held_out, device)

    def test(self, device: torch.device) -> ImageSet:
        """Images to judge a retrained network by: the middle of those in ``val/``."""
        return self._middles(self.test_files, self.test_order, device)

    def _middles(self, files: Listing, chosen: Tensor, device: torch.device) -> ImageSet:
        return decode_set(
            files, chosen, self.mean, self.std, self.image_size, device, self.workers, self.warned
        )


@dataclass(frozen=True)
class FolderSettings:
    """The settings of an image folder, a data set by its name.

    Args:
        held_out: training images held out for ranking; 0 for 50,000, or for a tenth of less than
            500,000.
        image_size: height and width in pixels; 0 for 224.
        jitter: colour jitter of training images, 0 for none.
    """

    held_out: int = setting(
        0, "training images held out for ranking; 0 for 50,000 or a tenth", alone=0
    )
    image_size: int = setting(0, "height and width of the images; 0 for 224")
    jitter: float = setting(0.4, "colour jitter of training images")

    def __post_init__(self) -> None:
        """Refuse impossible settings with ``ValueError``."""
        check_at_least(self, {"held_out": 0, "image_size": 0})
        check_not_negative(self, "jitter")

    def __call__(self, request: DataRequest) -> ImageFolder:
        """See ``load_imagenet``."""
        return load_imagenet(request, self)


def load_imagenet(request: DataRequest, settings: FolderSettings = FolderSettings()) -> ImageFolder:
    """Find the folder, list its images, and hold some of them out.

    Args:
        request: where to look, and the seed that images are held out with.
        settings: how many are held out, and how images are read.

    Raises:
        UserError: there is no such folder, it cannot be read, a class has no image, ``val/`` has
            other classes than ``train/``, or as many images are to be held out as there are.
    """
    folder = _find(request)
    train, test = list_images(folder / "train"), list_images(folder / "val")
    odd = sorted({*train.classes} ^ {*test.classes})
    if odd:
        has = "train/" if odd[0] in train.classes else "val/"
        raise UserError(
            f"train/ and val/ in {folder} must have the same classes, but {len(odd)} are in one "
            f"alone, such as {odd[0]} in {has}; complete the folder or remove them"
        )
    held = settings.held_out or (HELD_OUT if len(train) >= LARGE else len(train) // 10)
    if not 0 < held < len(train):
        raise UserError(
            f"--held-out must leave images on both sides: 1..{len(train) - 1} of the {len(train)} "
            f"in {folder}/train, got {held}"
        )
    warn_of_passed_over(train, test)
    passed = describe_passed_over(train, test)
    generator = random.Random(request.seed)
    order, test_order = _shuffled(len(train), generator), _shuffled(len(test), generator)
    digest = hashlib.sha256()
    for listing in (train, test):
        for line in listing.lines():
            digest.update(line)
    return ImageFolder(
        train,
        test,
        chosen=order[held:],
        held_out=order[:held],
        test_order=test_order,
        image_size=settings.image_size or IMAGE_SIZE,
        jitter=settings.jitter,
        workers=request.workers,
        description={
            "source": f"{len(train.classes)} classes, {len(train)} images in train/, "
            f"{len(test)} in val/",
            "split": f"{len(train) - held} images to train, {held} held out with seed "
            f"{request.seed}",
            "files": f"sha256 of the names and sizes of all images: {digest.hexdigest()}",
            **({"passed over": passed} if passed else {}),
        },
    )


def _shuffled(num: int, generator: random.Random) -> Tensor:
    # Of all generators at hand only random.random() promises the same numbers in every version.
    keys = torch.tensor([generator.random() for _ in range(num)], dtype=torch.float64)
    return keys.argsort(stable=True)


def _find(request: DataRequest) -> Path:
    """The first folder with ``train/`` and ``val/``, or with ``imagenet/`` that has them."""
    folders = search_folders(request)
    lacks = ""
    for folder in folders.values():
        for candidate in (folder, folder / "imagenet"):
            there = [part for part in ("train", "val") if (candidate / part).is_dir()]
            if len(there) == 2:
                return candidate
            if there:
                lacks += f"; {candidate} has {there[0]}/ alone"
    raise UserError(
        f"imagenet: looked for a folder with train/<class>/*.JPEG and val/<class>/*.JPEG in "
        f"{describe_places(folders)}{lacks}; ImageNet needs a free registration and is not "
        f"downloaded: get the images of ILSVRC 2012 from {ADDRESS}, unpack them into class "
        "folders (those of val/ too), and give the folder with train/ and val/ by --data"
    )
