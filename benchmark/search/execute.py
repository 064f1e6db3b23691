"""One search from its config to its record: supernets, generations, what was found."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.cli.stopping import finishing, stopped
from benchmark.config.search import SearchConfig
from benchmark.datasets import Data
from benchmark.datasets.fingerprint import fingerprint
from benchmark.records import environment
from benchmark.search.folder import PARTIAL, SearchFolder
from benchmark.search.scoring import UnfinishedError, scorer
from benchmark.search.truth import SearchTruth
from benchmark.train.epochs import Progress
from benchmark.train.setup import Places, load_images
from benchmark.train.supernet import Supernet, trained_supernet
from benchmark.views.drawing import draw, is_drawable, save_figure
from benchmark.views.front import front_figure
from benchmark.workers.torchrun import agreed_stop
from kshot_core.search.limits import check_reachable
from kshot_core.search.methods import METHODS, Evaluated, best, front
from kshot_core.space import Arch, Priced, PricedSpace
from kshot_core.tasks import task_of
from kshot_core.training.distributed import ALONE, Processes


def search_one(
    config: SearchConfig,
    places: Places,
    device: torch.device,
    progress: Progress,
    checkpoint_seconds: float = 30.0,
    processes: Processes = ALONE,
) -> tuple[dict[str, Any], Path]:
    """Train what is missing, search, and return the record and its folder.

    Args:
        config: what to search.
        places: where to read and write.
        device: where to compute.
        progress: told of every epoch and every architecture.
        checkpoint_seconds: least time between two checkpoints of a training.
        processes: those that share the work.

    Raises:
        UserError: bad input, a damaged file, limits that nothing keeps, a diverged training.
        StoppedError: a signal came; what was scored is saved.
    """
    data = load_images(config.run, places)
    space = _priced(config, data)
    folder = SearchFolder(places.results, config, space)
    record = folder.record()
    if record is not None:
        return record, folder.path
    truth, searched = searched_space(config, places, data)
    with folder.opened() if processes.is_first else nullcontext():
        # In here, so that a training that diverges is the end of its search too.
        supernets = [
            trained_supernet(one, data, places, device, progress, checkpoint_seconds, processes)
            for one in config.supernets()
        ]
        processes.wait()
        environment.forget_peak_memory(device)
        started = time.perf_counter()
        evaluated, seconds_scoring, num_new = _evaluate(
            config, folder, searched, supernets, data, device, progress, processes
        )
        record = {
            "kind": "search",
            "config": config.to_dict(),
            "environment": environment.describe(device),
            "data": {
                "trained_on": data.trained_on,
                "images_sha256": fingerprint(data),
                **data.description,
            },
            "seconds": {
                # Of a search that was stopped and resumed, since it was.
                "search": round(time.perf_counter() - started, 3),
                "supernets": sum(one.record["seconds"]["training"] for one in supernets),
            },
            # Of what this process scored; a resumed search says nothing about the others.
            "seconds_per_arch": seconds_scoring / num_new if num_new else None,
            "peak_memory_bytes": environment.peak_memory_bytes(device),
            "num_processes": processes.part.num,
            "num_scored": len(evaluated),
            "supernets": [str(one.path.relative_to(places.results)) for one in supernets],
        }
        if processes.is_first:
            record |= _outcome(folder, config, evaluated, truth)
            _save(folder, places, config, evaluated, supernets, record)
            record = folder.complete(record, [PARTIAL])
        processes.wait()
    return record, folder.path


def searched_space(
    config: SearchConfig, places: Places, data: Data
) -> tuple[SearchTruth | None, PricedSpace]:
    """The truth of this data set, if there is one, and the space that is searched.

    Args:
        config: what to search.
        places: where the truth is.
        data: the images.

    Raises:
        UserError: a space without costs, a damaged truth, or limits that no architecture keeps.
    """
    space = _priced(config, data)
    truth = SearchTruth.of(config.run, places, space)
    searched = truth.restricted(space) if truth else space
    try:
        check_reachable(searched, config.limits())
    except ValueError as error:
        raise UserError(f"{error}; change --max-flops, --min-flops or --max-params") from None
    return truth, searched


def _priced(config: SearchConfig, data: Data) -> PricedSpace:
    space = config.run.space.build(data)
    if not isinstance(space, Priced):
        raise UserError(
            f"a search weighs accuracy against multiply-adds, which {space.name} does not count; "
            "give the space flops(), params() and extremes(), see kshot_core/space.py"
        )
    return space


def _evaluate(
    config: SearchConfig,
    folder: SearchFolder,
    space: PricedSpace,
    supernets: list[Supernet],
    data: Data,
    device: torch.device,
    progress: Progress,
    processes: Processes,
) -> tuple[list[Evaluated], float, int]:
    """All generations, the seconds that scoring took, and how many were scored now."""
    run = config.run
    batches = data.validation(device).scoring_batches(
        run.scoring.score_batch_size, run.scoring.score_images or None
    )
    total = config.search.population * config.search.generations
    known, evaluated = folder.load_progress(), list[Evaluated]()
    seconds, num_new = 0.0, 0

    def scored(num: int) -> None:
        progress("searching", len(evaluated) + num, total)

    stop = agreed_stop(processes)
    score_here = scorer(config, supernets, batches, processes, scored, task_of(space), stop)

    def save(also: Sequence[Evaluated] = ()) -> None:
        if processes.is_first:
            folder.save_progress([*evaluated, *also])

    def score(archs: Sequence[Arch]) -> list[tuple[float, float]]:
        nonlocal seconds, num_new
        started = time.perf_counter()
        try:
            scores = score_here(archs)
        except UnfinishedError as unfinished:
            # Of the generation under way what is known already, and what has been scored now.
            number = evaluated[-1].generation + 1 if evaluated else 1
            begun = [one for one in known if one.generation == number]
            save(begun + _scored(space, archs, unfinished.scores, number))
            raise stopped() from None
        seconds, num_new = seconds + time.perf_counter() - started, num_new + len(archs)
        return list(scores)

    progress("searching", 0, total)
    try:
        with finishing():
            for generation in METHODS[config.method](
                space,
                score,
                config.limits(),
                config.settings(),
                known,
                lambda arch: tuple(one.sharing.reads(arch) for one in supernets),
            ):
                evaluated += generation
                progress("searching", len(evaluated), total)
                # While known scores are replayed the file has more than has come out here.
                if len(evaluated) > len(known):
                    save()
    except FloatingPointError as error:
        line = f"{folder.path}: {error}: its supernet's training diverged"
        raise DivergedJobError(line) from None
    except ValueError as error:
        raise UserError(f"{folder.path}: {error}") from None
    progress("searching", total, total)
    return evaluated, seconds, num_new


def _scored(
    space: PricedSpace,
    archs: Sequence[Arch],
    scores: Sequence[tuple[float, float]],
    generation: int,
) -> list[Evaluated]:
    """The first architectures of a generation, with their scores; what is no number is left out."""
    return [
        Evaluated(arch, accuracy, loss, space.flops(arch), space.params(arch), generation)
        for arch, (accuracy, loss) in zip(archs, scores, strict=False)
        if math.isfinite(accuracy) and math.isfinite(loss)
    ]


def _outcome(
    folder: SearchFolder,
    config: SearchConfig,
    evaluated: list[Evaluated],
    truth: SearchTruth | None,
) -> dict[str, Any]:
    """The part of a record that says what was found."""
    found, space, limits = best(evaluated), folder.space, config.limits()
    chosen: dict[str, Any] = {
        "arch": space.to_string(found.arch),
        "accuracy": found.accuracy,
        "loss": found.loss,
        "flops": found.flops,
        "params": found.params,
        "number": evaluated.index(found),
        "true": truth.value(space.to_string(found.arch)) if truth else None,
    }
    return {
        "best": chosen,
        "optimum": truth.optimum(space, limits) if truth else None,
        "judged": truth.judged(chosen["arch"], space, limits) if truth else None,
        "truth": truth.source() if truth else None,
    }


def _save(
    folder: SearchFolder,
    places: Places,
    config: SearchConfig,
    evaluated: list[Evaluated],
    supernets: list[Supernet],
    record: dict[str, Any],
) -> None:
    """Everything of a finished search but its record."""
    space, run, chosen = folder.space, config.run, record["best"]
    true = None
    if record["truth"] is not None:
        truth = SearchTruth.of(run, places, space)
        assert truth is not None, "it was there before"
        true = [truth.value(space.to_string(one.arch)) for one in evaluated]
    folder.save_evaluated(evaluated, true)
    folder.save_front(evaluated)
    if not config.ensemble:
        with torch.no_grad():
            codes = supernets[0].sharing([one.arch for one in evaluated])
        folder.save_codes(codes.float().cpu().numpy())
    settings = run.space
    folder.save_arch(
        {
            "space": space.name,
            "settings": settings.to_dict(),
            "arch": chosen["arch"],
            "dataset": run.dataset.name,
            "flops": chosen["flops"],
            "params": chosen["params"],
            "accuracy": chosen["accuracy"],
            "search": {
                "record": str(folder.path.relative_to(places.results)),
                "config": config.to_dict(),
            },
        }
    )
    title = f"{run.dataset.name}, {config.label}: {chosen['flops'] / 1e6:.3g} M multiply-adds"
    if is_drawable(settings):
        save_figure(draw(settings, [(title, chosen["arch"])]), folder.path / "arch.png")
    save_figure(
        front_figure(evaluated, front(evaluated), best(evaluated), config.limits()),
        folder.path / "front.png",
    )
