"""The command line of truth tables, and importing CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cli.errors import UserError
from benchmark.truth import command as truth
from benchmark.truth.importers import import_truth
from benchmark.truth.table import TruthTable
from kshot_core.spaces.nasbench201.space import NASBench201

SPACE = NASBench201()


def arch_of(index: int) -> str:
    return SPACE.to_string(SPACE.from_index(index))


def test_csv_columns_are_taken_renamed_or_left_out(tmp_path: Path) -> None:
    source = tmp_path / "mine.csv"
    source.write_text(
        "index,cifar10/test/200ep/mean,arch,a=b,notes\n"
        f"7,91.5,{arch_of(7)},70,good\n3,90,{arch_of(3)},,bad\n"
    )
    new = "cifar10/test/12ep/seed777"
    imported = import_truth(source, {"a=b": new})
    assert list(imported.table.frame.columns) == ["cifar10/test/200ep/mean", new]
    assert list(imported.table.frame.index) == [arch_of(3), arch_of(7)]
    assert imported.left_out == ("2 columns not of the four-part form: index, notes",)


@pytest.mark.parametrize(
    ("text", "renames", "message"),
    [
        ("a,b\n1,2\n", {}, "needs a column named arch"),
        (f"arch,acc\n{arch_of(0)},2\n", {}, "--column 'OLD="),
        (f"arch,acc\n{arch_of(0)},2\n", {"x": "cifar10/test/12ep/mean"}, "no column 'x'"),
        (f"arch,acc\n{arch_of(0)},2\n", {"acc": "cifar10/test/12ep"}, "named <trained-on>"),
        (f"arch,acc\n{arch_of(0)},x\n", {"acc": "cifar10/test/12ep/mean"}, "line 2 acc: 'x'"),
        (f"arch,acc\n{arch_of(0)},\n", {"acc": "cifar10/test/12ep/mean"}, "empty cells"),
        (
            f"arch,acc,cifar10/test/12ep/mean\n{arch_of(0)},1,2\n",
            {"acc": "cifar10/test/12ep/mean"},
            "same name",
        ),
        (f"arch,acc,acc\n{arch_of(0)},1,2\n", {"acc": "cifar10/test/12ep/mean"}, "same name"),
    ],
)
def test_csv_sources_that_cannot_be_taken(
    tmp_path: Path, text: str, renames: dict[str, str], message: str
) -> None:
    source = tmp_path / "mine.csv"
    source.write_text(text)
    with pytest.raises(UserError, match=message):
        import_truth(source, renames)


def test_sources_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        import_truth(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="holds no files like 000000"):
        import_truth(tmp_path)
    (tmp_path / "NATS.tar").touch()
    with pytest.raises(UserError, match="unpacked folder"):
        import_truth(tmp_path / "NATS.tar")
    with pytest.raises(UserError, match="names its columns itself"):
        import_truth(tmp_path, {"a": "b"})


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, to = tmp_path / "mine.csv", tmp_path / "truth.csv.gz"
    name = "imagenet16-120/valid+test/200ep"
    lines = [f"{arch_of(index)},{index}.5,{index}.25,{index}" for index in (7, 3, 5)]
    header = f"arch,{name}/mean,{name}/seed777,{name}/seed888"
    source.write_text("\n".join([header, *lines, f"{arch_of(9)},1,1,"]))
    table = truth.main(["import", str(source), "--to", str(to)])
    assert "4 archs, 3 columns" in capsys.readouterr().out
    loaded = truth.main(["show", str(to)])
    assert loaded.frame.equals(table.frame)
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [f"{name}/mean", "4", "1.00", "4.38", "7.5000", "7"] in shown
    assert [f"{name}/seed888", "3", "3.00", "5.00", "7.0000", "7"] in shown
    assert ["7", arch_of(7)] in shown
    assert [name, "777", "888", "3", "1.0000"] in shown
    before = to.read_bytes()
    with pytest.raises(UserError, match=r"exists already.*--force"):
        truth.main(["import", str(source), "--to", str(to)])
    truth.main(["import", str(source), "--to", str(to), "--force"])
    assert to.read_bytes() == before


@pytest.mark.parametrize("pair", ["acc", "=cifar10/test/12ep/mean", "acc="])
def test_a_malformed_rename_is_refused_and_nothing_written(tmp_path: Path, pair: str) -> None:
    to = tmp_path / "t.csv"
    with pytest.raises(UserError, match="--column takes OLD=NEW"):
        truth.main(["import", "x.csv", "--to", str(to), "--column", pair])
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        truth.check_target(tmp_path / "file" / "t.csv", force=False)
    with pytest.raises(UserError, match="ends in"):
        truth.check_target(tmp_path / "t.txt", force=False)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="exists already"):
        truth.check_target(tmp_path / "folder.csv", force=True)


def test_the_whole_benchmark_has_its_published_optima(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "nb201" / "nb201_truth.csv.xz"
    twelve = "cifar10/test/12ep/seed777"
    to = tmp_path / "truth.csv.xz"
    truth.main(["import", str(source), "--to", str(to), "--column", f"cifar10/test/12ep={twelve}"])
    table = TruthTable.load(to)
    assert len(table.frame) == 15_625
    assert len(table.column(twelve).dropna()) == 15_625
    table.require([arch_of(index) for index in range(15_625)])
    for column, best, index in (
        ("cifar10/test/200ep/mean", 94.3733, 6111),
        ("cifar100/test/200ep/mean", 73.5133, 9930),
        ("imagenet16-120/test/200ep/mean", 47.3111, 857),
    ):
        values = table.column(column)
        assert round(float(values.max()), 4) == best
        assert values.idxmax() == arch_of(index)
    assert table.ceiling_seeds_of("cifar10/test/200ep/mean")[:2] == [
        "cifar10-valid/valid/200ep/seed777",
        "cifar10-valid/valid/200ep/seed888",
    ]
