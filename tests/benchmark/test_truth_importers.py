"""Importing truth: the published formats, CSV, and files that must not be believed."""

from __future__ import annotations

import bz2
import hashlib
import importlib
import pickle
import random
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.cli.errors import UserError
from benchmark.truth.importers import import_truth
from benchmark.truth.pickles import PUBLISHED_MD5, check_md5, load_pbz2, load_pth
from benchmark.truth.table import TruthTable
from kshot_core.spaces.nasbench201.space import NASBench201, from_string

SPACE = NASBench201()
EVALUATED = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
RUNS = {12: {name: (111, 777) if "valid" in name else (111,) for name in EVALUATED}}
RUNS[200] = dict.fromkeys(EVALUATED, (777, 888))


def arch_of(index: int) -> str:
    return SPACE.to_string(SPACE.from_index(index))


def accuracy(index: int, name: str, evaluated: str, epochs: int, seed: int) -> float:
    """A made-up final accuracy, with the noise that the published sums have."""
    whole = random.Random(f"{index} {name} {evaluated} {epochs} {seed}").randrange(3000)
    return 40 + whole / 100 + 3e-8


def make_results(index: int, epochs: int) -> dict[str, Any]:
    """One architecture as the benchmark's own classes write it."""
    package = pytest.importorskip("nas_201_api")
    results = package.ArchResults(index, arch_of(index))
    for name, seeds in RUNS[epochs].items():
        for seed in seeds:
            curve = dict.fromkeys(range(epochs), 30.0)
            config = {"channel": 16, "num_cells": 5, "arch_str": arch_of(index), "class_num": 10}
            # Numpy scalars and an ordered dictionary: the published files hold both.
            run = package.ResultsCount(
                name, None, curve, curve, np.float64(0.1), 15.6, config, seed, epochs, None
            )
            run.update_train_info(curve, None, curve, OrderedDict(curve))
            run.update_latency([np.float64(0.01)])
            keys = [f"{e}@{epoch}" for e in EVALUATED[name] for epoch in range(epochs)]
            accuracies = dict.fromkeys(keys, 20.0)
            for evaluated in EVALUATED[name]:
                final = accuracy(index, name, evaluated, epochs, seed)
                accuracies[f"{evaluated}@{epochs - 1}"] = final
            run.update_eval(accuracies, dict.fromkeys(keys, 1.0), dict.fromkeys(keys, 1.0))
            results.update(name, seed, run)
    state: dict[str, Any] = results.state_dict()
    return state


def make_pth(path: Path, indexes: tuple[int, ...] = (0, 2, 6111), **options: Any) -> Path:
    content = {
        "meta_archs": [arch_of(index) for index in range(10)],
        "arch2infos": {
            index: {"less": make_results(index, 12), "full": make_results(index, 200)}
            for index in indexes
        },
        "evaluated_indexes": set(indexes),
    }
    torch.save(content, path, **{"_use_new_zipfile_serialization": False, **options})
    return path


def make_nats(folder: Path, indexes: tuple[int, ...] = (0, 2, 6111)) -> Path:
    folder.mkdir()
    for index in indexes:
        content = OrderedDict({"12": make_results(index, 12), "200": make_results(index, 200)})
        data = pickle.dumps(content, protocol=4)
        (folder / f"{index:06d}.pickle.pbz2").write_bytes(bz2.compress(data, 1))
    return folder


def check_made_up(table: TruthTable) -> None:
    """The table holds what ``make_results`` made up, under the documented names."""
    assert list(table.frame.index) == [arch_of(index) for index in (0, 2, 6111)]
    assert len(table.frame.columns) == 9 * 3 + 2 * 3 + 7 * 2
    for index in (0, 2, 6111):
        row = table.frame.loc[arch_of(index)]
        for column, (name, evaluated) in {
            "cifar10-valid/valid": ("cifar10-valid", "x-valid"),
            "cifar10-valid/test": ("cifar10-valid", "ori-test"),
            "cifar10/test": ("cifar10", "ori-test"),
            "cifar100/valid": ("cifar100", "x-valid"),
            "cifar100/test": ("cifar100", "x-test"),
            "cifar100/valid+test": ("cifar100", "ori-test"),
            "imagenet16-120/valid": ("ImageNet16-120", "x-valid"),
            "imagenet16-120/test": ("ImageNet16-120", "x-test"),
            "imagenet16-120/valid+test": ("ImageNet16-120", "ori-test"),
        }.items():
            for epochs in (12, 200):
                seeds = RUNS[epochs][name]
                values = [accuracy(index, name, evaluated, epochs, seed) for seed in seeds]
                for seed, value in zip(seeds, values, strict=True):
                    assert row[f"{column}/{epochs}ep/seed{seed}"] == round(value, 6)
                assert row[f"{column}/{epochs}ep/mean"] == round(float(np.mean(values)), 6)


@pytest.fixture(scope="module")
def pth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pth(tmp_path_factory.mktemp("pth") / "NAS-Bench-201-v1_1-096897.pth")


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_nats(tmp_path_factory.mktemp("nats") / "NATS-tss-v1_0-3ffb9-simple")


def test_the_published_pth_format(pth: Path) -> None:
    imported = import_truth(pth, trust=True)
    check_made_up(imported.table)
    assert imported.left_out == ("15622 of 15625 archs: the source lacks them",)


def test_a_pth_saved_again_by_a_newer_torch(tmp_path: Path) -> None:
    path = make_pth(tmp_path / "new.pth", _use_new_zipfile_serialization=True)
    check_made_up(import_truth(path, trust=True).table)


def test_a_pth_written_with_the_numpy_of_its_time(pth: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.pth"
    old.write_bytes(pth.read_bytes().replace(b"cnumpy._core.", b"cnumpy.core."))
    check_made_up(import_truth(old, trust=True).table)


def test_what_is_read_equals_what_the_package_says(pth: Path) -> None:
    """The package's own API, given the file's content, has the same means."""
    content = {**load_pth(pth), "meta_archs": [SPACE.to_string(arch) for arch in SPACE.archs()]}
    api = importlib.import_module("nas_201_api").NASBench201API(content, verbose=False)
    frame = import_truth(pth, trust=True).table.frame
    for index in (0, 2, 6111):
        for hp in ("12", "200"):
            info = api.get_more_info(index, "cifar100", hp=hp, is_random=False)
            row = frame.loc[arch_of(index)]
            assert row[f"cifar100/valid/{hp}ep/mean"] == pytest.approx(info["valid-accuracy"])
            assert row[f"cifar100/test/{hp}ep/mean"] == pytest.approx(info["test-accuracy"])
            both = row[f"cifar100/valid+test/{hp}ep/mean"]
            assert both == pytest.approx(info["valtest-accuracy"])


def test_a_pth_that_is_not_the_published_one_needs_trust(
    pth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"MD5 is [0-9a-f]{32}.*096897.*--trust"):
        import_truth(pth)
    seen: list[tuple[str, int, int]] = []
    found = hashlib.md5(pth.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(PUBLISHED_MD5, "mine.pth", found[-6:])
    check_md5(pth, lambda *figures: seen.append(figures))
    assert seen[-1] == ("checking the MD5", pth.stat().st_size, pth.stat().st_size)


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("owned"), "yes"))


class _AttackThroughBuiltins:
    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("open('owned', 'w')",))


@pytest.mark.parametrize("attack", [_Attack(), _AttackThroughBuiltins()])
def test_no_code_in_a_pickle_is_run(
    attack: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, zipped in enumerate((False, True)):
        path = tmp_path / f"{number}.pth"
        torch.save({"arch2infos": attack}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(UserError, match=r"it asks for .*which no such file needs"):
            import_truth(path, trust=True)
    packed = tmp_path / "000000.pickle.pbz2"
    packed.write_bytes(bz2.compress(pickle.dumps({"200": attack})))
    with pytest.raises(UserError, match="it asks for"):
        import_truth(tmp_path)
    assert not Path("owned").exists()


def test_a_damaged_pickle_is_one_clear_line(pth: Path, nats: Path, tmp_path: Path) -> None:
    """Whatever is cut off or flipped: a table, or a ``UserError``; never a traceback."""
    rng = random.Random(0)
    whole = pth.read_bytes()
    bad = tmp_path / "bad.pth"
    num_refused = 0
    for trial in range(60):
        data = bytearray(whole)
        if trial % 2:
            del data[rng.randrange(len(data)) :]
        else:
            for _ in range(50):
                data[rng.randrange(len(data))] = rng.randrange(256)
        bad.write_bytes(data)
        try:
            import_truth(bad, trust=True)
        except UserError as error:
            num_refused += 1
            assert str(bad) in str(error)
    assert num_refused >= 30
    packed = tmp_path / "000002.pickle.pbz2"
    packed.write_bytes((nats / packed.name).read_bytes()[:-40])
    with pytest.raises(UserError, match=r"000002\.pickle\.pbz2 cannot be read"):
        import_truth(tmp_path)


def test_a_number_of_another_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "000000.pickle.pbz2"
    path.write_bytes(bz2.compress(pickle.dumps({"200": np.complex128(1)})))
    with pytest.raises(UserError, match="'c16'"):
        load_pbz2(path)
    path.write_bytes(bz2.compress(pickle.dumps({"a": np.float32(0.5), "b": np.int64(-3)})))
    assert load_pbz2(path) == {"a": 0.5, "b": -3.0}
    path.write_bytes(bz2.compress(pickle.dumps([1])))
    with pytest.raises(UserError, match="should hold a dictionary, got list"):
        load_pbz2(path)


def test_the_nats_format(nats: Path) -> None:
    imported = import_truth(nats)
    check_made_up(imported.table)
    assert "15622" in imported.left_out[0]


def test_a_nats_file_in_the_place_of_another_is_refused(nats: Path, tmp_path: Path) -> None:
    shutil.copy(nats / "000002.pickle.pbz2", tmp_path / "000003.pickle.pbz2")
    with pytest.raises(UserError, match="architecture 3 should be"):
        import_truth(tmp_path)


def test_an_accuracy_that_is_no_number_is_refused(tmp_path: Path) -> None:
    results = make_results(0, 200)
    results["all_results"]["cifar10", 777]["eval_acc1es"]["ori-test@199"] = float("nan")
    (tmp_path / "000000.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"200": results})))
    with pytest.raises(UserError, match=r"does not hold the benchmark's records.*nan"):
        import_truth(tmp_path)


def test_a_mean_that_some_archs_lack_is_left_out_and_said(nats: Path, tmp_path: Path) -> None:
    """As in version 1.0 of the benchmark, whose 12-epoch runs are on one data set only."""
    shutil.copytree(nats, tmp_path / "part")
    data = pickle.dumps({"200": make_results(2, 200)})
    (tmp_path / "part" / "000002.pickle.pbz2").write_bytes(bz2.compress(data))
    imported = import_truth(tmp_path / "part")
    names = list(imported.table.frame.columns)
    assert "cifar10/test/12ep/mean" not in names
    assert "cifar10/test/12ep/seed111" in names
    assert "cifar10/test/12ep/mean: 1 archs have no run" in imported.left_out


def test_published_nats_files_agree_with_the_published_means(shared_data: Path) -> None:
    folder = shared_data / "nats_bench_format" / "NATS-tss-v1_0-3ffb9-simple"
    ours = import_truth(folder).table.frame
    published = import_truth(shared_data / "nb201" / "nb201_truth.csv.xz").table.frame
    assert [SPACE.index(from_string(arch)) for arch in ours.index] == [0, 11, 284]
    # Every column of the other table is one of ours, and equal in all it has.
    assert set(published.columns) <= set(ours.columns)
    theirs = published.loc[ours.index]
    np.testing.assert_allclose(ours[theirs.columns].to_numpy(), theirs.to_numpy(), atol=2e-6)
    for name in ("cifar100", "imagenet16-120"):
        for run in ("mean", "seed777", "seed888", "seed999"):
            both, valid, test = (
                ours[f"{name}/{split}/200ep/{run}"] for split in ("valid+test", "valid", "test")
            )
            np.testing.assert_allclose(valid, 2 * both - test, atol=5e-6)
