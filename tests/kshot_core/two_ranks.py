"""A training that two processes share: ``torchrun ... two_ranks.py FOLDER SCHEDULE UNSAMPLED``.

Each process leaves its final state in the folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import made_up
import torch
import torch.distributed as dist
from safetensors.torch import save_file

from kshot_core.sampling import SAMPLERS
from kshot_core.sharing import SHARING
from kshot_core.spaces import MobileNetV2
from kshot_core.streams import seeded
from kshot_core.tasks.batches import Batch, Part
from kshot_core.tasks.images import ImageSet
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.recipe import Recipe
from kshot_core.training.regularisation import WidthRegularisation
from kshot_core.training.steps import Engine, run_step
from kshot_core.training.trainer import Trainer, fit
from kshot_core.weights.bank import KShot

SPACE = MobileNetV2(
    stages=((4, 2, 2),), stem=4, first=4, head=6, num_classes=made_up.NUM_CLASSES, image_size=6
)


def trainer(
    schedule: str, unsampled: str, processes: Processes = ALONE, engine: Engine = run_step
) -> Trainer:
    """Two epochs of six batches of 16, in double precision so that rounding hides nothing."""
    recipe = Recipe(
        epochs=2,
        average_epochs=2,
        batch_size=16,
        warmup_epochs=1,
        num_groups=4,
        schedule=schedule,
        unsampled=unsampled,
    )
    with seeded(0):
        supernet = SPACE.supernet()
    sharing = SHARING["simplex"](SPACE, 3)
    return Trainer(
        KShot(supernet, 3, group=SPACE.parameter_group).double(),
        sharing.double(),
        SAMPLERS["uniform"](SPACE),
        _Doubled(processes.part),
        recipe,
        0,
        engine,
        processes,
        WidthRegularisation(SPACE.num_choices, SPACE.width_sites, canonical=SPACE.canonical),
    )


class _Doubled:
    """The made-up images in double precision."""

    def __init__(self, part: Part) -> None:
        whole = made_up.images()
        pixels = whole.pixels[:, 1:-1, 1:-1].permute(0, 3, 1, 2).contiguous()
        mean, std = (0.3, 0.3, 0.3), (0.2, 0.2, 0.2)
        self.images = ImageSet(pixels, whole.labels, mean, std, 1, True, part=part)

    def __len__(self) -> int:
        return len(self.images)

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        for x, y in self.images.training_batches(batch_size, generator):
            yield x.double(), y


def main(folder: str, schedule: str, unsampled: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    training = trainer(schedule, unsampled, Processes(Part(rank, dist.get_world_size())))
    log = [torch.tensor(list(figures.values())) for figures in fit(training)]
    state = training.state() | {"log": torch.cat(log)}
    save_file({name: value.contiguous() for name, value in state.items()}, Path(folder, str(rank)))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
