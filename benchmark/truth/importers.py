"""Make a truth table from what the benchmarks' authors publish, or from any CSV.

How the published names become column names (both published formats hold the same records):

===============  ==========  ============================================  =======================
trained on       evaluated   which images                                  column
===============  ==========  ============================================  =======================
cifar10-valid    x-valid     the other 25,000 of the training images       cifar10-valid/valid
cifar10-valid    ori-test    all 10,000 test images                        cifar10-valid/test
cifar10          ori-test    all 10,000 test images                        cifar10/test
cifar100         x-valid     5,000 of the 10,000 test images               cifar100/valid
cifar100         x-test      the other 5,000                               cifar100/test
cifar100         ori-test    all 10,000                                    cifar100/valid+test
ImageNet16-120   x-valid     3,000 of the 6,000 validation images          imagenet16-120/valid
ImageNet16-120   x-test      the other 3,000                               imagenet16-120/test
ImageNet16-120   ori-test    all 6,000                                     imagenet16-120/valid+test
===============  ==========  ============================================  =======================

So ``ori-test`` is ``test`` for the CIFAR-10 sets and ``valid+test`` for the other two, where
``valid`` = 2·``valid+test`` - ``test``. Accuracies are those after the last epoch, in percent,
rounded to six decimals: one image is at least .01, the published sums are exact to 1e-7. A ``mean``
is over the runs an arch has. 12-epoch runs have seeds 111 and 777, 200-epoch ones 777, 888, 999.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.truth.five_spaces import import_five_spaces, is_five_spaces
from benchmark.truth.format import TruthColumn, is_column, to_frame
from benchmark.truth.imported import NUM_DECIMALS, Imported, sorted_table
from benchmark.truth.nasbench101 import import_nasbench101
from benchmark.truth.nasbench301 import import_nasbench301, is_nasbench301
from benchmark.truth.nds import import_nds
from benchmark.truth.pickles import Report, check_md5, load_pbz2, load_pth, silent
from benchmark.truth.ptb import import_ptb, is_ptb
from benchmark.truth.reading import few, is_table, read_rows
from kshot_core.spaces.nasbench201.space import NUM_ARCHS, NASBench201, to_string

SPLITS: Mapping[str, Mapping[str, str]] = {
    "cifar10-valid": {"x-valid": "valid", "ori-test": "test"},
    "cifar10": {"ori-test": "test"},
    "cifar100": {"x-valid": "valid", "x-test": "test", "ori-test": "valid+test"},
    "ImageNet16-120": {"x-valid": "valid", "x-test": "test", "ori-test": "valid+test"},
}

# What reading a record that is not as published can raise.
_ODD = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, AssertionError)

Row = dict[TruthColumn, float]


@dataclass(frozen=True)
class Run:
    """One training run as published: accuracies in percent after the last epoch, by split."""

    trained_on: str
    seed: int
    epochs: int
    accuracies: Mapping[str, float]


def import_truth(
    source: Path,
    renames: Mapping[str, str] | None = None,
    *,
    archs: Path | None = None,
    trust: bool = False,
    report: Report = silent,
) -> Imported:
    """Read any source: what benchmarks publish, or a CSV.

    Args:
        source: a NAS-Bench-201 ``.pth``, a NATS-Bench topology folder, NAS-Bench-101's
            ``.tfrecord``, NDS's JSON, a folder of NAS-Bench-301's surrogate, a table. Which it is
            follows from its name, of folders from their files, of tables from their columns.
        renames: for a CSV, columns to take under another name.
        archs: for a surrogate, a table of the architectures that it is asked for.
        trust: read a ``.pth`` whose MD5 is not a published one, or a surrogate, which is pickled.
        report: told of progress.

    Raises:
        UserError: absent, of no known kind, damaged, or holding what such a source cannot hold.
    """
    if not source.exists():
        raise UserError(f"no such file or folder: {source}; give the source's path")
    if archs is not None and not is_nasbench301(source):
        raise UserError(f"--archs is what a surrogate is asked for; {source} has its own")
    if not (source.is_file() and is_table(source)):
        _refuse_renames(source, renames)
        return _import_published(source, archs, trust, report)
    rows = read_rows(source)
    published = next((read for is_one, read in _TABLES if is_one(rows)), None)
    if published is None:
        return import_csv(source, renames or {})
    _refuse_renames(source, renames)
    return published(source)


def _refuse_renames(source: Path, renames: Mapping[str, str] | None) -> None:
    if renames:
        raise UserError(f"--column renames columns of a CSV; {source} names its columns itself")


def _import_published(source: Path, archs: Path | None, trust: bool, report: Report) -> Imported:
    """Read what is no table, by the source's name."""
    if source.is_dir():
        if is_nasbench301(source):
            return import_nasbench301(source, archs, trust=trust, report=report)
        return import_nats(source, report)
    if source.suffix.lower() == ".tfrecord":
        return import_nasbench101(source, report)
    if source.suffix.lower() == ".json":
        return import_nds(source)
    if source.suffix == ".pth":
        return import_nasbench201(source, trust=trust, report=report)
    hint = ""
    if ".pbz2" in source.name or ".tar" in source.name:
        hint = "; of NATS-Bench give the unpacked folder NATS-tss-v1_0-3ffb9-simple (tar -xf)"
    raise UserError(
        "a source is NAS-Bench-201-v1_1-096897.pth, a NATS-tss folder, "
        "nasbench_only108.tfrecord, a .json file of NDS, a folder of NAS-Bench-301, or a "
        f".csv, .tsv or .txt file, packed or not; got {source}{hint}"
    )


_TABLES = ((is_five_spaces, import_five_spaces), (is_ptb, import_ptb))
"""Published tables that are known by their columns."""


def import_csv(source: Path, renames: Mapping[str, str]) -> Imported:
    """Take the columns that are named as a truth column is, and those renamed to one.

    Raises:
        UserError: no ``arch`` column, nothing to take, a rename of a column that is not there, or
            content that a truth table refuses.
    """
    rows = read_rows(source)
    header = rows.header
    if "arch" not in map(str.lower, header):
        raise UserError(
            f"{source} needs a column named arch with the benchmark's strings; it has: "
            f"{few(map(repr, header), 8)}"
        )
    plain = {name.lower(): name for name in header}
    renames = {
        old if old in header else plain.get(old.strip().lower(), old): new
        for old, new in renames.items()
    }
    absent = [name for name in renames if name not in header]
    if absent:
        raise UserError(f"{source} has no column {few(map(repr, absent))}; it has: {few(header)}")
    names = {old: str(TruthColumn.parse(new)) for old, new in renames.items()}
    names |= {name: name for name in header if name not in names and is_column(name)}
    names = {old: names[old] for old in header if old in names}
    left_out = [name for name in header if name not in names and name.lower() != "arch"]
    if not names:
        raise UserError(
            f"{source} has no column named <trained-on>/<split>/<epochs>ep/<mean or seedN>, but "
            f"{few(map(repr, left_out), 8)}; say what a column is with "
            "--column 'OLD=cifar10/test/200ep/mean'"
        )
    frame = to_frame(rows, names, source)
    note = (f"{len(left_out)} columns not of the four-part form: {few(left_out, 30)}",)
    return Imported(sorted_table(frame, source, rows.lines), note if left_out else ())


def import_nats(folder: Path, report: Report = silent) -> Imported:
    """Read the files ``NNNNNN.pickle.pbz2`` of a NATS-Bench topology ("tss", simple) folder.

    A folder with part of the architectures gives a table with that part. ``meta.pickle.pbz2``
    is not needed: each file holds its architecture's string.

    Raises:
        UserError: no such files, a damaged file, or one that holds another architecture than its
            number says.
    """
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9][0-9][0-9].pickle.pbz2"))
    if not files:
        raise UserError(
            f"{folder} holds no files like 000000.pickle.pbz2; give the unpacked folder "
            "NATS-tss-v1_0-3ffb9-simple"
        )
    rows: dict[str, Row] = {}
    # Unpacking bzip2 takes nine tenths of the time and runs without the interpreter's lock.
    pool = ThreadPoolExecutor()
    try:
        for done, (arch, row) in enumerate(pool.map(_read_nats, files), start=1):
            rows[arch] = row
            report("reading architectures", done, len(files))
    finally:
        pool.shutdown(cancel_futures=True)
    return _imported(rows, folder)


def import_nasbench201(file: Path, *, trust: bool = False, report: Report = silent) -> Imported:
    """Read the benchmark's own ``.pth`` with the ``nas-bench-201`` package.

    The package's ``NASBench201API`` copies the whole file's content, 9 GB of objects, and loads
    it with a ``torch.load`` that today's torch refuses. So the file is read here, by an unpickler
    that runs none of its code, and the package reads one architecture at a time.

    Raises:
        UserError: the MD5 is no published file's and ``trust`` is not given; the package is not
            installed; the file is damaged or holds something else.
    """
    try:
        package: Any = importlib.import_module("nas_201_api")
    except ImportError as error:
        raise UserError(
            f"reading {file} needs the nas-bench-201 package ({error}): pip install nas-bench-201"
        ) from None
    if not trust:
        check_md5(file, report)
    content = load_pth(file, report)
    try:
        infos: dict[int, dict[str, Any]] = content["arch2infos"]
        indexes = sorted(content["evaluated_indexes"])
        rows: dict[str, Row] = {}
        for done, index in enumerate(indexes, start=1):
            # Popped, so that memory falls from here on.
            info = infos.pop(index)
            both = [package.ArchResults.create_from_state_dict(info[k]) for k in ("less", "full")]
            rows[_check_place(both[1].arch_str, index, file)] = _row(
                run for results in both for run in _package_runs(results)
            )
            report("reading architectures", done, len(indexes))
    except _ODD as error:
        raise _unexpected(file, error) from None
    return _imported(rows, file)


def _read_nats(file: Path) -> tuple[str, Row]:
    try:
        content = load_pbz2(file)
        index = int(file.name[:6])
        arch = _check_place(content["200"]["arch_str"], index, file)
        runs = [
            Run(name, int(seed), int(run["epochs"]), _final(run["eval_acc1es"], run["epochs"]))
            for state in content.values()
            for (name, seed), run in state["all_results"].items()
        ]
        return arch, _row(runs)
    except _ODD as error:
        raise _unexpected(file, error) from None


def _package_runs(results: Any) -> Iterator[Run]:
    """Runs of the package's ``ArchResults``."""
    for name in results.get_dataset_names():
        for seed, run in results.query(name).items():
            epochs = run.get_total_epoch()
            yield Run(name, int(seed), epochs, _final(run.eval_acc1es, epochs))


def _final(accuracies: Mapping[str, float], epochs: int) -> dict[str, float]:
    """The accuracies after the last epoch; keys are ``<evaluated>@<epoch>``, counted from 0."""
    last = f"@{epochs - 1}"
    found = {k[: -len(last)]: float(v) for k, v in accuracies.items() if k.endswith(last)}
    if not np.isfinite(list(found.values())).all():
        raise ValueError(f"accuracies {found}")
    return found


def _row(runs: Iterable[Run]) -> Row:
    row: Row = {}
    by_mean: dict[TruthColumn, list[float]] = {}
    for run in runs:
        for evaluated, accuracy in run.accuracies.items():
            split = SPLITS[run.trained_on][evaluated]
            mean = TruthColumn(run.trained_on.lower(), split, run.epochs, "mean")
            by_mean.setdefault(mean, []).append(accuracy)
            seed = TruthColumn(mean.trained_on, split, run.epochs, f"seed{run.seed}")
            row[seed] = round(accuracy, NUM_DECIMALS)
    row |= {mean: round(float(np.mean(found)), NUM_DECIMALS) for mean, found in by_mean.items()}
    return row


def _imported(rows: Mapping[str, Row], source: Path) -> Imported:
    columns = sorted({column for row in rows.values() for column in row}, key=_column_order)
    frame = pd.DataFrame(
        [[row.get(column, np.nan) for column in columns] for row in rows.values()],
        index=pd.Index(list(rows), name="arch"),
        columns=[str(column) for column in columns],
        dtype=np.float64,
    )
    gaps = [str(c) for c in columns if c.run == "mean" and bool(frame[str(c)].isna().any())]
    left_out = [f"{name}: {int(frame[name].isna().sum())} archs have no run" for name in gaps]
    if len(rows) < NUM_ARCHS:
        left_out.append(f"{NUM_ARCHS - len(rows)} of {NUM_ARCHS} archs: the source lacks them")
    return Imported(sorted_table(frame.drop(columns=gaps), source), tuple(left_out))


def _column_order(column: TruthColumn) -> tuple[int, int, int, str]:
    trained_on = [name.lower() for name in SPLITS].index(column.trained_on)
    split = ("valid", "test", "valid+test").index(column.split)
    # "mean" sorts before "seed...".
    return -column.epochs, trained_on, split, column.run


def _check_place(arch: object, index: int, file: Path) -> str:
    """Return the arch, or refuse one that is not the benchmark's at this index."""
    wanted = to_string(NASBench201().from_index(index))
    if arch != wanted:
        raise UserError(
            f"{file}: architecture {index} should be {wanted}, got {str(arch)[:90]!r}; "
            "this is not the topology (tss) benchmark of 15,625 cells, or it is altered"
        )
    return wanted


def _unexpected(file: Path, error: Exception) -> UserError:
    return UserError(
        f"{file} does not hold the benchmark's records ({type(error).__name__}: "
        f"{str(error)[:80]}); download the published file again"
    )
