"""Records as rows: JSON files of finished work, flattened, checked and not counted twice."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.config.values import flat
from benchmark.records.sealed import DamagedError, check_record, read_limited

SCHEMA = 2
"""Of what is written now. One of schema 1 has no checksum."""
DIVERGED = "diverged"
"""The status of a record without results, of a training that ended in NaN or an exploded loss."""
# A finished run is not run again, so that its record is never rewritten by itself.
AGAIN = "delete its folder and run again"
Kinds = type | tuple[type, ...]
Required = Mapping[str, Kinds]


def read_row(path: Path, required: Required, again: str = AGAIN) -> dict[str, Any]:
    """The record at ``path``, its keys joined by dots; lists are kept as JSON text.

    Args:
        path: a ``record.json``.
        required: what must be there, and of which type; numbers are finite.
        again: how to get another one, the end of the line that refuses it.

    Raises:
        UserError: it cannot be read, is of another version, or misses something.
    """
    row = dict(flatten(_of_today(read_record(path, again))))
    for name, kinds in required.items():
        if name not in row or not is_of(row[name], kinds):
            raise UserError(
                f"{path} should have {name} as {_names(kinds)}, "
                f"got {row.get(name, 'nothing')!r}; {again}"
            )
    return row


def read_record(path: Path, again: str = AGAIN) -> dict[str, Any]:
    """The record at ``path`` as it was written.

    Raises:
        UserError: it cannot be read, is of another version, or not as it was written.
    """
    try:
        text = read_limited(path).decode()
    except (OSError, UnicodeDecodeError, DamagedError) as error:
        raise UserError(f"cannot read the record {path}: {error}; {again}") from None
    record = parse(text, str(path), again)
    schema = record.get("schema")
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise UserError(
            f"{path} should have schema 1 to {SCHEMA}, got {schema!r}; "
            f"it was written by another version: read it with that one, or {again}"
        )
    try:
        return check_record(record)
    except DamagedError as error:
        raise UserError(f"{path} is damaged ({error}); {again}") from None


def has_diverged(path: Path, again: str = AGAIN) -> bool:
    """Whether the record at ``path`` is that of a training that diverged.

    Raises:
        UserError: see ``read_record``.
    """
    return read_record(path, again).get("status") == DIVERGED


def is_of(value: object, kinds: Kinds) -> bool:
    """Whether a JSON value is of a type; only a finite number is one, and no bool is."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, kinds) and not isinstance(value, bool)


def as_table(rows: Sequence[Mapping[str, Any]], folder: Path) -> pd.DataFrame:
    """A table of records found under ``folder``.

    Raises:
        UserError: two of them are of the same config.
    """
    table = pd.DataFrame(rows)
    configs = table[[name for name in table.columns if name.startswith("config.")]]
    copies = np.flatnonzero(configs.astype(str).duplicated(keep=False))
    if copies.size:
        same = configs.astype(str).eq(configs.astype(str).iloc[copies[0]]).all(axis=1)
        first, second = table.loc[same, "path"].iloc[:2]
        raise UserError(
            f"two records have the same config and seed and would be counted twice: {first} and "
            f"{second}; move one of them out of {folder}"
        )
    return table


def parse(text: str, place: str, again: str = AGAIN) -> dict[str, Any]:
    """The JSON object in ``text``.

    Args:
        text: JSON.
        place: where it stands.
        again: how to get another one.

    Raises:
        UserError: it is none, and ``place`` says where.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    # Brackets without end are deeper than Python goes.
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is not valid JSON ({error}); {again}") from None
    if not isinstance(value, dict):
        raise UserError(f"{place} should be a JSON object, got {type(value).__name__}; {again}")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def _of_today(record: dict[str, Any]) -> dict[str, Any]:
    """A record with its settings, and those of the search it names, by name alone."""
    found = dict(record)
    if isinstance(found.get("config"), dict):
        found["config"] = flat(found["config"])
    if isinstance(found.get("search"), dict):
        found["search"] = _of_today(found["search"])
    return found


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested objects by their keys, joined by dots; lists as JSON text."""
    for key, item in value.items():
        if isinstance(item, dict):
            yield from flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(item) if isinstance(item, list) else item


def _names(kinds: Kinds) -> str:
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    words = {str: "text", int: "a whole number", float: "a number", type(None): "null"}
    return " or ".join(dict.fromkeys(words[kind] for kind in kinds))
