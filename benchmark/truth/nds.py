"""NDS's records of DARTS-like cells as published (Radosavovic et al., ICCV 2019).

``DARTS.json``, ``DARTS_fix-w-d.json`` and their like, linked at
https://github.com/facebookresearch/nds: a list of records, or an object of lists named ``top`` and
``mid``. Of a record are read ``net`` (``genotype``, ``width``, ``depth``, ``aux``, ``drop_prob``),
``optim``, ``rng_seed``, and ``test_ep_top1``, the test error in percent after every epoch.

A truth says what architectures reach that are trained alike. Most of these files hold networks of
many widths, depths or learning rates: the records of the commonest are taken, and how many others
there are is told. Names of files that end in ``_in`` are of ImageNet, others of CIFAR-10.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.errors import UserError
from benchmark.cli.text import decode
from benchmark.truth.format import TruthColumn
from benchmark.truth.imported import NUM_DECIMALS, Imported, sorted_table
from kshot_core.spaces import DARTS
from kshot_core.spaces.darts.genotype import cells_of, choices_of

_NET = ("width", "depth", "aux", "drop_prob")


def import_nds(source: Path) -> Imported:
    """Read the records whose genotype is of the space ``darts``.

    ``mean`` is over the records of an architecture; seeds have columns of their own where an
    architecture has several.

    Raises:
        UserError: no JSON, cut short, not of this form, or without a single such record.
    """
    space = DARTS()
    errors: dict[str, dict[tuple[str, int], list[float]]] = {}
    epochs: dict[str, int] = {}
    foreign: Counter[str] = Counter()
    records = _records(source)
    for number, record in enumerate(records, start=1):
        where = f"{source}, record {number}"
        genotype = _of(where, record, "net", dict).get("genotype")
        if not isinstance(genotype, Mapping):
            raise UserError(
                f"{where} has no genotype; DARTS.json and its like hold cells, ResNet.json and its "
                "like hold none"
            )
        error = _last_error(where, record)
        if not math.isfinite(error):
            foreign["they end with no error, having diverged"] += 1
            continue
        try:
            normal, reduction = cells_of(genotype)
        except ValueError as reason:
            foreign[str(reason)] += 1
            continue
        text = space.to_string(choices_of(normal) + choices_of(reduction))
        recipe = _recipe(where, record)
        seed = int(_of(where, record, "rng_seed", int))
        epochs[recipe] = len(record["test_ep_top1"])
        errors.setdefault(recipe, defaultdict(list))[text, seed].append(error)
    if not errors:
        raise UserError(
            f"none of the {len(records)} records of {source} is of the space darts: "
            f"{foreign.most_common(1)[0][0] if foreign else 'there are no records'}"
        )
    sizes = {recipe: sum(map(len, found.values())) for recipe, found in errors.items()}
    recipe = max(sizes, key=sizes.__getitem__)
    trained_on = "imagenet" if source.name.partition(".")[0].endswith("_in") else "cifar10"
    table = sorted_table(_frame(errors[recipe], trained_on, epochs[recipe]), source)
    return Imported(table, tuple(_left_out(foreign, sizes, recipe)))


def _left_out(foreign: Mapping[str, int], sizes: Mapping[str, int], recipe: str) -> list[str]:
    notes = []
    if foreign:
        reason = max(foreign, key=foreign.__getitem__)
        notes.append(f"{sum(foreign.values())} records, {foreign[reason]} of them because {reason}")
    if len(sizes) > 1:
        others = sum(sizes.values()) - sizes[recipe]
        notes.append(
            f"{others} records trained otherwise than the commonest {sizes[recipe]} ({recipe})"
        )
    return notes


def _frame(
    errors: Mapping[tuple[str, int], list[float]], trained_on: str, epochs: int
) -> pd.DataFrame:
    """Accuracies by architecture; a column a seed where an architecture has several."""
    by_arch: dict[str, dict[int, list[float]]] = defaultdict(dict)
    for (text, seed), found in errors.items():
        by_arch[text][seed] = found
    seeds = sorted({seed for found in by_arch.values() for seed in found if len(found) > 1})
    runs = ["mean", *(f"seed{seed}" for seed in seeds)]
    rows = [
        [
            100 - float(np.mean([error for some in found.values() for error in some])),
            *(100 - float(np.mean(found.get(seed, [np.nan]))) for seed in seeds),
        ]
        for found in by_arch.values()
    ]
    return pd.DataFrame(
        np.round(np.array(rows), NUM_DECIMALS),
        index=pd.Index(list(by_arch), name="arch"),
        columns=[str(TruthColumn(trained_on, "test", epochs, run)) for run in runs],
    )


def _records(source: Path) -> list[Mapping[str, Any]]:
    wanted = "a JSON list of records as NDS publishes it"
    try:
        content = json.loads(decode(source.read_bytes()))
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror or error}; give {wanted}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{source} is no JSON ({error}): it is cut short or altered; download it again"
        ) from None
    if isinstance(content, dict):
        top, mid = content.get("top"), content.get("mid")
        content = top + mid if isinstance(top, list) and isinstance(mid, list) else None
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise UserError(f"{source} is not {wanted}: a list of objects, or its parts top and mid")
    return content


def _of(where: str, record: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = record.get(name)
    if not isinstance(value, kind):
        raise UserError(
            f"{where}: {name} should be of type {kind.__name__}, got {str(value)[:40]!r}; the file "
            "is not as NDS publishes it"
        )
    return value


def _last_error(where: str, record: Mapping[str, Any]) -> float:
    curve = _of(where, record, "test_ep_top1", list)
    last = curve[-1] if curve else None
    if isinstance(last, bool) or not isinstance(last, int | float) or last < 0 or last > 100:
        raise UserError(
            f"{where}: test_ep_top1 should end with an error in percent, got {str(last)[:40]!r}"
        )
    return float(last)


def _recipe(where: str, record: Mapping[str, Any]) -> str:
    """How the network was trained, as text: equal for networks that can be compared."""
    net, optim = record["net"], _of(where, record, "optim", dict)
    parts = [f"{name} {net.get(name)}" for name in _NET]
    parts += [f"{name} {value}" for name, value in sorted(optim.items())]
    return ", ".join([*parts, f"{len(record['test_ep_top1'])} epochs"])
