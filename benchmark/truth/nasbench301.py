"""NAS-Bench-301's surrogate as truth of DARTS cells (Zela, Siems et al., ICLR 2022).

The benchmark trained some 60,000 cells and fitted an ensemble of models to them, which predicts
any other's accuracy. Its package ``nasbench301`` loads the published folders, ``xgb_v1.0`` and its
like (https://github.com/automl/nasbench301), and is asked for the cells of a table without the
noise that it can add. What it predicts: accuracies in percent on the 10,000 images left out of
CIFAR-10's training images, after 100 epochs, of networks of 32 channels and 8 layers.

The package unpickles what lies in the folder, so that a folder that somebody else has altered can
run any code. Only with ``trust`` is it loaded.
"""

from __future__ import annotations

import importlib
import pickle
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.truth.format import TruthColumn
from benchmark.truth.imported import NUM_DECIMALS, Imported, sorted_table
from benchmark.truth.pickles import Report, silent
from benchmark.truth.reading import few, read_rows
from kshot_core.spaces import DARTS
from kshot_core.spaces.darts.genotype import CELLS, NODES, OPERATIONS, Cell

COLUMN = TruthColumn("cifar10-40k", "valid", 100, "mean")
_MEMBER = "*surrogate_model.model"
"""Files that make a folder, or one below it, a member of the ensemble."""
# What old packages, and folders that are not whole, can raise.
_ODD = (
    OSError, ImportError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError,
    AssertionError, RuntimeError, EOFError, pickle.UnpicklingError,
)  # fmt: skip
_Genotype = namedtuple("_Genotype", "normal normal_concat reduce reduce_concat")


def is_nasbench301(source: Path) -> bool:
    """Whether a path is a folder of the published surrogates."""
    return source.is_dir() and next(source.rglob(_MEMBER), None) is not None


def import_nasbench301(
    folder: Path, archs: Path | None, *, trust: bool = False, report: Report = silent
) -> Imported:
    """What the surrogate predicts for the architectures of a table.

    Args:
        folder: of the ensemble.
        archs: a table with a column ``arch``, genotypes of DARTS without ``none``.
        trust: run what is pickled in the folder.
        report: told of progress.

    Raises:
        UserError: no table, an architecture of another space or twice, the package is not
            installed or fails, or predictions that are no accuracies in percent.
    """
    if archs is None:
        raise UserError(
            f"{folder} is NAS-Bench-301's surrogate, which predicts any cell: say which with "
            "--archs FILE.csv, genotypes of DARTS in a column arch"
        )
    # Neither a package nor a folder is looked at for a table that cannot be used.
    texts = _read(archs)
    if not trust:
        raise UserError(
            f"{folder} is read by unpickling it, which runs whatever code it holds; with --trust "
            "it is, where it comes from the benchmark's authors"
        )
    model, space = _load(folder), DARTS(zero=False)
    values = []
    for done, text in enumerate(texts, start=1):
        try:
            value = float(
                model.predict(
                    config=_genotype(space.cells(space.from_string(text))),
                    representation="genotype",
                    with_noise=False,
                )
            )
        except _ODD as error:
            raise _failed(folder, error) from None
        if not 0 <= value <= 100:
            raise UserError(
                f"{folder} predicts {value:g} for a cell, which is no accuracy in percent; is it a "
                "surrogate of runtimes? name the one of accuracies (xgb_v1.0, gnn_gin_v1.0)"
            )
        values.append(round(value, NUM_DECIMALS))
        report("asking the surrogate", done, len(texts))
    frame = pd.DataFrame(
        {str(COLUMN): np.array(values, dtype=np.float64)}, index=pd.Index(texts, name="arch")
    )
    note = "seeds: a surrogate predicts a mean, and no agreement of two trainings"
    return Imported(sorted_table(frame, folder), (note,))


def _read(path: Path) -> list[str]:
    """The architectures, as our tables write them."""
    rows, space = read_rows(path), DARTS(zero=False)
    header = [name.lower() for name in rows.header]
    if header.count("arch") != 1:
        raise UserError(f"{path} needs a column arch; it has: {few(map(repr, rows.header), 8)}")
    texts: dict[str, int] = {}
    for line, cells in zip(rows.lines, rows.cells, strict=True):
        try:
            text = space.to_string(space.from_string(cells[header.index("arch")]))
        except ValueError as error:
            raise UserError(f"{path}, line {line}: {str(error)[:300]}") from None
        if text in texts:
            raise UserError(
                f"{path}, line {line}: this cell was there in line {texts[text]}; keep one of them"
            )
        texts[text] = line
    if not texts:
        raise UserError(f"{path} names no architecture; give a row for each")
    return list(texts)


def _load(folder: Path) -> Any:
    try:
        package: Any = importlib.import_module("nasbench301")
    except ImportError as error:
        raise UserError(
            f"asking {folder} needs the nasbench301 package ({error}): pip install nasbench301"
        ) from None
    try:
        return package.load_ensemble(str(folder))
    except _ODD as error:
        raise _failed(folder, error) from None


def _failed(folder: Path, error: Exception) -> UserError:
    text = " ".join(str(error).split())[:120]
    return UserError(
        f"the nasbench301 package cannot ask {folder} ({type(error).__name__}: {text}); is the "
        "folder whole, and are the package's own requirements installed?"
    )


def _genotype(cells: tuple[Cell, Cell]) -> Any:
    """A normal and a reduction cell as the package takes them: DARTS's own named tuple."""
    fields: dict[str, object] = {}
    for name, cell in zip(CELLS, cells, strict=True):
        fields[name] = [(OPERATIONS[choice], source) for node in cell for source, choice in node]
        fields[f"{name}_concat"] = list(NODES)
    return _Genotype(**fields)
