"""Files cut short, overwritten or with a bit flipped: what was there, or one line of text."""

from __future__ import annotations

import json
import random
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import TINY, write_truth
from synthetic import write_run
from synthetic_searches import run_config, write_search

from benchmark.cli.errors import UserError
from benchmark.config.search import SearchConfig
from benchmark.records.folders import CHECKPOINT, ConfigFolder
from benchmark.records.load import load_codes, load_log, load_predictions, read_runs
from benchmark.records.load_searches import load_evaluated, load_front, load_searches
from benchmark.records.run_folder import RunFolder
from benchmark.records.sealed import (
    DamagedError,
    load_tensors,
    save_tensors,
    sums_of,
    write_record,
)
from benchmark.search.folder import PARTIAL, SearchFolder
from benchmark.study.file import load_study
from benchmark.study.write import table_texts
from benchmark.truth.table import TruthTable
from kshot_core.search.methods import Evaluated

FEW, MANY = 6, 50


@dataclass(frozen=True)
class Kept:
    """A file, how it is read, and what may come of reading it when it is damaged."""

    path: Path
    read: Callable[[], Any]
    allowed: tuple[Any, ...]


def sealed(folder: Path) -> Path:
    """A made-up record as this version writes it, with checksums."""
    path = folder / "record.json"
    record = json.loads(path.read_text())
    names = [one.name for one in folder.iterdir() if one.name != path.name]
    write_record(path, {**record, "schema": 2, "files": sums_of(folder, names)})
    return folder


def plain(value: Any) -> Any:
    """A value that can be compared by ==."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value.to_json(double_precision=15) if hasattr(value, "to_json") else value


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[Kept]:
    root = tmp_path_factory.mktemp("kept")
    found: list[Kept] = []

    def keep(path: Path, read: Callable[[], Any], *also: Any) -> None:
        found.append(Kept(path, read, (plain(read()), *map(plain, also))))

    runs = [sealed(write_run(root, {"K": K, "seed": seed})) for K in (1, 8) for seed in (0, 1)]
    run, paths = runs[0], [one / "record.json" for one in runs]
    keep(run / "record.json", lambda: read_runs(paths, root))
    keep(run / "predictions.npy", lambda: load_predictions(run))
    keep(run / "codes.npy", lambda: load_codes(run))
    keep(run / "log.jsonl", lambda: load_log(run))
    listed = [
        {"kind": "records", "row": f"K{K}", "seed": seed, "folder": str(one.relative_to(root))}
        for one, (K, seed) in zip(runs, [(1, 0), (1, 1), (8, 0), (8, 1)], strict=True)
    ]
    study = root / "studies" / "table9-tiny" / "study.json"
    content = {"schema": 2, "study": "table9", "scale": "tiny", "common": {"epochs": 20}}
    write_record(study, {**content, "records": listed, "diverged": []})

    def tables() -> Any:
        data = load_study(study)
        return [table_texts(data, one.name, one.build(data)) for one in data.study.tables]

    keep(study, tables)
    for name in ("truth.csv", "truth.csv.gz", "truth.csv.xz"):
        write_truth(root / name)
        keep(root / name, lambda path=root / name: TruthTable.load(path).frame)
    search = sealed(write_search(root, K=2))
    keep(search / "record.json", lambda: load_searches(root))
    keep(search / "evaluated.csv", lambda: load_evaluated(search))
    keep(search / "front.csv", lambda: load_front(search))

    config = SearchConfig.of(**run_config().flat(), population=4, generations=2, parents=2)
    going = SearchFolder(root / "going", config, config.run.space.without_images())
    half = [Evaluated(arch, 50.0, 1.5, 2e6, 300, 0) for arch in going.space.extremes()]
    going.path.mkdir(parents=True)
    going.save_progress(half)
    keep(going.path / PARTIAL, going.load_progress)
    scoring = RunFolder(root / "going", TINY)
    scoring.path.mkdir(parents=True)
    scoring.save_scores(np.arange(8.0).reshape(4, 2))
    keep(scoring.path / "scores.safetensors", scoring.load_scores)

    training = ConfigFolder(root / "going" / "training", TINY)
    training.path.mkdir()
    training.save_checkpoint({"w": torch.arange(50.0)}, [{"epoch": 1, "weight_loss": 2.5}], "d")
    before = training.load_checkpoint("d")
    training.save_checkpoint({"w": torch.arange(50.0) + 1}, [{"epoch": 1}, {"epoch": 2}], "d")
    keep(training.path / CHECKPOINT, lambda: training.load_checkpoint("d"), before)
    weights = root / "supernet.safetensors"
    save_tensors(weights, {"a": torch.arange(40.0), "b": torch.arange(3)}, {})
    keep(weights, lambda: load_tensors(weights, checked=False))
    return found


def damaged(data: bytes, generator: random.Random) -> tuple[str, bytes]:
    """What is done to a file's bytes, and what becomes of them."""
    at = generator.randrange(len(data))
    end = min(len(data), at + generator.choice((1, 2, 8, 64, 512)))
    how = generator.choice(("cut", "bit", "byte", "range", "zeros", "gone", "twice", "longer"))
    middle = {
        "bit": bytes([data[at] ^ 1 << generator.randrange(8)]) + data[at + 1 : end],
        "byte": bytes([generator.randrange(256)]) + data[at + 1 : end],
        "range": generator.randbytes(end - at),
        "zeros": bytes(end - at),
        "gone": b"",
        "twice": 2 * data[at:end],
    }
    if how in middle:
        return how, data[:at] + middle[how] + data[end:]
    return how, data[:at] if how == "cut" else data + generator.randbytes(end - at)


@pytest.mark.parametrize("num", [FEW, pytest.param(MANY, marks=pytest.mark.nightly)])
def test_a_damaged_file_gives_what_it_held_or_one_line(num: int, kept: list[Kept]) -> None:
    generator = random.Random(num)
    ended: Counter[str] = Counter()
    for one in kept:
        data = one.path.read_bytes()
        for _ in range(num):
            how, changed = damaged(data, generator)
            one.path.write_bytes(changed)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = plain(one.read())
            except (UserError, DamagedError) as error:
                assert "\n" not in str(error)
                ended["one line"] += 1
            else:
                assert result in one.allowed, f"{one.path.name}: {how} gave another result"
                same = result == one.allowed[0]
                ended["unchanged" if same else "the one before"] += 1
        one.path.write_bytes(data)
        assert plain(one.read()) == one.allowed[0]
    assert ended.total() == num * len(kept)
    assert ended["one line"] > ended.total() / 2
    sys.stdout.write(f"{ended.total()} damages of {len(kept)} files: {dict(ended)}\n")


def test_a_study_reads_nothing_outside_its_folder(kept: list[Kept], tmp_path: Path) -> None:
    study = next(one.path for one in kept if one.path.name == "study.json")
    content = json.loads(study.read_text())
    root = tmp_path / "results"
    outside = tmp_path / "outside"
    shutil.copytree(study.parents[2] / "records", outside)
    (root / "records").mkdir(parents=True)
    (root / "records" / "digits").symlink_to(outside / "digits")
    path = root / "studies" / "table9-tiny" / "study.json"
    write_record(path, {name: one for name, one in content.items() if name != "sha256"})
    with pytest.raises(UserError, match=r"reads nothing outside its results: .* leads out of"):
        load_study(path)
    for folder in ("records/../../outside", "/etc", "records/x\0y"):
        listed = [{**content["records"][0], "folder": folder}]
        changed = {**content, "records": listed}
        write_record(path, {name: one for name, one in changed.items() if name != "sha256"})
        with pytest.raises(UserError):
            load_study(path)
