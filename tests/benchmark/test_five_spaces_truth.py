"""The tables of the five spaces and NDS's records, on small files of their formats."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmark.cli.errors import UserError
from benchmark.truth.command import main as truth_command
from benchmark.truth.importers import import_truth
from benchmark.truth.table import TruthTable, default_column, find_truth
from kshot_core.metrics.correlation import kendall_tau_b
from kshot_core.space import Arch
from kshot_core.spaces import DARTS, Proxyless
from kshot_core.spaces.darts.genotype import CELLS, OPERATIONS

DARTS_SPACE, WIDER = DARTS(), Proxyless(width=1.35)
Record = dict[str, Any]


def drawn(num: int, space: DARTS | Proxyless = DARTS_SPACE, seed: int = 0) -> list[Arch]:
    """Different architectures, without ``none``."""
    random, found = Random(seed), dict[Arch, None]()
    while len(found) < num:
        found[tuple(int(random.random() * min(n, 7)) for n in space.num_choices)] = None
    return list(found)


def darts_json(arch: Arch) -> str:
    """A normal and a reduction cell as that table has them, a node's edges in either order."""
    values = {}
    for name, cell in zip(CELLS, DARTS_SPACE.cells(arch), strict=True):
        for node, edges in enumerate(cell, start=2):
            for at, (source, choice) in enumerate(reversed(edges)):
                values[f"{name}/{node}/{at}/input"] = source
                values[f"{name}/{node}/{at}/op"] = OPERATIONS[choice]
    return json.dumps(values)


def proxyless_json(arch: Arch) -> str:
    stages = enumerate(WIDER.stages)
    keys = [f"stage{at}_cell{layer}" for at, (_, num, _) in stages for layer in range(num)]
    return json.dumps(dict(zip(keys, arch, strict=True)))


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def darts_rows(archs: list[Arch], first: float = 0.96) -> list[dict[str, object]]:
    return [
        {
            "architecture": darts_json(arch),
            "accuracy": round(first + 0.001 * at, 4),
            "flops": 1,
            "params": DARTS_SPACE.params(arch),
        }
        for at, arch in enumerate(archs)
    ]


def test_darts_s_table_and_its_further_seed_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    archs = drawn(6)
    source = write(tmp_path / "darts-cifar10.csv", darts_rows(archs))
    write(tmp_path / "darts-cifar10-seed43.csv", darts_rows(archs[:2], first=0.95))
    write(tmp_path / "other-seed43.csv", darts_rows(archs[:1], first=0.5))
    table = truth_command(["import", str(source)])
    assert find_truth("cifar10", None, "darts") == table.path
    assert list(table.frame.index) == [DARTS_SPACE.to_string(arch) for arch in archs]
    base = "cifar10/test/600ep"
    assert list(table.frame.columns) == [f"{base}/{run}" for run in ("mean", "seed42", "seed43")]
    assert table.column(f"{base}/seed42").tolist() == [96.0, 96.1, 96.2, 96.3, 96.4, 96.5]
    assert table.column(f"{base}/mean").tolist() == [95.5, 95.6, 96.2, 96.3, 96.4, 96.5]
    assert len(table.column(f"{base}/seed43").dropna()) == 2
    assert str(default_column("cifar10", table)) == f"{base}/mean"
    assert table.ceiling_seeds_of(f"{base}/mean") == [f"{base}/seed42", f"{base}/seed43"]


def test_a_further_seed_alone_is_that_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "darts-cifar10-seed43.csv", darts_rows(drawn(3)))
    write(tmp_path / "darts-cifar10.csv", darts_rows(drawn(3)))
    assert list(import_truth(path).table.frame.columns) == [
        "cifar10/test/600ep/mean",
        "cifar10/test/600ep/seed43",
    ]


def test_proxyless_s_table(tmp_path: Path) -> None:
    archs = drawn(4, WIDER)
    rows: list[dict[str, object]] = [
        {
            "architecture": proxyless_json(arch),
            "accuracy": 0.75 + 0.01 * at,
            "accuracy_top5": 0.92,
            "params": WIDER.params(arch),
        }
        for at, arch in enumerate(archs)
    ]
    imported = import_truth(write(tmp_path / "proxylessnas.csv", rows))
    assert imported.left_out == ("columns accuracy_top5, params",)
    assert imported.table.space == Proxyless()
    assert imported.table.archs() == archs
    assert imported.table.column("imagenet/test/300ep/mean").tolist() == [75.0, 76.0, 77.0, 78.0]


def _changed(**changes: Any) -> Callable[[list[dict[str, object]]], None]:
    return lambda rows: rows[1].update(changes)


WRONG: dict[str, tuple[Callable[[list[dict[str, object]]], None], str]] = {
    "params": (_changed(params=5), "line 3: 5 parameters, where this architecture has"),
    "share": (_changed(accuracy=97.2), "line 3: an accuracy is a share of 1, got 97.2"),
    "word": (_changed(accuracy="high"), "line 3: accuracy should be a number, got 'high'"),
    "cut short": (_changed(architecture='{"normal/2'), "line 3: no architecture .*cut short"),
    "no object": (_changed(architecture="[1, 2]"), "line 3: no architecture .an object"),
    "other keys": (
        _changed(architecture='{"act/0": 1, "switch/0": 0}'), "got act/0, switch/0: the architec",
    ),
    "twice": (lambda rows: rows[1].update(rows[0]), "line 3: this architecture was there before"),
    "operation": (
        lambda rows: rows[1].update(
            architecture=str(rows[1]["architecture"]).replace("_3x3", "_9x9")
        ),
        "line 3: no architecture .an operation is one of",
    ),
    "another space's": (
        _changed(architecture=proxyless_json((0,) * 21), params=WIDER.params((0,) * 21)),
        "several spaces",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_damaged_table_is_refused_by_its_line(case: str, tmp_path: Path) -> None:
    change, message = WRONG[case]
    rows = darts_rows(drawn(3))
    change(rows)
    source = write(tmp_path / "darts-cifar10.csv", rows)
    with pytest.raises(UserError, match=message) as error:
        truth_command(["import", str(source), "--to", str(tmp_path / "to.csv")])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "to.csv").exists()


def test_seeds_of_another_space_beside_a_table_are_refused(tmp_path: Path) -> None:
    archs = drawn(2, WIDER)
    source = write(tmp_path / "a.csv", darts_rows(drawn(2)))
    rows: list[dict[str, object]] = [
        {"architecture": proxyless_json(arch), "accuracy": 0.7, "params": WIDER.params(arch)}
        for arch in archs
    ]
    write(tmp_path / "a-seed43.csv", rows)
    with pytest.raises(UserError, match="are of different spaces"):
        import_truth(source)


@pytest.mark.parametrize(
    ("name", "num", "tau"), [("darts-cifar10.csv", 377, 0.5839), ("proxylessnas.csv", 36, None)]
)
def test_the_real_tables(
    name: str, num: int, tau: float | None, shared_file: Callable[[str], Path]
) -> None:
    path = shared_file(f"five_spaces/{name}")
    table = import_truth(path).table
    assert len(table.frame) == num
    if tau is not None:
        first, second = table.both(*table.seeds_of(table.columns()[0]))
        assert len(first) == 101
        assert kendall_tau_b(first, second) == pytest.approx(tau, abs=1e-4)


def record(arch: Arch, error: float, **changes: Any) -> Record:
    """One of NDS's records, with the fields it has beside those that are read."""
    genotype: dict[str, Any] = {}
    for name, cell in zip(CELLS, DARTS_SPACE.cells(arch), strict=True):
        genotype[name] = [[OPERATIONS[op], source] for node in cell for source, op in node]
        genotype[f"{name}_concat"] = [2, 3, 4, 5]
    fields: Record = {
        "job_id": "job",
        "rng_seed": 1,
        "params": 1,
        "flops": 1,
        "net": {"genotype": genotype, "width": 16, "depth": 20, "aux": False, "drop_prob": 0.0},
        "optim": {"base_lr": 0.1, "wd": 5e-4, "max_ep": 3},
        "test_ep_top1": [90.0, 50.0, error],
        "train_ep_loss": [2.0, float("nan"), 1.0],
        "min_test_top1": error,
    }
    return fields | changes


def dump(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_nds_records_of_one_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archs = drawn(4)
    records = [record(arch, 5.0 + at) for at, arch in enumerate(archs)]
    records.append(record(archs[0], 7.0, rng_seed=2))
    path = dump(tmp_path / "DARTS_fix-w-d.json", records)
    table: TruthTable = truth_command(["import", str(path)])
    assert table.path == find_truth("cifar10", None, "darts")
    assert table.archs() == archs
    base = "cifar10/test/3ep"
    assert table.column(f"{base}/mean").tolist() == [94.0, 94.0, 93.0, 92.0]
    assert table.column(f"{base}/seed1").tolist() == [95.0, 94.0, 93.0, 92.0]
    assert table.column(f"{base}/seed2").dropna().tolist() == [93.0]
    # Without a second seed of any architecture there is none to compare with.
    alone = import_truth(
        dump(tmp_path / "DARTS_in.json", {"top": records[:1], "mid": records[1:3]})
    )
    assert list(alone.table.frame.columns) == ["imagenet/test/3ep/mean"]
    assert alone.left_out == ()


def test_nds_records_that_are_no_truth_of_one_space_are_left_out_and_told(tmp_path: Path) -> None:
    archs = drawn(6)
    records = [record(arch, 5.0) for arch in archs]
    records[1]["net"]["width"] = 32
    records[2]["optim"]["base_lr"] = 0.2
    records[3]["test_ep_top1"] = [90.0, float("nan")]
    records[4]["net"]["genotype"]["normal"][1] = records[4]["net"]["genotype"]["normal"][0]
    records[5]["net"]["genotype"]["reduce_concat"] = [4, 5]
    records += [record(archs[0], 9.0, rng_seed=2)]
    imported = import_truth(dump(tmp_path / "DARTS.json", records))
    assert imported.table.archs() == archs[:1]
    others, recipes = imported.left_out
    assert others.startswith("3 records, 1 of them because ")
    assert recipes.startswith("2 records trained otherwise than the commonest 2 (width 16, depth 2")


def _without_genotype(records: list[Record]) -> None:
    records[1]["net"] = {"block_type": "double_plain", "ds": [1, 2]}


NDS_WRONG: dict[str, tuple[Callable[[list[Record]], object], str]] = {
    "of another family": (_without_genotype, "record 2 has no genotype"),
    "no net": (lambda records: records[1].pop("net"), "record 2: net should be of type dict"),
    "no curve": (lambda records: records[1].pop("test_ep_top1"), "test_ep_top1 should be"),
    "empty curve": (lambda records: records[1].update(test_ep_top1=[]), "should end with an error"),
    "no percent": (lambda r: r[1].update(test_ep_top1=[400]), "error in percent, got '400'"),
    "no seed": (lambda records: records[1].pop("rng_seed"), "record 2: rng_seed should be"),
    "no optim": (lambda records: records[1].pop("optim"), "record 2: optim should be"),
    "of cells of five nodes": (
        lambda r: [one["net"]["genotype"]["normal"].extend([["none", 0]] * 2) for one in r],
        "none of the 3 records of .* is of the space darts: .* a normal cell of 10 edges",
    ),
}


@pytest.mark.parametrize("case", NDS_WRONG)
def test_records_that_nds_does_not_publish_are_refused(case: str, tmp_path: Path) -> None:
    change, message = NDS_WRONG[case]
    records = [record(arch, 5.0) for arch in drawn(3)]
    change(records)
    with pytest.raises(UserError, match=message) as error:
        import_truth(dump(tmp_path / "DARTS.json", records))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [{"top": []}, [1, 2], "text", None, []])
def test_json_that_is_no_list_of_records_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a JSON list of records|there are no records"):
        import_truth(dump(tmp_path / "DARTS.json", content))


def test_an_nds_file_cut_short_is_one_line(tmp_path: Path) -> None:
    path = dump(tmp_path / "DARTS.json", [record(arch, 5.0) for arch in drawn(3)])
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="cut short or altered; download it again") as error:
        truth_command(["import", str(path), "--to", str(tmp_path / "to.csv")])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "to.csv").exists()
