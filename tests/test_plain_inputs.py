"""Text reads alike wherever it enters: architectures, tables, options, lists, files."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrainings import ARCH, CELL, SETTINGS, SPACE_OPTIONS, write_arch

from benchmark.cli.errors import UserError
from benchmark.cli.numbers import read_number, read_whole
from benchmark.config.arch_file import read_arch
from benchmark.config.run import RunConfig
from benchmark.config.space import SpaceSettings
from benchmark.retrain.command import parse as parse_retrain
from benchmark.run.command import parse as parse_run
from benchmark.search.command import parse as parse_search
from benchmark.truth.importers import import_truth
from benchmark.truth.reading import read_rows
from benchmark.truth.table import TruthTable
from kshot_core.spaces import NASBench201

SPACE = NASBench201()
ARCHS = [SPACE.to_string(SPACE.from_index(index)) for index in (3, 1, 2)]
VALUES = [91.25, 70.5, 80.0]
MEAN, SEED = "digits/valid/10ep/mean", "digits/valid/10ep/seed0"
TABLE = f"arch,{MEAN}\n" + "".join(f"{a},{v}\n" for a, v in zip(ARCHS, VALUES, strict=True))
SPOILT = st.lists(st.sampled_from([" ", "\t", "\n", "\r\n", "\u00a0", "\ufeff"]), max_size=4)


# Architectures


@given(st.integers(0, 15_624), SPOILT, SPOILT, st.integers(0, 60))
def test_white_space_in_a_cell_means_nothing(
    index: int, before: list[str], after: list[str], place: int
) -> None:
    text = SPACE.to_string(SPACE.from_index(index))
    spoilt = "".join(before) + text[:place] + " " + text[place:] + "".join(after)
    assert SPACE.index(SPACE.from_string(spoilt)) == index


@given(SPOILT, SPOILT)
def test_white_space_in_operations_and_widths_means_nothing(
    before: list[str], after: list[str]
) -> None:
    spoilt = "".join(before) + ARCH.replace(",", ", ").replace("|", " | ") + "".join(after)
    assert SETTINGS.arch(spoilt) == ARCH
    assert SETTINGS.arch(ARCH.replace("1.0", "1").replace("0.8", ".80")) == ARCH


def test_an_arch_reads_alike_in_options_files_and_tables(tmp_path: Path) -> None:
    spoilt = f"  {CELL}\r\n"
    wanted = parse_retrain(["--arch", CELL, "--space", "nasbench201"]).config
    assert parse_retrain(["--arch", spoilt, "--space", "nasbench201"]).config == wanted
    assert read_arch(Path(write_arch(tmp_path / "a.json", arch=f" {ARCH}\n"))).arch == ARCH
    path = tmp_path / "t.csv"
    path.write_text(f'arch,{MEAN}\n"{spoilt}",50\n', encoding="utf-8")
    table = TruthTable.load(path)
    assert table.column(MEAN).to_dict() == {CELL: 50.0}
    table.require([spoilt], MEAN)
    assert import_truth(path).table.column(f" {MEAN.upper()} ").to_dict() == {CELL: 50.0}
    long = ARCH.replace(",", "," + 300 * " ")
    assert parse_retrain(["--arch", long, *SPACE_OPTIONS]).config.arch == ARCH


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_arch_file_as_shells_write_it(encoding: str, tmp_path: Path) -> None:
    text = Path(write_arch(tmp_path / "a.json")).read_text(encoding="utf-8")
    path = tmp_path / "found.JSON"
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert parse_retrain(["--arch", str(path)]).config.arch == ARCH


def test_home_folders_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_arch(tmp_path / "found it.json")
    request = parse_retrain(["--arch", "~/found it.json", "--data", "~/d", "--results", "~/r"])
    assert request.config.arch == ARCH
    assert (request.places.data, request.places.results) == (tmp_path / "d", tmp_path / "r")
    with pytest.raises(UserError, match="--data: a path is wanted, got nothing"):
        parse_run(["--data", ""])


# Tables


def loaded(path: Path) -> dict[str, float]:
    """The table's column, read as a table and imported, which must agree."""
    values = TruthTable.load(path).column(MEAN)
    imported = import_truth(path).table.column(MEAN)
    assert values.to_dict() == imported.to_dict()
    return {str(arch): value for arch, value in values.items()}


WANTED = dict(zip(ARCHS, VALUES, strict=True))
COMMA = TABLE.replace(",", ";").replace(".", ",")
SPELT = {
    "semicolons": TABLE.replace(",", ";"),
    "tabs": TABLE.replace(",", "\t"),
    "decimal commas between semicolons": COMMA,
    "decimal commas between tabs": COMMA.replace(";", "\t"),
    "three decimals": COMMA.replace("91,25", "91,250").replace("70,5", "70,500"),
    "sep= of Excel": "sep=;\n" + COMMA,
    "another case": TABLE.replace("arch", "Arch").replace(MEAN, MEAN.upper()),
    "blank lines": "\n" + TABLE.replace("\n", "\n\n , \n"),
    "a byte order mark": "\ufeff" + TABLE,
    "Windows line ends": TABLE.replace("\n", "\r\n"),
    "old Mac line ends": TABLE.replace("\n", "\r"),
    "quotes": "\n".join('"' + '","'.join(line.split(",")) + '"' for line in TABLE.split()),
    "quoted decimal commas": TABLE.replace("91.25", '"91,25"').replace("70.5", '"70,5"'),
    "empty last column": TABLE.replace("\n", ",\n"),
    "no last line end": TABLE.rstrip("\n"),
    "percent signs": TABLE.replace("91.25", "91.25 %"),
}


@pytest.mark.parametrize("text", SPELT.values(), ids=SPELT.keys())
def test_a_table_is_read_as_programs_write_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_bytes(text.encode())
    assert loaded(path) == WANTED


PACKED: dict[str, Any] = {
    "truth.CSV": bytes, "truth.TXT": bytes, "truth.tsv": bytes, "Truth.Csv.GZ": gzip.compress,
    "TRUTH.CSV.XZ": lzma.compress, "truth.csv.bz2": bz2.compress, "truth.txt.gz": gzip.compress,
}  # fmt: skip


@pytest.mark.parametrize(("name", "pack"), PACKED.items(), ids=PACKED.keys())
def test_names_are_read_in_any_case(name: str, pack: Any, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(pack(TABLE.encode()))
    assert loaded(tmp_path / name) == WANTED


def test_a_table_in_utf_16_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(TABLE.replace(",", "\t").encode("utf-16"))
    assert loaded(tmp_path / "t.txt") == WANTED


REASONS = {
    "spaces": (TABLE.replace(",", "   "), "has one column, .* cells are separated by comma, semi"),
    "decimal commas between commas": (COMMA.replace(";", ","), "seem to have decimal commas"),
    "two numbers in one": (TABLE.replace("70.5", "7.0.5"), "line 3 .*'7.0.5'"),
    "two commas": (COMMA.replace("70,5", "7,0,5"), "line 3 .*'7,0,5'"),
    "the line, blank ones counted": (
        TABLE.replace("\n", "\n\n", 2).replace("70.5", "x"),
        "line 5 .*'x'",
    ),
    "an arch, blank ones counted": (
        TABLE.replace("\n", "\n\n", 2).replace("none", "nnoe"),
        "line 3 '",
    ),
    "above 100, blank ones counted": (
        TABLE.replace("\n", "\n\n", 2).replace("70.5", "170.5"),
        "line 5 .*: 170.5",
    ),
    "sep= of two letters": ("sep=;;\n" + COMMA, "is not CSV"),
    "header alone": (f"\n\narch;{MEAN}\n\n", "is empty"),
}


@pytest.mark.parametrize(("text", "reason"), REASONS.values(), ids=REASONS.keys())
def test_what_cannot_be_read_is_named(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_bytes(text.encode())
    for read in (TruthTable.load, import_truth):
        with pytest.raises(UserError, match=reason) as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_column_to_rename_is_found_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(TABLE.replace(MEAN, "Accuracy (%)").replace(",", ";"), encoding="utf-8")
    table = import_truth(path, {"accuracy (%)": f" {MEAN.upper()}"}).table
    assert table.column(MEAN).to_dict() == WANTED


@given(
    st.lists(
        st.lists(st.text("ab|~ .1", min_size=1, max_size=4), min_size=3, max_size=3),
        min_size=2,
        max_size=6,
    ),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.booleans(),
)
def test_cells_come_back_however_they_are_separated(
    table: list[list[str]], separator: str, end: str, quoted: bool
) -> None:
    table = [[cell.strip() or "x" for cell in row] for row in table]
    quote = '"' if quoted else ""
    text = end.join(separator.join(f"{quote}{c}{quote}" for c in row) for row in table)
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / "kshot-cells.csv"  # noqa: S108
    path.write_bytes(text.encode())
    try:
        rows = read_rows(path)
    finally:
        path.unlink()
    assert [rows.header, *rows.cells] == table


# Options


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0,025", 0.025), (" 0.025\n", 0.025), ("4e8", 4e8), ("400_000_000", 4e8), ("-1,5", -1.5),
        ("\u22121", -1.0), ("1,2345", 1.2345), ("1234,5", 1234.5), ("0,125", 0.125),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float) -> None:
    assert read_number(text) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_python_writes_it(number: float) -> None:
    assert read_number(repr(number)) == number
    assert read_number(repr(number).replace(".", ","), comma_is_decimal=True) == number


@given(st.integers(-(10**15), 10**15))
def test_every_whole_number_is_read(number: int) -> None:
    assert read_whole(str(number)) == read_whole(f" {number:_} ") == number


@pytest.mark.parametrize("text", ["1,000", "12,500", "-1,000,000"])
def test_thousands_are_not_taken_for_decimals(text: str) -> None:
    for read in (read_number, read_whole):
        with pytest.raises(ValueError, match=r"may be .*write"):
            read(text)
    with pytest.raises(UserError, match="--train-images: '1,000' may be 1000"):
        parse_run(["--train-images", "1,000"])


@pytest.mark.parametrize("text", ["", "five", "5_0", "1,2,3", "1.2,3", "0x10", "1_0000"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        read_number(text)


def test_options_read_as_people_write_them() -> None:
    config = parse_run(["--learning-rate", "0,05", "--train-images", "1e3", "--sampler", " fair "])
    (one, eight) = config.configs
    assert (one.K, eight.K, one.training.learning_rate) == (1, 8, 0.05)
    assert (one.dataset["train_images"], one.sampler.name) == (1000, "fair")
    spelt = parse_run(["--K", "1,2", "4", "--sharing", "simplex,random"]).configs
    assert [(c.K, c.sharing.name) for c in spelt] == [
        (1, "one-shot"), (2, "simplex"), (4, "simplex"), (2, "random"), (4, "random"),
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"--epochs: a whole number is wanted, got '2\.5'"):
        parse_run(["--epochs", "2.5"])
    assert parse_search(["--max-params", "5e5"]).config.max_params == 500_000


STAGES = ["16x3/1,32x3/2", "16x3/1, 32x3/2", "16X3/1;32×3/2", " 16 x 3 / 1 , 32x3/2, "]
FACTORS = ["0.5,1.0", "0.5, 1", ".5 1.0", "0,5; 1,0", "0.50;1.0;", "0.5,1.0,"]


@pytest.mark.parametrize("stages", STAGES)
@pytest.mark.parametrize("factors", FACTORS)
def test_equal_lists_are_equal_settings(stages: str, factors: str) -> None:
    plain = {"stages": STAGES[0], "factors": FACTORS[0]}
    spelt = {"stages": stages, "factors": factors}
    assert SpaceSettings("mobilenetv2", **spelt) == SpaceSettings("mobilenetv2", **plain)
    one = RunConfig.of(space="mobilenetv2", **spelt)
    assert one.run_id() == RunConfig.of(space="mobilenetv2", **plain).run_id()
    options = ["--space", "mobilenetv2", "--stages", stages, "--factors", factors]
    assert parse_search(options).config.run.space["stages"] == STAGES[0]
    assert parse_search(options).config.run.space["factors"] == FACTORS[0]


def test_lists_that_are_none_are_refused() -> None:
    for wrong in ({"stages": ""}, {"stages": "16x3"}, {"factors": ""}, {"factors": "0,5 1,0"}):
        with pytest.raises(UserError, match=r"stages are|factors (are|rise)"):
            SpaceSettings("mobilenetv2", **wrong)


def test_the_file_of_a_search_and_its_arch_json_agree(tmp_path: Path) -> None:
    path = Path(write_arch(tmp_path / "a.json"))
    values = json.loads(path.read_text(encoding="utf-8"))
    values["settings"]["factors"] = "0,2; 0,4; 0,6; 0,8; 1"
    path.write_text(json.dumps(values), encoding="utf-8")
    assert read_arch(path).settings == SETTINGS
