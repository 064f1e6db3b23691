"""Recurrent cells trained alone on Penn Treebank, as published beside *How Does Supernet Help?*.

Tables ``ptb.csv`` and, trained again with another seed, ``ptb-seed43.csv`` of
https://github.com/matluster/anonymous-2102 (Apache 2.0): a JSON object of choices, and the
perplexities on the validation and the test text after 3,000 epochs. Both are read together, so that
the truth has the agreement of its seeds; the first seed is 42 in that code. ``act/i`` is 0 tanh, 1
ReLU, 2 sigmoid, 3 identity, and ``switch/i`` the state that step i reads, of 8 steps.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.cli.numbers import read_number
from benchmark.truth.five_spaces import seed_files
from benchmark.truth.format import TruthColumn
from benchmark.truth.imported import NUM_DECIMALS, Imported, sorted_table
from benchmark.truth.reading import Rows, read_rows
from kshot_core.space import Arch, check_arch
from kshot_core.spaces import DARTSPTB
from kshot_core.spaces.darts_ptb.genotype import ACTIVATIONS, NUM_CHOICES, NUM_STEPS, arch_of

_COLUMNS = {"valid_ppl": "valid", "test_ppl": "test"}
_EPOCHS = 3000
_KEYS = {f"{kind}/{step}" for kind in ("act", "switch") for step in range(NUM_STEPS)}


def is_ptb(rows: Rows) -> bool:
    """Whether the columns are those of such a table."""
    return {"architecture", *_COLUMNS} <= set(rows.header)


def import_ptb(source: Path) -> Imported:
    """Read a table, and those of further seeds beside it.

    Raises:
        UserError: a row has no recurrent cell, or no perplexities.
    """
    values: dict[str, dict[str, float]] = {}
    order: dict[str, None] = {}
    for seed, path in seed_files(source).items():
        rows = read_rows(path)
        if not is_ptb(rows):
            raise UserError(
                f"{path} has no columns architecture, valid_ppl and test_ppl, as {source} has; "
                "move it elsewhere"
            )
        for line, cells in zip(rows.lines, rows.cells, strict=True):
            cell = dict(zip(rows.header, cells, strict=True))
            where = f"{path}, line {line}"
            text = DARTSPTB().to_string(_arch(where, cell["architecture"]))
            order[text] = None
            for name, split in _COLUMNS.items():
                column = str(TruthColumn("penn-treebank", split, _EPOCHS, f"seed{seed}"))
                found = values.setdefault(column, {})
                if text in found:
                    raise UserError(f"{where}: this cell was there before; keep one row of each")
                found[text] = _perplexity(where, name, cell[name])
    frame = pd.DataFrame(values, index=list(order), dtype=np.float64)
    frame.index.name = "arch"
    for split in _COLUMNS.values():
        mean = TruthColumn("penn-treebank", split, _EPOCHS, "mean")
        own = [name for name in values if f"/{split}/" in name]
        frame.insert(0, str(mean), frame[own].mean(axis=1).round(NUM_DECIMALS))
    return Imported(sorted_table(frame, source), ())


def _arch(where: str, text: str) -> Arch:
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.keys() != _KEYS:
            raise ValueError(f"choices named act/0 to switch/7 are wanted, got {text[:40]}")
        names = [ACTIVATIONS[_choice(values[f"act/{step}"])] for step in range(NUM_STEPS)]
        sources = [_choice(values[f"switch/{step}"]) for step in range(NUM_STEPS)]
        if sources[0] != 0:
            raise ValueError(f"the first step reads state 0, got {sources[0]}")
        return check_arch(arch_of(list(zip(names, sources, strict=True))), NUM_CHOICES)
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise UserError(
            f"{where}: no recurrent cell ({error}); is the table of another space, or cut short?"
        ) from None


def _choice(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"a choice is a number from 0 on, got {value!r}")
    return value


def _perplexity(where: str, column: str, text: str) -> float:
    try:
        return read_number(text)
    except ValueError:
        raise UserError(f"{where}: {column} should be a number, got {text[:40]!r}") from None
