"""The stand-alone networks of the code of *How Does Supernet Help in NAS?*, as published.

Tables ``darts-cifar10.csv`` and ``proxylessnas.csv`` of https://github.com/matluster/anonymous-2102
(Apache 2.0): a JSON object of choices, an accuracy as a share of 1, parameters. A second table
beside them with the same name and ``-seed43`` holds networks trained again with another seed; both
are read together, so that the truth has the agreement of its seeds. The first seed is 42 in that
code. Every row's parameters must be those of our network of its architecture.

==================  ==========================================================  ================
table               networks                                                    column
==================  ==========================================================  ================
darts-cifar10.csv   36 channels, 20 cells, 600 epochs on all training images    cifar10/test
proxylessnas.csv    1.35 times as wide, 300 epochs on ImageNet                  imagenet/test
==================  ==========================================================  ================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.cli.numbers import read_number
from benchmark.truth.format import TruthColumn
from benchmark.truth.imported import NUM_DECIMALS, Imported, sorted_table
from benchmark.truth.reading import Rows, few, read_rows
from kshot_core.space import Arch, check_arch
from kshot_core.spaces import DARTS, Proxyless
from kshot_core.spaces.darts.genotype import CELLS, NODES, cells_of, choices_of

_FIRST_SEED = 42
_NEEDED = ("architecture", "accuracy", "params")
_FURTHER = re.compile(r"(.*)-seed(\d{1,9})")


@dataclass(frozen=True)
class _Kind:
    """The networks of one table."""

    space: DARTS | Proxyless
    trained_on: str
    epochs: int
    keys: frozenset[str]
    read: Callable[[Mapping[str, Any]], Arch]

    def column(self, run: str) -> str:
        return str(TruthColumn(self.trained_on, "test", self.epochs, run))


def is_five_spaces(rows: Rows) -> bool:
    """Whether the columns are those of such a table."""
    return set(_NEEDED) <= set(rows.header) and "arch" not in rows.header


def import_five_spaces(source: Path) -> Imported:
    """Read a table, and those of further seeds beside it.

    Raises:
        UserError: a row's architecture is of none of these spaces, its parameters are not those of
            its architecture, or its accuracy is no share of 1.
    """
    files, left_out = seed_files(source), set[str]()
    values: dict[str, dict[str, float]] = {}
    kinds = set()
    for seed, path in files.items():
        rows = read_rows(path)
        left_out |= set(rows.header) - {"architecture", "accuracy"}
        kind, accuracies = _read(path, rows)
        kinds.add(kind)
        values[kind.column(f"seed{seed}")] = accuracies
    if len(kinds) > 1:
        raise UserError(
            f"{few(files.values())} are of different spaces; move those that do not belong to "
            f"{source} elsewhere"
        )
    # Without a given order the rows of several seeds would be sorted by their text.
    order = dict.fromkeys(text for accuracies in values.values() for text in accuracies)
    frame = pd.DataFrame(values, index=list(order), dtype=np.float64)
    frame.insert(0, kinds.pop().column("mean"), frame.mean(axis=1).round(NUM_DECIMALS))
    frame.index.name = "arch"
    notes = [f"columns {few(sorted(left_out), 9)}"] if left_out else []
    return Imported(sorted_table(frame, source), tuple(notes))


def seed_files(source: Path) -> dict[int, Path]:
    """The table and its further seeds, by seed."""
    name, dot, kind = source.name.partition(".")
    further = _FURTHER.fullmatch(name)
    if further is not None:
        return {int(further[2]): source}
    found = {_FIRST_SEED: source}
    for path in sorted(source.parent.glob(f"*{dot}{kind}")):
        match = _FURTHER.fullmatch(path.name.partition(".")[0])
        if match is not None and match[1] == name:
            found[int(match[2])] = path
    return found


def _read(path: Path, rows: Rows) -> tuple[_Kind, dict[str, float]]:
    """Whose architectures these are, and their accuracies in percent."""
    kinds, accuracies = set(), {}
    for line, cells in zip(rows.lines, rows.cells, strict=True):
        cell = dict(zip(rows.header, cells, strict=True))
        where = f"{path}, line {line}"
        kind, arch = _arch(where, cell["architecture"])
        kinds.add(kind)
        params, found = kind.space.params(arch), _number(where, "params", cell["params"])
        if params != found:
            raise UserError(
                f"{where}: {cell['params']} parameters, where this architecture has {params}; the "
                "table is altered, or of other networks"
            )
        accuracy = _number(where, "accuracy", cell["accuracy"])
        if not 0 <= accuracy <= 1:
            raise UserError(f"{where}: an accuracy is a share of 1, got {cell['accuracy']}")
        text = kind.space.to_string(arch)
        if text in accuracies:
            raise UserError(f"{where}: this architecture was there before; keep one row of each")
        accuracies[text] = round(100 * accuracy, NUM_DECIMALS)
    if len(kinds) > 1:
        raise UserError(f"{path} has architectures of several spaces; give each a table")
    return kinds.pop(), accuracies


def _arch(where: str, text: str) -> tuple[_Kind, Arch]:
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"an object of choices is wanted, got {text[:40]}")
        for kind in _KINDS:
            if kind.keys == values.keys():
                return kind, check_arch(kind.read(values), kind.space.num_choices)
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{where}: no architecture ({error}); download the table again, it may be cut short"
        ) from None
    examples = " or ".join(min(kind.keys) for kind in _KINDS)
    raise UserError(
        f"{where}: choices named like {examples} are wanted, got {few(values, 2)}: the architecture"
        " of another space"
    )


def _number(where: str, column: str, text: str) -> float:
    try:
        return read_number(text)
    except ValueError:
        raise UserError(f"{where}: {column} should be a number, got {text[:40]!r}") from None


def _edge_keys(cell: str) -> Iterator[str]:
    return (f"{cell}/{node}/{at}" for node in NODES for at in (0, 1))


def _read_darts(values: Mapping[str, Any]) -> Arch:
    fields: dict[str, object] = {}
    for cell in CELLS:
        fields[cell] = [(values[f"{k}/op"], values[f"{k}/input"]) for k in _edge_keys(cell)]
        fields[f"{cell}_concat"] = list(NODES)
    normal, reduction = cells_of(fields)
    return choices_of(normal) + choices_of(reduction)


def _layer_keys(space: Proxyless) -> list[str]:
    """Choices are numbered as ours are: kernels 3, 5, 7, each with expansion 3 and 6; skipping."""
    stages = enumerate(space.stages)
    return [f"stage{at}_cell{layer}" for at, (_, num, _) in stages for layer in range(num)]


def _read_proxyless(values: Mapping[str, Any]) -> Arch:
    return tuple(values[key] for key in _layer_keys(Proxyless()))


def _edge_fields() -> Iterator[str]:
    keys = (key for cell in CELLS for key in _edge_keys(cell))
    return (f"{key}/{part}" for key in keys for part in ("input", "op"))


_KINDS = (
    _Kind(DARTS(), "cifar10", 600, frozenset(_edge_fields()), _read_darts),
    _Kind(
        Proxyless(width=1.35),
        "imagenet",
        300,
        frozenset(_layer_keys(Proxyless())),
        _read_proxyless,
    ),
)
