"""A small search space made up for tests, and its supernet: plain PyTorch that knows nothing of K.

Sites: the block's operation (0 none, 1 convolution 3×3, 2 linear map of the channels), the width in
channels (2, 4 or 6, cut from the same weights), the head (0 pooling, 1 attention over pixels).
Images are (B, 3, H, W), there are four classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kshot_core.space import Arch, Generator, check_arch, in_range, uniform_arch
from kshot_core.tasks.images import ImageSet

WIDTHS = (2, 4, 6)
NUM_CLASSES = 4


@dataclass(frozen=True)
class MadeUpSpace:
    """What a user would write to have a space of their own."""

    name: str = "made-up"
    num_choices: tuple[int, ...] = (3, 3, 2)

    width_sites: tuple[int, ...] = (1,)

    def sample(self, generator: Generator) -> Arch:
        return uniform_arch(self.num_choices, generator)

    def contains(self, arch: Arch) -> bool:
        return in_range(arch, self.num_choices)

    def extremes(self) -> tuple[Arch, Arch]:
        return (0, 0, 0), (1, 2, 1)

    def archs(self) -> list[Arch]:
        return list(product(*map(range, self.num_choices)))

    def canonical(self, arch: Arch) -> Arch:
        return arch

    def is_valid(self, arch: Arch) -> bool:
        return True

    def num_convolutions(self, arch: Arch) -> int:
        return int(arch[0] == 1)

    def flops(self, arch: Arch) -> float:
        return float(27 * WIDTHS[arch[1]])

    def params(self, arch: Arch) -> int:
        return 27 * WIDTHS[arch[1]]

    def to_string(self, arch: Arch) -> str:
        return "-".join(map(str, arch))

    def from_string(self, text: str) -> Arch:
        if not all(part.isdecimal() for part in text.split("-")):
            raise ValueError(f"an architecture here reads 0-1-0, got {text!r}")
        return check_arch([int(part) for part in text.split("-")], self.num_choices)

    def parameter_group(self, name: str) -> str:
        return name

    def supernet(self) -> Slimmable:
        return Slimmable()

    def standalone(self, arch: Arch) -> nn.Module:
        return Alone(check_arch(arch, self.num_choices))


class Slimmable(nn.Module):
    """Channels sliced by the arch, a bare parameter, tied weights, a buffer, attention."""

    def __init__(self, buffers: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6, affine=False, track_running_stats=False)
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, 6))
        self.operations = nn.ModuleDict(
            {"1": nn.Conv2d(6, 6, 3, padding=1, bias=False), "2": nn.Linear(6, 6)}
        )
        # The second linear map has the weight of the first one's and a bias of its own.
        self.tied = nn.Linear(6, 6)
        self.tied.weight = self.operations["2"].weight
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.heads = nn.ModuleList([nn.Linear(6, NUM_CLASSES), nn.Linear(6, NUM_CLASSES)])
        self.num_forwards: Tensor | None
        self.register_buffer("num_forwards", torch.zeros((), dtype=torch.long) if buffers else None)

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.scale, 0.5, 1.5)

    def forward(self, x: Tensor, arch: Arch) -> Tensor:
        operation, width, head = arch[0], WIDTHS[arch[1]], arch[2]
        x = F.conv2d(x, self.stem.weight[:width], self.stem.bias[:width], padding=1)
        x = self.norm(x) * self.scale[:width, None, None]
        if operation == 1:
            x = F.conv2d(x.relu(), self.operations["1"].weight[:width, :width], padding=1)
        elif operation == 2:
            for layer in (self.operations["2"], self.tied):
                maps = F.linear(x.movedim(1, 3), layer.weight[:width, :width], layer.bias[:width])
                x = maps.movedim(3, 1).relu()
        pixels = F.pad(x.flatten(2).mT, (0, 6 - width))
        if head == 1:
            pixels = pixels + self.attention(pixels, pixels, pixels, need_weights=False)[0]
        if self.num_forwards is not None:
            self.num_forwards += 1
        logits: Tensor = self.heads[head](pixels.mean(1))
        return logits


class Alone(nn.Module):
    """One architecture of the made-up space, called as ``network(images)``."""

    def __init__(self, arch: Arch) -> None:
        super().__init__()
        self.arch, self.network = arch, Slimmable()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x, self.arch)
        return logits


def supernet(seed: int, buffers: bool = True) -> Slimmable:
    """A made-up supernet whose every parameter is drawn from the seed, with none left at zero."""
    network = Slimmable(buffers)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return network


def images(num: int = 96, size: int = 6, classes: int = NUM_CLASSES, seed: int = 0) -> ImageSet:
    """Noisy images whose brightest channel and side say the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (num,), generator=generator)
    pixels = torch.randint(0, 120, (num, 3, size, size), generator=generator)
    for pixel, label in zip(pixels, labels.tolist(), strict=True):
        half = slice(0, size // 2) if label % 2 else slice(size // 2, size)
        pixel[(label // 2) % 3, half] += 120
    return ImageSet(
        pixels.to(torch.uint8), labels, mean=(0.3, 0.3, 0.3), std=(0.2, 0.2, 0.2), crop_padding=1
    )
