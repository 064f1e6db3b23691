"""From a config to the objects of the method: images, space, bank, strategy, trainer."""

from __future__ import annotations

import argparse
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmark.cli.errors import UserError
from benchmark.cli.parser import one_of
from benchmark.cli.text import read_path
from benchmark.config.run import RunConfig
from benchmark.datasets import DATASETS, Data, DataRequest
from benchmark.train.scalars import checked
from benchmark.truth.table import TruthColumn, TruthTable, default_column, find_truth
from kshot_core.sharing import Sharing, Strategy
from kshot_core.space import Arch, Space
from kshot_core.spaces import SPACES
from kshot_core.streams import derive_seed, seeded
from kshot_core.tasks import task_of
from kshot_core.tasks.batches import TrainingBatches
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.regularisation import WidthRegularisation
from kshot_core.training.steps import Engine, run_step
from kshot_core.training.trainer import Trainer
from kshot_core.weights.bank import KShot
from kshot_core.weights.widen import widen_copies

Named = tuple[tuple[str, Path], ...]
"""Paths by the name of what they are for."""


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes; decides no prediction, so it is no part of the config.

    Args:
        results: what is written, and read again.
        data: examples of every data set that has no folder of its own.
        truth: table of every space that has no table of its own.
        split: published split of the images.
        tensorboard: where scalars go, None for none; see ``benchmark.train.scalars``.
        data_of_set: folders of single data sets.
        truth_of_space: tables of single spaces.
    """

    results: Path = Path("results")
    data: Path | None = None
    truth: Path | None = None
    split: Path | None = None
    tensorboard: Path | None = None
    data_of_set: Named = ()
    truth_of_space: Named = ()

    def data_for(self, dataset: str) -> Path | None:
        """Where a data set's examples are, if that was said."""
        return dict(self.data_of_set).get(dataset, self.data)

    def truth_for(self, space: str) -> Path | None:
        """Where a space's truth table is, if that was said."""
        return dict(self.truth_of_space).get(space, self.truth)


def places_of(given: argparse.Namespace) -> Places:
    """The places that a command line names; a program may lack some of the options.

    Raises:
        UserError: one is named for a data set or a space that there is not, or scalars cannot be
            written.
    """
    data, data_of_set = _named("--data", getattr(given, "data", None), DATASETS)
    truth, truth_of_space = _named("--truth", getattr(given, "truth", None), SPACES)
    split, scalars = getattr(given, "split", None), checked(given.tensorboard)
    return Places(given.results, data, truth, split, scalars, data_of_set, truth_of_space)


def _named(
    option: str, paths: Sequence[Path] | None, names: Collection[str]
) -> tuple[Path | None, Named]:
    """The path for everything, and those with a name before them; the last of each stands."""
    found: dict[str, Path] = {}
    for path in paths or ():
        name, sign, rest = str(path).partition("=")
        if not (sign and rest) or "/" in name or path.exists():
            name, own = "", path
        else:
            one_of(f"the name in {option} NAME=PATH", name, names)
            own = read_path(rest)
        found[name] = own
    return found.pop("", None), tuple(found.items())


@dataclass(frozen=True)
class Target:
    """What a run is compared with.

    Args:
        table: the truth table.
        column: the column named or defaulted.
        archs: the architectures to score, in the space's order.
    """

    table: TruthTable
    column: TruthColumn
    archs: list[Arch]

    def values(
        self, archs: list[Arch], column: TruthColumn | None = None
    ) -> npt.NDArray[np.float64]:
        """The truth of architectures (A,), percent, from the column or from another one."""
        series = self.table.column(column or self.column)
        values = series.loc[[self.table.space.to_string(arch) for arch in archs]]
        return np.asarray(values, dtype=np.float64)

    def related(self) -> list[TruthColumn]:
        """Mean columns of the half-set twin, and of other data sets with the same split and length.

        Supernets of ``cifar10`` train on ``cifar10-valid``. Against another data set's truth the
        scores say how far a ranking carries over.
        """
        own = self.column
        return [
            column
            for column in self.table.columns()
            if column.run == "mean"
            and column.epochs == own.epochs
            and column.trained_on != own.trained_on
            and (column.trained_on == f"{own.trained_on}-valid" or column.split == own.split)
            and not self.table.column(column).isna().any()
        ]


def ranked_space(config: RunConfig, data: Data) -> Space:
    """The search space of a run, for the images it is trained on.

    Raises:
        UserError: the space cannot take these images.
    """
    return config.space.build(data)


def load_images(config: RunConfig, places: Places) -> Data:
    """The data set's images, the training images cut to ``train_images``.

    Raises:
        UserError: files missing or damaged; more images asked for than there are, to train or
            to score on.
    """
    request = DataRequest(
        folder=places.data_for(config.dataset.name),
        split_file=places.split,
        seed=config.dataset["split_seed"],
    )
    splits = config.dataset.load(request)
    name, num, num_scored = (
        config.dataset.name,
        config.dataset["train_images"],
        config.scoring.score_images,
    )
    if num > splits.num_train:
        raise UserError(f"--train-images asks for {num} images, {name} has {splits.num_train}")
    if num_scored > splits.num_valid:
        raise UserError(
            f"--score-images asks for {num_scored} images, {name} has "
            f"{splits.num_valid} to score on; 0 takes all"
        )
    splits = splits.first(num) if num else splits
    batch = config.training.batch_size
    if batch > splits.num_train:
        raise UserError(f"--batch-size {batch} is more than the {splits.num_train} training images")
    return splits


def load_target(config: RunConfig, places: Places) -> Target:
    """The truth table, its column, and the architectures to score.

    ``archs`` of them are drawn without replacement, the same for every seed and K, so that runs
    are compared on the same architectures.

    Raises:
        UserError: no table, a malformed one, an unknown column, or fewer rows than asked for.
    """
    space = config.space.without_images()
    name, wanted = config.dataset.name, config.ranking
    table = TruthTable.load(find_truth(name, places.truth_for(space.name), space.name), space)
    if wanted.truth_column == "default":
        column = default_column(name, table)
    else:
        column = TruthColumn.parse(wanted.truth_column)
    archs = table.archs(column)
    if wanted.archs > len(archs):
        raise UserError(
            f"--archs asks for {wanted.archs} architectures, {column} in {table.path} has "
            f"{len(archs)}; 0 takes them all"
        )
    if wanted.archs:
        places_drawn = random.Random(0).sample(range(len(archs)), wanted.archs)
        archs = [archs[place] for place in sorted(places_drawn)]
    return Target(table, column, archs)


def build_supernet(config: RunConfig, space: Space, device: torch.device) -> tuple[KShot, Sharing]:
    """Bank and strategy, initialised from the config's seed.

    Raises:
        UserError: settings that do not go together, such as few-shot sharing with too many copies.
    """
    try:
        strategy: Strategy = config.sharing.made()
        sharing = strategy(space, config.K, derive_seed(config.seed, "sharing"))
        with seeded(derive_seed(config.seed, "weights")):
            supernet = space.supernet()
        seed = derive_seed(config.seed, "copies")
        shared = KShot(supernet, config.K, seed=seed, group=space.parameter_group)
        if config.widen_copies:
            widen_copies(shared)
    except ValueError as error:
        raise UserError(f"these settings do not go together: {error}") from None
    return shared.to(device), sharing.to(device)


def build_trainer(
    config: RunConfig,
    space: Space,
    images: TrainingBatches,
    device: torch.device,
    engine: Engine = run_step,
    processes: Processes = ALONE,
) -> Trainer:
    """Bank, strategy and trainer, initialised from the config's seed; see ``Trainer``.

    Raises:
        UserError: settings that do not go together.
    """
    shared, sharing = build_supernet(config, space, device)
    try:
        sampler = config.sampler.made()(space)
        widths = WidthRegularisation(
            space.num_choices, space.width_sites, config.widths, space.canonical
        )
        return Trainer(
            shared,
            sharing,
            sampler,
            images,
            config.training,
            config.seed,
            engine,
            processes,
            widths if space.width_sites else None,
            task_of(space),
        )
    except ValueError as error:
        raise UserError(f"these settings do not go together: {error}") from None
