"""Damaged, unfinished and unwanted files of work: one clear line that names the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import TINY, run_tiny, write_truth
from safetensors import SafetensorError
from synthetic_searches import change, run_config, write_retrained, write_search, write_supernet

from benchmark.cli.errors import DivergedJobError, UserError, exit_with
from benchmark.config.search import SearchConfig
from benchmark.records.files import write_atomically
from benchmark.records.folders import (
    CHECKPOINT,
    PREVIOUS,
    ConfigFolder,
    DamagedCheckpointWarning,
)
from benchmark.records.load import load_codes
from benchmark.records.load_searches import (
    SEARCH_AGAIN,
    load_retrained,
    load_searches,
    load_supernets,
)
from benchmark.records.rows import has_diverged, read_record
from benchmark.search.folder import PARTIAL, SearchFolder
from kshot_core.search.methods import Evaluated

LINE = '{"epoch": 1, "seconds": 0.5}\n'
CONFIG = SearchConfig.of(**run_config().flat(), population=4, generations=2, parents=2)


@dataclass(frozen=True)
class Work:
    """A config of some work."""

    settings: dict[str, Any]
    id: str = "12345678"

    def to_dict(self) -> dict[str, Any]:
        return self.settings

    def flat(self) -> dict[str, Any]:
        return self.settings

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(values)

    def run_id(self) -> str:
        return self.id


def folder(path: Path, **changes: Any) -> ConfigFolder:
    """A folder of some work."""
    return ConfigFolder(path / "work", Work({"epochs": 3, **changes}))


def search_folder(results: Path) -> SearchFolder:
    """A folder of a search."""
    return SearchFolder(results, CONFIG, CONFIG.run.space.without_images())


def refused(call: Callable[[], object], *words: str) -> None:
    """Whether a call ends in one line that has these words."""
    with pytest.raises(UserError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def exits_with_a_line(
    call: Callable[[], object], capsys: pytest.CaptureFixture[str], *words: str
) -> None:
    """Whether a program ends with code 2 and one line that has these words."""
    with pytest.raises(SystemExit) as stopped:
        exit_with(call)
    assert stopped.value.code == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert text.startswith("error: ")
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (LINE.encode() + b'{"epoch": 2, "sec', "cannot be read"),
        (LINE.encode() + b"\xff\xfe\n", "cannot be read"),
        (LINE.encode() + b"[" * 100_000, "cannot be read"),
        (LINE.encode(), "each of 2 epochs"),
        (b"", "each of 2 epochs"),
        (b"[]\n[]\n", "each of 2 epochs"),
        (b'{"epoch": 1}\n{"epoch": 2}\n', "each of 2 epochs"),
        (LINE.encode() + b'{"seconds": "1"}\n', "each of 2 epochs"),
        (LINE.encode() + b'{"seconds": true}\n', "each of 2 epochs"),
        (LINE.encode() + b'{"seconds": NaN}\n', "each of 2 epochs"),
        (None, "cannot be read"),
    ],
)
def test_damaged_log(content: bytes | None, word: str, tmp_path: Path) -> None:
    work = folder(tmp_path)
    with work.opened():
        if content is not None:
            (work.path / "log.jsonl").write_bytes(content)
        advice = "delete the folder to train again"
        refused(lambda: work.load_log(2), str(work.path / "log.jsonl"), word, advice)


def test_a_checkpoint_has_the_log_up_to_it(tmp_path: Path) -> None:
    work = folder(tmp_path)
    epochs = [{"epoch": number, "seconds": number} for number in (1, 2, 3)]
    with work.opened():
        assert work.load_checkpoint() is None
        work.save_checkpoint({"at": torch.tensor(2)}, epochs[:2], "images")
        work.save_log(epochs)
        assert work.load_checkpoint("images") == ({"at": torch.tensor(2)}, epochs[:2])
        refused(lambda: work.load_checkpoint("others"), "trained on other images")
        assert work.load_log(3) == epochs


def test_the_checkpoint_before_a_damaged_one_is_taken(tmp_path: Path) -> None:
    work = folder(tmp_path)
    with work.opened():
        for at in (1, 2):
            work.save_checkpoint({"at": torch.tensor(at)}, [{"epoch": at}])
        now, before = (work.path / name for name in (CHECKPOINT, PREVIOUS))
        data = bytearray(now.read_bytes())
        data[-1] ^= 1
        now.write_bytes(data)
        with pytest.warns(DamagedCheckpointWarning, match="going on from the checkpoint before"):
            assert work.load_checkpoint() == ({"at": torch.tensor(1)}, [{"epoch": 1}])
        # Killed between moving the one away and writing the next.
        now.unlink()
        assert work.load_checkpoint() == ({"at": torch.tensor(1)}, [{"epoch": 1}])
        now.write_bytes(data)
        before.write_bytes(data)
        refused(work.load_checkpoint, str(now), "cut short or damaged", "delete it")
        work.complete({"config": {}, "seconds": {}})
    assert not list(work.path.glob("*.safetensors"))


def test_work_that_diverged_says_so_and_is_not_tried_again(tmp_path: Path) -> None:
    work = folder(tmp_path)
    with pytest.raises(DivergedJobError), work.opened():
        raise DivergedJobError("weight_loss is nan in epoch 3")
    record = read_record(work.path / "record.json")
    assert record["status"] == "diverged"
    assert record["config"] == {"epochs": 3}
    assert has_diverged(work.path / "record.json")
    with pytest.raises(DivergedJobError, match=r"weight_loss is nan in epoch 3; .* delete .*work"):
        folder(tmp_path).record()


class Stopped(Exception):
    """Raised on purpose."""


def test_a_run_goes_on_without_its_log_which_the_checkpoint_has(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth.csv")

    def stop(stage: str, done: int, total: int) -> None:
        if done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        run_tiny(TINY, tmp_path, truth, stop)
    [log] = tmp_path.glob("supernets/*/*/*/*/log.jsonl")
    whole = log.read_text().splitlines()
    log.write_text("{")
    assert run_tiny(TINY, tmp_path, truth)["seconds"]["training"] > 0
    assert log.read_text().splitlines()[: len(whole)] == whole


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"null", b"3", b"{}", b'{"config": {}}', b"\xff", b"[" * 100_000]
)
def test_damaged_record(content: bytes, tmp_path: Path) -> None:
    work = folder(tmp_path)
    with work.opened():
        work.complete({"config": {}, "seconds": {}})
    (work.path / "record.json").write_bytes(content)
    advice = "delete its folder to run again"
    refused(work.record, str(work.path / "record.json"), advice)


@pytest.mark.parametrize("content", ["[]", "null", "3", '"text"', "[" * 100_000])
def test_damaged_config(content: str, tmp_path: Path) -> None:
    work = folder(tmp_path)
    with work.opened():
        work.complete({"config": {}, "seconds": {}})
    (work.path / "config.json").write_text(content)
    words = (str(work.path / "config.json"), "delete its folder to run again")
    refused(work.record, *words)
    refused(lambda: work.opened().__enter__(), *words)
    assert not list(work.path.glob(".lock*"))


def test_a_folder_says_what_its_record_must_have(tmp_path: Path) -> None:
    work = ConfigFolder(tmp_path / "work", Work({}), ("seconds.training", "top1"))
    with work.opened():
        work.complete({"seconds": {"training": 1.0}, "top1": None})
    assert work.record() is not None
    for record, missing in (
        ({"schema": 1, "seconds": {}, "top1": 1}, "no seconds.training)"),
        ({"schema": 1, "seconds": 3}, "no seconds.training, top1)"),
    ):
        (work.path / "record.json").write_text(json.dumps(record))
        refused(work.record, missing)


def test_a_search_wants_what_its_programs_print(tmp_path: Path) -> None:
    work = search_folder(tmp_path)
    best = {"arch": "a", "accuracy": 1.0, "flops": 1.0, "params": 1, "true": None}
    whole = {"num_scored": 8, "best": best, "optimum": None}
    with work.opened():
        whole = work.complete(whole)
    assert work.record() == whole
    for damaged in ({}, {**whole, "best": {}}, {"best": best}):
        (work.path / "record.json").write_text(json.dumps({**damaged, "schema": 1}))
        refused(work.record, "record.json is damaged (no ")


def evaluated(work: SearchFolder) -> list[Evaluated]:
    """Two architectures."""
    ends = work.space.extremes()
    return [
        Evaluated(arch, 50.0, 1.5, 2e6, 300, generation) for generation, arch in enumerate(ends)
    ]


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [*lines[:2], lines[2][:3]],
        lambda lines: [*lines[:2], lines[2].rpartition(",")[0]],
        lambda lines: [*lines[:2], "x" * 200_000],
        lambda lines: [*lines[:2], '1,1,"' + "x" * 200_000],
        lambda lines: [*lines[:2], lines[2].replace("50.0", "nan")],
        lambda lines: [*lines[:2], lines[2].replace("50.0", "many")],
        lambda lines: ["x", *lines[1:]],
        lambda lines: [lines[0], "\0", lines[2]],
        lambda lines: [lines[0], "\udcff", lines[2]],
    ],
)
def test_damaged_scores_of_a_search(
    damage: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    work = search_folder(tmp_path)
    with work.opened():
        work.save_progress(evaluated(work))
        assert work.load_progress() == evaluated(work)
        path = work.path / PARTIAL
        head, *lines = path.read_text().splitlines()
        data = ("\n".join(damage(lines)) + "\n").encode(errors="surrogateescape")
        path.write_bytes(head.encode() + b"\n" + data)
        refused(work.load_progress, f"{path} is damaged", "delete it to search again")
        # Whoever wrote it meant what it says.
        path.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
        refused(work.load_progress, f"{path} is damaged", "delete it to search again")


def test_files_of_a_killed_process_do_not_stay(tmp_path: Path) -> None:
    work = folder(tmp_path)
    work.path.mkdir()
    part = work.path / ".part-abcdlog.jsonl"
    part.write_text("half")
    other = work.path / "notes.txt"
    other.write_text("mine")
    with work.opened():
        assert not part.exists()
    assert other.exists()


def test_a_process_at_work_keeps_its_files(tmp_path: Path) -> None:
    first, second = folder(tmp_path), folder(tmp_path)
    with first.opened():
        part = first.path / ".part-abcdlog.jsonl"
        part.write_text("being written")
        refused(lambda: second.opened().__enter__(), "another process")
        assert part.exists()


def test_what_another_process_just_finished_is_not_done_again(tmp_path: Path) -> None:
    first, late = folder(tmp_path), folder(tmp_path)
    assert late.record() is None
    with first.opened():
        first.complete({"config": {}, "seconds": {}})
    refused(lambda: late.opened().__enter__(), "finished by another process", "again")
    assert {path.name for path in first.path.iterdir()} == {"config.json", "record.json"}
    late = folder(tmp_path)
    record = late.record() or {}
    assert record["config"] == record["seconds"] == {}
    # Who knows of the record and wants more, such as weights that were deleted, may go on.
    with late.opened():
        pass


def test_a_folder_of_another_config_is_left_alone(tmp_path: Path) -> None:
    with folder(tmp_path).opened():
        pass
    refused(lambda: folder(tmp_path, epochs=4).opened().__enter__(), "differs in epochs")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["config.json"]


def test_safetensors_on_a_full_disk(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    path = tmp_path / "weights.safetensors"
    refused(lambda: write_atomically(path, write), f"cannot write {path}", "No space left")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee more"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
        ),
        MemoryError(),
        MemoryError("Unable to allocate 8.00 GiB"),
    ],
)
def test_too_little_memory(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> None:
        raise error

    exits_with_a_line(run, capsys, "not enough memory for these settings: ", "smaller")


def test_other_errors_of_a_program_stay_what_they_are() -> None:
    def run() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        exit_with(run)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("config__stem", "x"),
        ("config__stem", 2.5),
        ("config__stages", "zzz"),
        ("config__factors", "wide"),
        ("config__num_groups", "many"),
        ("config__batch_norm", 1),
        ("config__epochs", None),
        ("config__max_flops", -1e300 * 1e300),
        ("best__arch", "zzz"),
        ("best", {}),
    ],
)
def test_reading_names_the_search_that_makes_no_sense(
    name: str, value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_search(tmp_path, K=1)
    damaged = write_search(tmp_path)
    change(damaged, **{name: value})
    read = partial(load_searches, tmp_path)
    exits_with_a_line(read, capsys, str(damaged / "record.json"), SEARCH_AGAIN)


@pytest.mark.parametrize(
    ("write", "read", "advice"),
    [
        (write_supernet, load_supernets, "delete its folder and train again"),
        (
            lambda results: write_retrained(results, None, 7.0, arch=ARCH),
            load_retrained,
            "and retrain",
        ),
    ],
)
def test_other_records_that_make_no_sense(
    write: Callable[[Path], Path],
    read: Callable[[Path], object],
    advice: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = write(tmp_path)
    for value in ("zzz", 3):
        change(damaged, config__stages=value)
        exits_with_a_line(partial(read, tmp_path), capsys, str(damaged / "record.json"), advice)


ARCH = "k3e3,id,k3e3,id,id|1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0"


@pytest.mark.parametrize("how", ["text", "cut", "object", "archive", "below 0", "none"])
def test_reading_names_damaged_codes(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = write_search(tmp_path, K=2)
    path = search / "codes.npy"
    codes = np.load(path)
    if how == "text":
        path.write_text("no codes")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "object":
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    elif how == "archive":
        with path.open("wb") as file:
            np.savez(file, codes=codes)
    else:
        np.save(path, {"below 0": codes - 1, "none": codes[:0]}[how])
    with pytest.raises(SystemExit):
        exit_with(partial(load_codes, search, SEARCH_AGAIN))
    text = capsys.readouterr().err
    assert str(path) in text
    assert SEARCH_AGAIN in text
    assert "allow_pickle" not in text
    assert text.count("\n") == 1
