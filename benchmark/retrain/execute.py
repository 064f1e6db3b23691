"""One retraining from its config to its record: train, judge, export.

``results/retrained/<dataset>/<space>/seed<s>-<hash>/`` holds ``config.json`` from the start,
``log.jsonl`` and ``checkpoint.safetensors`` while it trains, and at the end
``weights.safetensors`` and ``model.onnx`` of the averaged weights and, last, ``record.json``.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.config.retrain import RetrainConfig
from benchmark.datasets import DataRequest, ImageData, Splits
from benchmark.datasets.fingerprint import fingerprint
from benchmark.records import environment
from benchmark.records.folders import ConfigFolder
from benchmark.retrain.export import check_exporter, export_onnx, export_weights
from benchmark.train.epochs import Progress, restored, run_epochs
from benchmark.train.scalars import scalars, write_log
from benchmark.train.setup import Places
from benchmark.workers.torchrun import STEPS_BETWEEN, agreed_stop
from kshot_core.retraining.standalone import build_standalone
from kshot_core.retraining.trainer import Retraining, top_k
from kshot_core.space import Arch, Priced, Space
from kshot_core.tasks.images import ImageSet
from kshot_core.training.distributed import ALONE, Processes
from kshot_core.training.trainer import DivergedError


def retrain_one(
    config: RetrainConfig,
    search: dict[str, Any] | None,
    places: Places,
    device: torch.device,
    progress: Progress,
    processes: Processes = ALONE,
) -> tuple[dict[str, Any], Path]:
    """Train a config's network, from wherever an earlier process left it.

    A finished retraining is not repeated.

    Args:
        config: what to train.
        search: where the architecture comes from, for the record.
        places: where to read and write; all processes must see the same files.
        device: where to compute.
        progress: told of every epoch.
        processes: those that train together.

    Returns:
        the record and its folder.

    Raises:
        UserError: bad input, a damaged file, or a training that diverged.
    """
    folder = ConfigFolder(
        places.results / config.place(),
        config,
        ("top1", "top5", "top1_raw", "top5_raw", "flops", "params", "num_test_images"),
    )
    record, epochs = folder.record(), config.recipe.epochs
    root = places.tensorboard if processes.is_first else None
    if record is not None:
        write_log(root, config.place(), partial(_shown, folder, epochs, record))
        return record, folder.path
    data, space, training = _prepared(config, places, device, processes)
    arch, images_sum = space.from_string(config.arch), fingerprint(data)
    training.stop = agreed_stop(processes, STEPS_BETWEEN)
    with folder.opened() if processes.is_first else nullcontext():
        # The others read what the first one wrote, and write nothing.
        processes.wait()
        environment.forget_peak_memory(device)
        keeper = restored(folder, training, images_sum, processes.is_first)
        # Before the first process may remove what the others still read.
        processes.wait()
        with scalars(root, config.place(), keeper.log) as shown:
            # An epoch is long.
            run_epochs(
                keeper,
                epochs,
                partial(progress, "retraining"),
                lambda: True,
                lambda: shown.add(keeper.log[-1]),
            )
        if processes.is_first:
            record = {
                "kind": "retrained",
                "config": config.to_dict(),
                "environment": environment.describe(device),
                "data": {
                    "trained_on": data.trained_on,
                    "images_sha256": images_sum,
                    **data.description,
                },
                "search": search,
                **_cost(space, arch, training),
                "num_train_images": len(training.images),
                "num_steps": training.num_steps,
                "num_processes": processes.part.num,
                "peak_memory_bytes": environment.peak_memory_bytes(device),
                **_judge(config, training, data.test(device), folder.path),
            }
            started = time.perf_counter()
            _export(config, training.averaged, data, record, folder.path)
            seconds = {
                "training": round(sum(epoch["seconds"] for epoch in keeper.log), 3),
                "judging": record.pop("seconds_judging"),
                "export": round(time.perf_counter() - started, 3),
            }
            record["seconds"] = seconds
            record = folder.complete(record)
            write_log(root, config.place(), partial(_shown, folder, epochs, record))
        processes.wait()
    return record or folder.record() or {}, folder.path


def _shown(folder: ConfigFolder, epochs: int, record: dict[str, Any]) -> list[dict[str, Any]]:
    """The log of a finished retraining, and what the network reached at its last epoch."""
    reached = {name: record[name] for name in ("top1", "top5", "top1_raw", "top5_raw")}
    return [*folder.load_log(epochs), {"epoch": epochs, **reached}]


def _cost(space: Space, arch: Arch, training: Retraining) -> dict[str, Any]:
    """Multiply-adds, or None of a space that does not count them, and parameters."""
    if isinstance(space, Priced):
        return {"flops": space.flops(arch), "params": space.params(arch)}
    scalars = sum(parameter.numel() for parameter in training.averaged.parameters())
    return {"flops": None, "params": scalars}


def check_retraining(config: RetrainConfig, places: Places, device: torch.device) -> None:
    """Whether a retraining could begin, for whoever has long work to do before it.

    Args:
        config: what to train.
        places: where to read.
        device: where to compute.

    Raises:
        UserError: bad input, or a package that is missing.
    """
    _prepared(config, places, device, ALONE)


def _prepared(
    config: RetrainConfig, places: Places, device: torch.device, processes: Processes
) -> tuple[ImageData, Space, Retraining]:
    """Everything that a retraining needs, before its first step; refuses what would end it late."""
    check_exporter()
    data = _load_images(config, places)
    space = config.space.build(data)
    arch = space.from_string(config.arch)
    training = _build(config, space, arch, data, device, processes)
    if processes.is_first and not isinstance(data, Splits):
        # Files that cannot be read are to be known of before the training, not after it.
        _check_number(config, len(data.test(torch.device("cpu"))))
    return data, space, training


def _load_images(config: RetrainConfig, places: Places) -> ImageData:
    """The data set, with as many training images as asked for.

    Raises:
        UserError: files missing or damaged, too few images, or none to judge by.
    """
    dataset, num = config.dataset, config.dataset["train_images"]
    data = dataset.load(
        DataRequest(folder=places.data_for(dataset.name), seed=dataset["split_seed"])
    )
    if not isinstance(data, ImageData):
        raise UserError(f"networks are retrained on images, which {dataset.name} has none of")
    if num > data.num_train:
        raise UserError(
            f"--train-images asks for {num} images, {dataset.name} has "
            f"{data.num_train} that are not held out; 0 takes all"
        )
    if not data.num_test:
        raise UserError(f"{dataset.name} has no test images here; retrain on another --dataset")
    _check_number(config, data.num_test)
    return data.first(num) if num else data


def _check_number(config: RetrainConfig, num: int) -> None:
    if config.test_images > num:
        raise UserError(
            f"--test-images asks for {config.test_images} images, {config.dataset.name} has "
            f"{num}; 0 takes all"
        )


def _build(
    config: RetrainConfig,
    space: Space,
    arch: Arch,
    data: ImageData,
    device: torch.device,
    processes: Processes,
) -> Retraining:
    part = processes.part
    recipe = config.recipe
    if recipe.batch_size < 2 * part.num:
        raise UserError(
            f"--batch-size {recipe.batch_size} leaves fewer than 2 images for each of {part.num} "
            "processes, and batch-norm needs 2"
        )
    images = data.training(device, part, everything=not config.dataset["train_images"])
    network = build_standalone(space, arch, config.seed).to(device)
    try:
        part.of(recipe.batch_size)
        return Retraining(network, images, recipe, config.seed, processes)
    except ValueError as error:
        raise UserError(f"{error}; change --batch-size") from None


def _judge(
    config: RetrainConfig, training: Retraining, images: ImageSet, path: Path
) -> dict[str, Any]:
    """Accuracies of the averaged and of the last weights, and what pixels become on their way."""
    _check_number(config, len(images))
    started = time.perf_counter()
    num = config.test_images or len(images)
    try:
        top1, top5 = top_k(training.averaged, images, num_images=num)
        top1_raw, top5_raw = top_k(training.network, images, num_images=num)
    except DivergedError as error:
        raise DivergedJobError(f"{path}: {error}") from None
    return {
        "top1": top1,
        "top5": top5,
        "top1_raw": top1_raw,
        "top5_raw": top5_raw,
        "num_test_images": num,
        # What goes into the network: bytes times scale plus shift, by channel.
        "pixels": {"scale": images.scale.tolist(), "shift": images.shift.tolist()},
        "seconds_judging": round(time.perf_counter() - started, 3),
    }


def _export(
    config: RetrainConfig,
    network: nn.Module,
    data: ImageData,
    record: dict[str, Any],
    path: Path,
) -> None:
    """Write the averaged weights in both formats."""
    about = {"config": config.to_dict()}
    about |= {name: record[name] for name in ("flops", "params", "pixels", "top1", "top5")}
    export_weights(network, path / "weights.safetensors", about)
    size = data.image_size
    export_onnx(network, torch.zeros(2, data.image_channels, size, size), path / "model.onnx")
