"""The jobs of a study, and which of them are done: what lies on disk decides."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmark.cli.errors import UserError
from benchmark.config.arch_file import read_arch
from benchmark.config.retrain import RetrainConfig, config_of_found
from benchmark.config.run import RunConfig, run_config
from benchmark.config.scores import NamedScores
from benchmark.config.search import SearchConfig, search_config
from benchmark.records.folders import finished_folder
from benchmark.records.rows import has_diverged
from benchmark.study.definition import Row, Size, Study

Config = RunConfig | SearchConfig | RetrainConfig


@dataclass(frozen=True)
class Job:
    """One run or search of a study, or scores from elsewhere that its row names.

    Args:
        row: the row's name.
        seed: of the row's runs.
        config: what is run.
    """

    row: str
    seed: int
    config: RunConfig | SearchConfig | NamedScores

    @property
    def run(self) -> RunConfig:
        """The settings of the run, or of the search's supernet; ``TypeError`` for scores."""
        if isinstance(self.config, NamedScores):
            raise TypeError(f"scores {self.config.name} are not run")
        return self.config.run if isinstance(self.config, SearchConfig) else self.config

    @property
    def seeds(self) -> str:
        """The seed, and that of a search where it is not the first of its supernet."""
        again = self.config.search_seed if isinstance(self.config, SearchConfig) else 0
        return f"seed {self.seed}, search seed {again}" if again else f"seed {self.seed}"

    @property
    def dataset(self) -> str:
        """The data set."""
        if isinstance(self.config, NamedScores):
            return self.config.dataset
        return self.run.dataset.name

    def supernets(self) -> list[RunConfig]:
        """The supernets that a search reads; none of a run, which trains its own."""
        return self.config.supernets() if isinstance(self.config, SearchConfig) else []


def jobs_of(study: Study, scale: str) -> list[Job]:
    """All jobs of a study at a scale, in the order of its rows, data sets, seeds and searches.

    Raises:
        UserError: no such scale, or settings that cannot work.
    """
    size = study.size(scale)
    rows = [row for row in study.rows if size.rows is None or row.name in size.rows]
    jobs = []
    for row in rows:
        settings = study.settings_of(row, scale)
        named = settings.pop("dataset")
        for dataset in (named, *size.more_datasets):
            if "scores" in row.settings:
                scores = NamedScores(dataset, row.settings["scores"])
                jobs.append(Job(row.name, 0, scores))
                continue
            for seed, search_seed in product(size.seeds, size.search_seeds):
                own = settings | {"seed": seed}
                if study.kind != "rank":
                    own = {"search_seed": search_seed} | own
                jobs.append(Job(row.name, seed, _config(study.kind, size, dataset, own)))
    return jobs


def row_of(study: Study, name: str) -> Row:
    """The row of a name. Raises ``UserError`` where the study has none."""
    for row in study.rows:
        if row.name == name:
            return row
    raise UserError(f"study {study.name} has no row {name!r}; run it again to write its study.json")


def retraining_of(size: Size, search: Path, seed: int) -> RetrainConfig:
    """How what a finished search found is trained by itself.

    Args:
        size: the study's.
        search: the search's folder.
        seed: of the retraining.

    Raises:
        UserError: the search's ``arch.json`` is damaged.
    """
    found = read_arch(search / "arch.json")
    given = {"seed": seed, **size.retrain}
    return config_of_found(size.retrain_preset, found, found.dataset, given)


def finished(results: Path, config: Config | NamedScores) -> Path | None:
    """The folder of finished work, or None where there is no record of it or it diverged.

    Args:
        results: the results folder.
        config: of the work.

    Raises:
        UserError: two files of scores have the same name, or a record is damaged.
    """
    folder = _recorded(results, config)
    return None if folder is None or has_diverged(folder / "record.json") else folder


def diverged(results: Path, config: Config | NamedScores) -> Path | None:
    """The folder of work that ended in NaN or an exploded loss, or None; see ``finished``."""
    folder = _recorded(results, config)
    return folder if folder is not None and has_diverged(folder / "record.json") else None


def finished_supernet(results: Path, config: RunConfig) -> Path | None:
    """The same for the supernet that a search trains."""
    folder = finished_folder(results / config.supernet_place(), config.training_only())
    return None if folder is None or has_diverged(folder / "record.json") else folder


def _recorded(results: Path, config: Config | NamedScores) -> Path | None:
    """The folder with a record of work, whatever it says."""
    if isinstance(config, NamedScores):
        found = sorted((results / config.place()).glob("*/record.json"))
        if len(found) > 1:
            raise UserError(
                f"{results / config.place()} holds scores of {len(found)} files of the same name; "
                "keep one of its folders"
            )
        return found[0].parent if found else None
    return finished_folder(results / config.place(), config)


def _config(
    kind: str, size: Size, dataset: str, settings: dict[str, Any]
) -> RunConfig | SearchConfig:
    """A job; of the settings of all rows it takes those that its parts have."""
    make = run_config if kind == "rank" else search_config
    return make(size.preset, dataset, {}, settings)
