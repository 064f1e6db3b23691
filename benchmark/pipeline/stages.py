"""The stages from images to a retrained network, each over several pieces of work side by side."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from benchmark.cli.board import Board
from benchmark.cli.errors import DivergedJobError, UserError, lacks_memory
from benchmark.cli.stopping import StoppedError
from benchmark.cli.version import code_version
from benchmark.config.arch_file import FoundArch, read_arch
from benchmark.config.retrain import RetrainConfig
from benchmark.config.run import RunConfig
from benchmark.config.search import SearchConfig
from benchmark.datasets import Data
from benchmark.records.locks import BusyError
from benchmark.retrain.execute import check_retraining, retrain_one
from benchmark.search.execute import search_one, searched_space
from benchmark.train.epochs import Progress
from benchmark.train.setup import Places, load_images
from benchmark.train.supernet import trained_supernet
from benchmark.workers.cluster import Cluster, ClusterSettings
from benchmark.workers.executor import Executor, Local, each
from benchmark.workers.relay import Tell, progress_of

Work = TypeVar("Work")
Result = TypeVar("Result")
Outcome = tuple[dict[str, Any], Path]
"""A record and its folder."""


@dataclass(frozen=True)
class Machine:
    """What work is done with.

    Args:
        places: where to read and write.
        device: where to compute.
        jobs: pieces of work at a time.
        checkpoint_seconds: least time between two checkpoints of a training.
    """

    places: Places
    device: torch.device
    jobs: int
    checkpoint_seconds: float


@dataclass(frozen=True)
class Stage(Generic[Work, Result]):
    """Pieces of work of one kind; no two of them write to the same folder.

    Args:
        what: they are, in a word.
        title: a line that names one of them, and no other.
        do: does one; called with the machine, its progress and the piece.
    """

    what: str
    title: Callable[[Work], str]
    do: Callable[[Machine, Progress, Work], Result]


@dataclass(frozen=True)
class Failure:
    """A piece of work that did not end well.

    Args:
        title: of the piece.
        outcome: ``"failed"`` or ``"diverged"``.
        why: one line.
    """

    title: str
    outcome: str
    why: str


@dataclass(frozen=True)
class Crew:
    """Who does the work: the machine of each piece, where pieces run, and what shows them."""

    machine: Machine
    executor: Executor
    board: Board

    def run(
        self,
        stage: Stage[Work, Result],
        work: Sequence[Work],
        done_before: int = 0,
        ended: Callable[[], object] = lambda: None,
    ) -> dict[Work, Result | Failure]:
        """Do pieces of work of one kind side by side; one that fails ends no other.

        A piece at which another process works is asked for again until that one is done.

        Args:
            stage: their kind.
            work: the pieces, no two alike.
            done_before: pieces of the kind that are done already, to be shown.
            ended: called after every piece.

        Returns:
            what each piece returned, or why it did not, in the order of ``work``.

        Raises:
            StoppedError: a signal asked a piece to stop, and it saved what it had.
        """
        self.board.begin(stage.what, len(work) + done_before, done_before)
        results: dict[Work, Result | Failure] = {}
        task = partial(_do, stage, self.machine, self.executor.tell())
        for position, future in each(self.executor, task, work, self.board.tick, _is_busy):
            title, error = stage.title(work[position]), future.exception()
            if isinstance(error, StoppedError):
                raise error
            if error is None:
                results[work[position]] = future.result()
                self.board.ended(title, "done")
            else:
                failure = _failure(title, error)
                results[work[position]] = failure
                self.board.ended(title, failure.outcome, failure.why)
            ended()
        return {one: results[one] for one in work}


@contextmanager
def local_crew(machine: Machine) -> Iterator[Crew]:
    """Whoever works on this machine, ``machine.jobs`` pieces at a time."""
    board = Board()
    with board, Local(machine.jobs, board.show, machine.device.type == "cuda") as executor:
        yield Crew(machine, executor, board)


@contextmanager
def cluster_crew(machine: Machine, settings: ClusterSettings) -> Iterator[Crew]:
    """Whoever works on a Ray cluster; ``machine.jobs`` has no part in it.

    Raises:
        UserError: no cluster, or nodes that lack what jobs need; see ``Cluster``.
    """
    given = machine.places
    data_of_set, truth_of_space = (
        tuple((name, path.expanduser().resolve()) for name, path in one)
        for one in (given.data_of_set, given.truth_of_space)
    )
    places = Places(
        given.results.expanduser().resolve(),
        _absolute(given.data),
        _absolute(given.truth),
        _absolute(given.split),
        _absolute(given.tensorboard),
        data_of_set,
        truth_of_space,
    )
    paths = [path for path in (places.data, places.truth, places.split) if path is not None]
    paths += dict(places.data_of_set + places.truth_of_space).values()
    board = Board()
    cluster = Cluster(settings, places.results, paths, code_version, board.show)
    with board, cluster as executor:
        yield Crew(dataclasses.replace(machine, places=places), executor, board)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().resolve()


def succeeded(results: Mapping[Work, Result | Failure]) -> dict[Work, Result]:
    """What was returned by pieces of work, all of which have to have ended well.

    Raises:
        UserError: the first of them that did not.
    """
    for result in results.values():
        if isinstance(result, Failure):
            raise UserError(f"{result.title}: {result.why}")
    return {one: result for one, result in results.items() if not isinstance(result, Failure)}


def has_diverged(result: object) -> bool:
    """Whether this is what is left of a piece of work that diverged."""
    return isinstance(result, Failure) and result.outcome == "diverged"


def _do(stage: Stage[Work, Result], machine: Machine, tell: Tell, work: Work) -> Result:
    progress = progress_of(tell, stage.title(work))
    progress("", 0, 0)
    return stage.do(machine, progress, work)


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, BusyError)


def _failure(title: str, error: BaseException) -> Failure:
    """Why a piece of work failed, in one line; of what nobody foresaw, the traceback goes first."""
    why = " ".join(str(error).split())
    if isinstance(error, BrokenProcessPool):
        why = "its process was killed, perhaps because memory ran out"
    elif lacks_memory(error):
        why = f"not enough memory: {why}"
    elif not isinstance(error, UserError):
        traceback.print_exception(error)
        why = f"{type(error).__name__}: {why}"
    return Failure(title, "diverged" if isinstance(error, DivergedJobError) else "failed", why)


def _train(machine: Machine, progress: Progress, config: RunConfig) -> None:
    """Train a supernet, if there is none yet."""
    images = load_images(config, machine.places)
    trained_supernet(
        config, images, machine.places, machine.device, progress, machine.checkpoint_seconds
    )


def _search(machine: Machine, progress: Progress, config: SearchConfig) -> Outcome:
    """Search with the supernets that were trained."""
    return search_one(config, machine.places, machine.device, progress, machine.checkpoint_seconds)


def _retrain(machine: Machine, progress: Progress, work: tuple[RetrainConfig, Path]) -> Outcome:
    """Train by itself what the search in a folder found."""
    config, folder = work
    found = read_arch(folder / "arch.json")
    return retrain_one(config, found.search, machine.places, machine.device, progress)


def of_images(config: RunConfig) -> tuple[Any, ...]:
    """The settings that decide which images a run loads, and whether they are enough."""
    return config.dataset, config.scoring.score_images, config.training.batch_size


def check_searches(
    searches: Sequence[SearchConfig],
    places: Places,
    device: torch.device,
    retraining: Callable[[FoundArch], RetrainConfig] | None,
    what: str = "retraining",
) -> None:
    """Say what is wrong with data, limits and retraining before anything is trained.

    Args:
        searches: what is to be searched.
        places: where to read.
        device: where to compute.
        retraining: how what is found will be trained by itself; None where it will not.
        what: where the settings of retraining come from, for a message.

    Raises:
        UserError: bad input, limits that nothing keeps, or a package that is missing.
    """
    images: dict[tuple[Any, ...], Data] = {}
    largest: dict[RetrainConfig, None] = {}
    for one in searches:
        key = of_images(one.run)
        if key not in images:
            images[key] = load_images(one.run, places)
        _, space = searched_space(one, places, images[key])
        if retraining is not None:
            arch = space.to_string(space.extremes()[1])
            found = FoundArch(one.run.space, arch, one.run.dataset.name, {"config": one.to_dict()})
            largest[retraining(found)] = None
    for config in largest:
        try:
            check_retraining(config, places, device)
        except UserError as error:
            raise UserError(f"{what}: {error}") from None


def title_of(config: RunConfig) -> str:
    """A run or training in a few words; others may have the same but for the id."""
    return f"{config.title} ({config.run_id()})"


def title_of_search(config: SearchConfig) -> str:
    """The same of a search."""
    return f"{config.title} ({config.run_id()})"


def _title_of_retraining(work: tuple[RetrainConfig, Path]) -> str:
    return f"{work[0].title} ({work[0].run_id()})"


TRAIN = Stage("supernet", title_of, _train)
SEARCH = Stage("search", title_of_search, _search)
RETRAIN = Stage("retraining", _title_of_retraining, _retrain)
