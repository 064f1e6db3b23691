"""Runs that have a record, and whether it is of the images and the truth that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.cli.errors import DivergedJobError, UserError
from benchmark.config.run import RunConfig
from benchmark.records.files import sha256
from benchmark.run.execute import run_folder
from benchmark.train.setup import Places
from benchmark.train.supernet import check_data


def is_known(config: RunConfig, places: Places) -> bool:
    """Whether a run has a record, be it that it diverged."""
    try:
        return run_folder(places.results, config).record() is not None
    except DivergedJobError:
        return True


def check_known(
    configs: Sequence[RunConfig], places: Places, images_sum: str, truth: Path | None
) -> None:
    """Refuse to show records that were made of other files than those at hand as if they were not.

    Where images and truth lie is no setting of a run, so another file finds the same record.

    Args:
        configs: of runs on the same images and truth.
        places: where their records are.
        images_sum: the checksum of the images.
        truth: the truth table's file.

    Raises:
        UserError: a finished record is of other images or another truth.
    """
    truth_sum = sha256(truth) if truth is not None else ""
    for config in configs:
        folder = run_folder(places.results, config)
        try:
            record = folder.record()
        except DivergedJobError:
            continue
        if record is None:
            continue
        check_data(folder.path, record, images_sum)
        known = record.get("truth", {}).get("sha256", truth_sum)
        if known != truth_sum:
            raise UserError(
                f"{folder.path} was compared with another truth table than {truth} (sha256 "
                f"{known[:12]}, here {truth_sum[:12]}); name that one with --truth, or another "
                "--results"
            )
