"""The truth table: its format, its checks, and how it is found."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cli.errors import UserError
from benchmark.truth.format import SPLITS
from benchmark.truth.table import (
    TruthColumn,
    TruthTable,
    cached_truth,
    default_column,
    find_truth,
)
from kshot_core.spaces.nasbench201.space import NASBench201

SPACE = NASBench201()
ARCHS = [SPACE.to_string(SPACE.from_index(index)) for index in range(20)]
MEAN, SEED0, SEED1 = (f"digits/valid/10ep/{run}" for run in ("mean", "seed0", "seed1"))


def make_table(num_archs: int = 4) -> TruthTable:
    """Columns of two seeds and their mean; the first arch was run once only."""
    seeds = np.linspace(40, 70, 2 * num_archs).reshape(num_archs, 2)
    seeds[0, 1] = np.nan
    frame = pd.DataFrame(
        {MEAN: np.nanmean(seeds, axis=1), SEED0: seeds[:, 0], SEED1: seeds[:, 1]},
        index=pd.Index(ARCHS[:num_archs], name="arch"),
    )
    return TruthTable(None, frame)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@given(
    st.from_regex(r"[a-z0-9][a-z0-9.-]{0,15}", fullmatch=True),
    st.sampled_from(SPLITS),
    st.integers(1, 10_000),
    st.one_of(st.just("mean"), st.integers(0, 10_000).map("seed{}".format)),
)
def test_a_column_name_is_read_as_written(
    trained_on: str, split: str, epochs: int, run: str
) -> None:
    column = TruthColumn(trained_on, split, epochs, run)
    assert TruthColumn.parse(str(column)) == column


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cifar10",
        "cifar10/test/12ep",
        "cifar10/test/200/mean",
        "cifar10/test/0ep/mean",
        "cifar10/testing/200ep/mean",
        "cifar10/test/200ep/seed",
        "cifar10/test/200ep/average",
        "cifar10/test /200ep/mean",
        "cifar10/test/200ep/mean/x",
    ],
)
def test_other_names_are_refused_with_an_example(name: str) -> None:
    with pytest.raises(UserError, match="cifar10/test/200ep/mean"):
        TruthColumn.parse(name)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.xz"])
def test_a_saved_table_loads_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    table, path = make_table(), tmp_path / "new" / f"truth{suffix}"
    table.save(path)
    loaded = TruthTable.load(path)
    pd.testing.assert_frame_equal(loaded.frame, table.frame, check_exact=True, check_dtype=True)
    assert loaded.path == path
    assert loaded.frame.index.name == "arch"
    loaded.save(tmp_path / f"again{suffix}")
    assert (tmp_path / f"again{suffix}").read_bytes() == path.read_bytes()


def test_columns_and_seeds() -> None:
    table = make_table()
    assert [str(column) for column in table.columns()] == [MEAN, SEED0, SEED1]
    assert table.seeds_of(MEAN) == [SEED0, SEED1]
    assert table.seeds_of("digits/valid/5ep/mean") == []
    assert table.column(TruthColumn.parse(MEAN)).tolist() == table.frame[MEAN].tolist()
    assert np.isnan(table.column(SEED1).iloc[0])
    first, second = table.both(SEED0, SEED1)
    assert list(first.index) == list(second.index) == ARCHS[1:4]


def test_an_unknown_column_names_those_there_are_closest_first() -> None:
    with pytest.raises(UserError, match=f"no column 'digits/valid/9ep/seed1'.* has: {SEED1}"):
        make_table().column("digits/valid/9ep/seed1")


def test_the_ceiling_falls_back_to_the_nearest_seeds_of_the_same_data() -> None:
    names = [
        "cifar10/test/200ep/mean",
        "cifar10-valid/test/200ep/seed888",
        "cifar10-valid/valid/200ep/seed777",
        "cifar10-valid/valid/200ep/seed888",
        "cifar100/valid+test/200ep/seed777",
        "cifar100/valid+test/200ep/seed888",
    ]
    table = TruthTable(None, pd.DataFrame(50.0, index=ARCHS[:2], columns=names))
    assert table.ceiling_seeds_of("cifar10/test/200ep/mean") == names[2:4]
    assert table.ceiling_seeds_of("cifar100/test/200ep/mean") == names[4:]
    assert table.ceiling_seeds_of("cifar100/test/12ep/mean") == []
    assert make_table().ceiling_seeds_of(MEAN) == [SEED0, SEED1]


def test_required_archs() -> None:
    table = make_table()
    table.require(ARCHS[:4])
    table.require(ARCHS[:4], MEAN)
    with pytest.raises(UserError, match=r"no value for 16 of the 20 archs asked for: \|"):
        table.require(ARCHS)
    with pytest.raises(UserError, match=r"no value in digits/valid/10ep/seed1 for 1 of the 4"):
        table.require(ARCHS[:4], SEED1)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty"),
        ([f"arch,{MEAN}"], "is empty"),
        ([f"index,{MEAN}", "0,50"], "first column should be arch, got 'index'"),
        (["arch,accuracy", f"{ARCHS[0]},50"], "named <trained-on>"),
        ([f"arch,{MEAN},{MEAN}", f"{ARCHS[0]},50,50"], "same name"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},50", f"{ARCHS[1]}"], "line 3"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},50", "|conv~0|,50"], r"1 rows are no .*line 3 '\|conv~0\|'"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},50", f"{ARCHS[0]},51"], "1 archs more than once.*line 3"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},nan"], "1 hold no finite number: line 2 .*'nan'"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},inf"], "no finite number"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},five"], "'five'"),
        ([f"arch,{SEED0}", f"{ARCHS[0]},5_0"], "'5_0'"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},100.5"], r"not in 0..100 percent: line 2 .*: 100.5"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},-1"], "not in 0..100"),
        ([f"arch,{MEAN}", f"{ARCHS[0]},"], "is a mean and has 1 empty cells: line 2"),
        ([f"arch,{MEAN}", *(f"{arch},.5" for arch in ARCHS)], "fractions"),
        ([f'arch,{MEAN}\n"{ARCHS[0]},5'], "is not CSV"),
    ],
)
def test_a_broken_table_is_refused_in_one_line(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = write(tmp_path / "truth.csv", *lines)
    with pytest.raises(UserError, match=message) as caught:
        TruthTable.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_broken_rows_are_counted_and_the_first_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"arch,{MEAN}", *(f"{arch},200" for arch in ARCHS))
    with pytest.raises(UserError, match=r"20 accuracies.*line 2 .*line 6 .* and 15 more"):
        TruthTable.load(path)


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.xz"])
def test_packed_files_cut_short_or_of_another_kind_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"truth{suffix}"
    make_table().save(path)
    whole = path.read_bytes()
    for data in (whole[:-6], whole[:20], b"arch,x\n", b""):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"cannot be unpacked|is empty"):
            TruthTable.load(path)
    binary = b"\xff\xfe\x00"
    path.write_bytes(gzip.compress(binary) if suffix == ".csv.gz" else lzma.compress(binary))
    with pytest.raises(UserError, match="not a text file"):
        TruthTable.load(path)


def test_absent_files_and_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        TruthTable.load(tmp_path / "truth.csv")
    with pytest.raises(UserError, match=r"ends in \.csv, \.tsv, \.txt, packed in \.gz, \.xz"):
        TruthTable.load(tmp_path / "truth.json")
    with pytest.raises(UserError, match="ends in"):
        make_table().save(tmp_path / "truth.zip")
    assert not list(tmp_path.iterdir())


def test_spaces_byte_order_mark_and_row_order_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(f"\ufeffarch, {MEAN}\r\n{ARCHS[3]} , 50.25\r\n{ARCHS[1]},40\r\n\r\n", "utf-8")
    assert TruthTable.load(path).column(MEAN).to_dict() == {ARCHS[3]: 50.25, ARCHS[1]: 40.0}


def test_default_columns() -> None:
    columns = {"cifar10/test/200ep/mean": 90.0, "cifar10-valid/valid/200ep/mean": 80.0}
    table = TruthTable(None, pd.DataFrame(columns, index=ARCHS[:2]))
    assert str(default_column("cifar10", table)) == "cifar10/test/200ep/mean"
    with pytest.raises(UserError, match="no column 'cifar100/test/200ep/mean'"):
        default_column("cifar100", table)
    assert str(default_column("digits", make_table())) == MEAN
    with pytest.raises(UserError, match="found none"):
        default_column("digits", table)
    two = make_table().frame.assign(**{"digits/valid/5ep/mean": 50.0})
    with pytest.raises(UserError, match=f"{MEAN}, digits/valid/5ep/mean"):
        default_column("digits", TruthTable(None, two))


def test_the_table_is_looked_for_in_the_documented_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_file, named = tmp_path / "given.csv", tmp_path / "named.csv"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KSHOT_TRUTH", raising=False)
    with pytest.raises(UserError, match=r"benchmark\.truth import SOURCE --to .*nb201_truth"):
        find_truth("cifar10")
    cached_truth().parent.mkdir(parents=True)
    cached_truth().touch()
    assert find_truth("cifar10") == cached_truth()
    monkeypatch.setenv("KSHOT_TRUTH", str(named))
    with pytest.raises(UserError, match=r"named by \$KSHOT_TRUTH"):
        find_truth("imagenet16-120")
    named.touch()
    assert find_truth("cifar100") == named
    with pytest.raises(UserError, match="named by --truth"):
        find_truth("cifar10", given_file)
    given_file.touch()
    assert find_truth("cifar10", given_file) == given_file
    assert find_truth("digits", given_file) == given_file


def test_digits_have_a_table_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KSHOT_TRUTH", str(tmp_path / "nb201.csv"))
    try:
        place = find_truth("digits")
    except UserError as error:
        assert "python -m benchmark.standalone --space nasbench201 --dataset digits" in str(error)
    else:
        assert place.name == "digits_truth.csv"
