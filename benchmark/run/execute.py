"""One run from its config to its record: a supernet, its scores, the comparison; resumable."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.config.run import RunConfig
from benchmark.datasets.fingerprint import fingerprint
from benchmark.records import environment
from benchmark.records.load import PREDICTION
from benchmark.records.load_details import GRADIENTS_FILE, TRACKED_FILE, write_archs
from benchmark.records.run_folder import RunFolder
from benchmark.run.compare import compare
from benchmark.run.scoring import score
from benchmark.run.watching import gradients, tracked
from benchmark.train.epochs import Clock, Progress
from benchmark.train.scalars import write_log
from benchmark.train.setup import Places, load_images, load_target, ranked_space
from benchmark.train.supernet import trained_supernet
from kshot_core.evaluation.other_codes import codes_to_score_with
from kshot_core.space import Listable
from kshot_core.tasks import task_of

_NUM_CODES = 1000


def run_folder(results: Path, config: RunConfig) -> RunFolder:
    """Where the run of a config leaves its record."""
    return RunFolder(results, config)


def run_one(
    config: RunConfig,
    places: Places,
    device: torch.device,
    progress: Progress,
    checkpoint_seconds: float = 30.0,
    workers: int = 1,
) -> dict[str, Any]:
    """Run a config to its end, from wherever an earlier process left it, and return its record.

    A finished run is not run again, and a supernet that is there is not trained again. The truth
    is looked up before anything is trained.

    Args:
        config: what to run.
        places: where to read and write.
        device: where to compute.
        progress: told of every epoch and every architecture.
        checkpoint_seconds: least time between two checkpoints; 0 writes one whenever it can.
        workers: processes that score, where the device is a processor.

    Raises:
        UserError: bad input, a damaged file, or a training that diverged.
    """
    folder = run_folder(places.results, config)
    record = folder.record()
    shown = partial(_shown, config, folder)
    if record is not None:
        write_log(places.tensorboard, config.place(), partial(shown, record))
        return record
    target = load_target(config, places)
    splits = load_images(config, places)
    space = ranked_space(config, splits)
    task = task_of(space)
    validation = splits.validation(device)
    with folder.opened():
        supernet = trained_supernet(config, splits, places, device, progress, checkpoint_seconds)
        clock = Clock(checkpoint_seconds)
        scoring_started = time.perf_counter()
        log, scores_by_epoch = tracked(config, supernet, target, validation)
        folder.save_log(log)
        compared = gradients(config, supernet, target, validation)
        scores, num_scored = score(
            folder,
            supernet,
            target.archs,
            validation,
            partial(progress, "scoring"),
            clock.due,
            workers if device.type == "cpu" else 1,
            places,
        )
        with torch.no_grad():
            sharing = codes_to_score_with(
                config.scoring.score_codes, supernet.sharing, target.archs
            )
            codes = sharing(target.archs[:_NUM_CODES]).float().cpu().numpy()
        finished = time.perf_counter()
        trained = supernet.record
        predictions = np.empty(len(target.archs), PREDICTION)
        predictions["index"] = target.table.index(target.archs)
        predictions["accuracy"], predictions["loss"] = scores.T
        # With the truth beside them every metric can be computed again from the record alone.
        predictions["true"] = target.values(target.archs)
        record = {
            "config": config.to_dict(),
            "environment": environment.describe(device),
            "data": {
                "trained_on": splits.trained_on,
                "images_sha256": fingerprint(splits),
                **splits.description,
            },
            "num_scored": num_scored,
            "supernet": supernet.path.relative_to(places.results).as_posix(),
            "seconds": {
                "training": trained["seconds"]["training"],
                "scoring": round(finished - scoring_started, 3),
            },
            "num_weight_steps": trained["num_weight_steps"],
            "num_simplex_steps": trained["num_simplex_steps"],
            **compare(
                space, target, task.merit(predictions["accuracy"]), predictions["loss"], task
            ),
        }
        if not isinstance(space, Listable):
            write_archs(folder.path, [space.to_string(arch) for arch in target.archs])
        arrays = {"predictions.npy": predictions, "codes.npy": codes}
        watched = {TRACKED_FILE: scores_by_epoch, GRADIENTS_FILE: compared}
        record = folder.finish(record, arrays | watched)
        write_log(places.tensorboard, config.place(), partial(shown, record))
        return record


def _shown(config: RunConfig, folder: RunFolder, record: dict[str, Any]) -> list[dict[str, Any]]:
    """The log of a finished run, and the metrics of its ranking at its last epoch."""
    log = folder.load_log(config.training.epochs)
    metrics = {f"ranking/{name}": value for name, value in record["metrics"].items()}
    return [*log, {"epoch": config.training.epochs, **metrics}]
