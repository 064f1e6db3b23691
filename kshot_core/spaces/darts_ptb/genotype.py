"""Recurrent cells as text: the space's own, and the genotypes that DARTS prints and reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from kshot_core.space import Arch, compact

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
"""By choice; DARTS's primitives without ``none``, which no cell that it found has."""
NUM_STEPS = 8

Step = tuple[str, int]
"""A step's activation, and the state it reads: 0 the cell's initial one, i that of step i."""

NUM_CHOICES = (4, *(n for step in range(2, NUM_STEPS + 1) for n in (len(ACTIVATIONS), step)))
"""Of a step its activation, then the state it reads; the first step reads the only one there is."""

_STEP = re.compile(r"([a-z]+)~(\d+)", re.ASCII)


def steps_of(arch: Arch) -> list[Step]:
    """The steps that an architecture chooses."""
    activations, sources = (arch[0], *arch[1::2]), (0, *arch[2::2])
    return [(ACTIVATIONS[one], source) for one, source in zip(activations, sources, strict=True)]


def arch_of(steps: Sequence[Step]) -> Arch:
    """The architecture of these steps; reverses ``steps_of``."""
    choices = [choice for name, source in steps for choice in (ACTIVATIONS.index(name), source)]
    return (choices[0], *choices[2:])


def written(steps: Sequence[Step]) -> str:
    """The space's text of a cell, a step between bars: ``|tanh~0|relu~1|...|``."""
    return "".join(f"|{name}~{source}" for name, source in steps) + "|"


def genotype(steps: Sequence[Step]) -> str:
    """DARTS's text of a cell, as in its ``genotypes.py``."""
    return f"Genotype(recurrent={list(steps)!r}, concat=range(1, {len(steps) + 1}))"


def read(text: str) -> list[Step]:
    """The steps of a cell, from the space's text or DARTS's.

    Raises:
        ValueError: neither; an activation or a source that is not the space's; a mean over other
            states than those of all steps.
    """
    plain = compact(text)
    steps = _read_genotype(plain) if plain.startswith("Genotype(") else _read_bars(plain)
    if len(steps) != NUM_STEPS:
        raise ValueError(f"a cell here has {NUM_STEPS} steps, got {len(steps)} in {text[:60]!r}")
    for number, (name, source) in enumerate(steps, start=1):
        if name not in ACTIVATIONS:
            raise ValueError(
                f"step {number} is one of {', '.join(ACTIVATIONS)}, got {str(name)[:40]!r}"
            )
        if not 0 <= source < number:
            raise ValueError(f"step {number} reads one of the states 0..{number - 1}, got {source}")
    return steps


def _read_bars(text: str) -> list[Step]:
    parts = text.split("|")
    matches = [_STEP.fullmatch(part) for part in parts[1:-1]]
    if len(parts) < 3 or parts[0] or parts[-1] or not all(matches):
        raise ValueError(
            "a recurrent cell reads |tanh~0|relu~1|...| or Genotype(recurrent=[('tanh', 0), ...], "
            f"concat=range(1, {NUM_STEPS + 1})), got {text[:60]!r}"
        )
    return [(match[1], int(match[2])) for match in matches if match]


def _read_genotype(text: str) -> list[Step]:
    """Read as a Python expression, of which nothing is run."""
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f"this genotype is no Python expression: {text[:60]!r}") from None
    parts = {one.arg: one.value for one in call.keywords} if isinstance(call, ast.Call) else {}
    if "normal" in parts:
        raise ValueError(
            "this genotype is of convolutional cells (normal, reduce); one of a recurrent cell "
            f"has recurrent=[...], got {text[:60]!r}"
        )
    if set(parts) != {"recurrent", "concat"}:
        raise ValueError(
            "a recurrent genotype reads Genotype(recurrent=[('tanh', 0), ...], "
            f"concat=range(1, {NUM_STEPS + 1})), got {text[:60]!r}"
        )
    try:
        steps = [_step(one) for one in ast.literal_eval(parts["recurrent"])]
        concat = _numbers(parts["concat"])
    except (ValueError, TypeError, SyntaxError):
        raise ValueError(
            "a genotype's recurrent is a list of pairs like ('tanh', 0), and its concat a range "
            f"or list of states, got {text[:80]!r}"
        ) from None
    if concat != list(range(1, NUM_STEPS + 1)):
        raise ValueError(
            f"the output here is the mean of the states 1..{NUM_STEPS}, got concat={concat}"
        )
    return steps


def _step(pair: Any) -> Step:
    match pair:
        case (str(name), int(source)) if type(source) is int:
            return name, source
    raise TypeError(f"no pair of a name and a number: {pair!r}")


def _numbers(node: ast.expr) -> list[int]:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "range" and not node.keywords:
        bounds = [int(ast.literal_eval(one)) for one in node.args]
        if not 1 <= len(bounds) <= 2 or max(map(abs, bounds)) > 100:
            raise ValueError
        return list(range(*bounds))
    return [int(one) for one in ast.literal_eval(node)]
