"""Scoring with a trained supernet: resumable, and spread over processes where cores are free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import torch

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.cli.stopping import StoppedError
from benchmark.config.run import RunConfig
from benchmark.records.run_folder import RunFolder
from benchmark.train.setup import Places, load_images, load_target, ranked_space
from benchmark.train.supernet import Supernet, stored_supernet
from benchmark.workers.jobs import run_all
from kshot_core.evaluation.other_codes import codes_to_score_with
from kshot_core.evaluation.scores import iterate_scores, work_list
from kshot_core.sharing import Sharing
from kshot_core.space import Arch
from kshot_core.tasks import task_of
from kshot_core.tasks.batches import Batch, ScoringBatches
from kshot_core.weights.bank import KShot

_SHARD = 32
"""Architectures that a process scores at a time, about."""


def score(
    folder: RunFolder,
    supernet: Supernet,
    archs: list[Arch],
    images: ScoringBatches,
    progress: Callable[[int, int], None],
    due: Callable[[], bool],
    workers: int = 1,
    places: Places | None = None,
) -> tuple[npt.NDArray[np.float32], int]:
    """Scores (A, 2), the task's score and loss, and the number of networks that ran.

    Goes on from saved scores; each live network is scored once.

    Args:
        folder: the run.
        supernet: trained, and on disk.
        archs: A architectures.
        images: to score on.
        progress: told how many are scored, of how many.
        due: whether scores are to be saved now.
        workers: processes, where the device is a processor.
        places: where the workers find the images.

    Raises:
        UserError: saved scores of another run, or a training that diverged.
    """
    config = folder.config
    scoring, precision = config.scoring, config.training.precision
    space = config.space.without_images()
    task = task_of(space)
    sharing = codes_to_score_with(scoring.score_codes, supernet.sharing, archs)
    unique, positions = work_list(archs, sharing, space.canonical)
    done = folder.load_scores()
    if len(done) > len(unique) or done.shape[1:] != (2,):
        raise UserError(f"the scores in {folder.path} is not of this run; delete it to score again")
    # Passes of several architectures are always the same ones, so that a stopped and resumed run
    # ends with the same bytes.
    scores = done[: len(done) // scoring.score_paths * scoring.score_paths].tolist()
    rest = unique[len(scores) :]
    size = -(-_SHARD // scoring.score_paths) * scoring.score_paths
    try:
        if workers > 1 and places is not None and len(rest) > size:
            shards = [rest[start : start + size] for start in range(0, len(rest), size)]
            shard = partial(_score_shard, config, places)
            waiting: dict[int, list[tuple[float, float]]] = {}
            num_done = 0
            for number, result in run_all(shard, shards, workers):
                waiting[number] = result
                # Saved scores are the first ones of the list, without a gap.
                while num_done in waiting:
                    scores += waiting.pop(num_done)
                    num_done += 1
                progress(len(scores) + sum(map(len, waiting.values())), len(unique))
                if due():
                    folder.save_scores(np.array(scores).reshape(-1, 2))
        else:
            batches = images.scoring_batches(scoring.score_batch_size, scoring.score_images or None)
            for one in iterate_scores(
                supernet.shared,
                sharing,
                rest,
                batches,
                scoring.score_paths,
                precision,
                task,
            ):
                scores.append(one)
                progress(len(scores), len(unique))
                if due():
                    folder.save_scores(np.array(scores).reshape(-1, 2))
    except FloatingPointError as error:
        raise DivergedJobError(f"{folder.path}: {error}") from None
    except StoppedError:
        folder.save_scores(np.array(scores).reshape(-1, 2))
        raise
    return np.array(scores, dtype=np.float32).reshape(-1, 2)[positions], len(unique)


def _score_shard(
    config: RunConfig, places: Places, archs: Sequence[Arch]
) -> list[tuple[float, float]]:
    shared, sharing, batches = _stored(config, places)
    task, precision = task_of(config.space.without_images()), config.training.precision
    paths = config.scoring.score_paths
    return list(iterate_scores(shared, sharing, archs, batches, paths, precision, task))


@cache
def _stored(config: RunConfig, places: Places) -> tuple[KShot, Sharing, Sequence[Batch]]:
    """What a worker needs, once per process: the trained weights, the codes and the images."""
    splits = load_images(config, places)
    device = torch.device("cpu")
    validation = splits.validation(device)
    supernet = stored_supernet(config, ranked_space(config, splits), places, device)
    scoring = config.scoring
    batches = validation.scoring_batches(scoring.score_batch_size, scoring.score_images or None)
    archs = load_target(config, places).archs if scoring.score_codes != "own" else []
    sharing = codes_to_score_with(scoring.score_codes, supernet.sharing, archs)
    return supernet.shared, sharing, batches
