"""DARTS's two cells, as choices and as the genotypes in which the field writes them.

A cell has two inputs, which are nodes 0 and 1, and four nodes 2 to 5 that add up two edges each;
what the four hold is its output. An edge is an operation on an earlier node, and the two edges of a
node come from two different ones. So that every combination of choices is a cell, a node's sites
are the *pair* of earlier nodes (node 2 has one pair, and no such site), then the operation on the
first node of the pair and the one on the second. An architecture is the eleven choices of the
normal cell followed by those of the reduction cell.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence

from kshot_core.space import Arch, compact

OPERATIONS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3",
    "dil_conv_5x5", "none",
)  # fmt: skip
"""DARTS's eight operations; ``none``, its zero operation, comes last."""
NONE = OPERATIONS.index("none")
NODES = range(2, 6)
PAIRS = {node: tuple(itertools.combinations(range(node), 2)) for node in NODES}
"""The pairs of earlier nodes that a node can take."""
EDGES = tuple((node, source) for node in NODES for source in range(node))
"""Every edge that a cell can have, as (node, earlier node)."""
CELLS = ("normal", "reduce")
NUM_SITES = sum(2 + (len(PAIRS[node]) > 1) for node in NODES)
"""Sites of a cell."""

Node = tuple[tuple[int, int], ...]
"""A node's edges as (earlier node, operation), in the order of the earlier nodes."""
Cell = tuple[Node, ...]
"""The edges of nodes 2 to 5."""

_WANTED = (
    "a DARTS architecture reads Genotype(normal=[('sep_conv_3x3',0),('skip_connect',1),...], "
    "normal_concat=[2,3,4,5],reduce=[...],reduce_concat=[2,3,4,5]) with two edges for each of four "
    "nodes"
)
_LONGEST = 4000
"""Characters of a text that is looked at; a genotype has about 400."""


def cell_of(choices: Sequence[int]) -> Cell:
    """The cell of eleven choices."""
    left = iter(choices)
    nodes = []
    for node in NODES:
        pair = PAIRS[node][next(left) if len(PAIRS[node]) > 1 else 0]
        nodes.append(tuple((source, next(left)) for source in pair))
    return tuple(nodes)


def choices_of(cell: Cell) -> Arch:
    """The eleven choices of a cell whose nodes have two edges each."""
    choices: list[int] = []
    for node, edges in zip(NODES, cell, strict=True):
        (first, operation), (second, other) = edges
        if len(PAIRS[node]) > 1:
            choices.append(PAIRS[node].index((first, second)))
        choices += [operation, other]
    return tuple(choices)


def has_none(cell: Cell) -> bool:
    """Whether an operation of the cell is ``none``."""
    return any(choice == NONE for node in cell for _, choice in node)


def live(cell: Cell, inputs: tuple[bool, bool] = (True, True)) -> Cell:
    """The edges that carry something of the cell's inputs: not ``none``, nor from a node of none.

    Args:
        cell: any.
        inputs: whether nodes 0 and 1 hold anything themselves.
    """
    holds = list(inputs)
    nodes: list[Node] = []
    for edges in cell:
        nodes.append(tuple((s, choice) for s, choice in edges if choice != NONE and holds[s]))
        holds.append(bool(nodes[-1]))
    return tuple(nodes)


def representative(cell: Cell) -> Cell:
    """The cell of all those with the same live edges that takes the earliest nodes for the rest."""
    nodes: list[Node] = []
    for node, edges in zip(NODES, live(cell), strict=True):
        sources = {source for source, _ in edges}
        pair = next(pair for pair in PAIRS[node] if sources <= set(pair))
        nodes.append(tuple((source, dict(edges).get(source, NONE)) for source in pair))
    return tuple(nodes)


def written(cells: Sequence[Cell]) -> str:
    """A normal and a reduction cell as a genotype: Python code, without spaces."""
    parts = []
    for name, cell in zip(CELLS, cells, strict=True):
        edges = ",".join(f"('{OPERATIONS[op]}',{source})" for node in cell for source, op in node)
        parts.append(f"{name}=[{edges}],{name}_concat=[2,3,4,5]")
    return f"Genotype({','.join(parts)})"


def read(text: str) -> tuple[Cell, Cell]:
    """The cells of a genotype as DARTS prints it; white space means nothing.

    Raises:
        ValueError: it is no genotype, or that of another space.
    """
    text = compact(text)
    try:
        call = ast.parse(text[:_LONGEST], mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not call.keywords:
            raise ValueError
        fields = {str(one.arg): _literal(one.value) for one in call.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise ValueError(f"{_WANTED}, got {text[:120]!r}") from None
    return cells_of(fields)


def cells_of(genotype: Mapping[str, object]) -> tuple[Cell, Cell]:
    """The cells of a genotype's four fields, edges as pairs of an operation and an earlier node.

    Raises:
        ValueError: the fields, operations or nodes are those of another space.
    """
    names = {name for cell in CELLS for name in (cell, f"{cell}_concat")}
    if set(genotype) != names:
        raise ValueError(f"{_WANTED}, got one with {', '.join(map(str, genotype)) or 'no fields'}")
    for name in CELLS:
        joined = genotype[f"{name}_concat"]
        if not isinstance(joined, Sequence) or sorted(map(str, joined)) != list(map(str, NODES)):
            raise ValueError(f"{_WANTED}, got {name}_concat={str(joined)[:60]}")
    normal, reduction = (_cell(name, genotype[name]) for name in CELLS)
    return normal, reduction


def _cell(name: str, edges: object) -> Cell:
    if not isinstance(edges, Sequence) or len(edges) != 2 * len(NODES):
        num = len(edges) if isinstance(edges, Sequence) else "none"
        raise ValueError(f"{_WANTED}, got a {name} cell of {num} edges")
    nodes: list[Node] = []
    for node, pair in zip(NODES, zip(edges[::2], edges[1::2], strict=True), strict=True):
        found = [_edge(name, node, edge) for edge in pair]
        if found[0][0] == found[1][0]:
            raise ValueError(
                f"the two edges of a node come from two nodes, got node {node} of the {name} cell "
                f"with both from {found[0][0]}"
            )
        nodes.append(tuple(sorted(found)))
    return tuple(nodes)


def _edge(name: str, node: int, edge: object) -> tuple[int, int]:
    if not isinstance(edge, Sequence) or isinstance(edge, str) or len(edge) != 2:
        raise ValueError(f"an edge is an operation and a node, got {str(edge)[:60]} ({name} cell)")
    operation, source = edge
    if operation not in OPERATIONS:
        raise ValueError(
            f"an operation is one of {', '.join(OPERATIONS)}, got {str(operation)[:60]!r} in the "
            f"{name} cell"
        )
    if type(source) is not int or not 0 <= source < node:
        raise ValueError(
            f"node {node} takes nodes 0..{node - 1}, got {str(source)[:60]} in the {name} cell"
        )
    return source, OPERATIONS.index(operation)


def _literal(node: ast.expr) -> object:
    """The value of a literal, or of a ``range``, as which Python 3 prints a concatenation."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        bounds = [ast.literal_eval(bound) for bound in node.args]
        if len(bounds) == 2 and all(type(bound) is int for bound in bounds):
            return list(range(bounds[0], bounds[1])[:_LONGEST])
    return ast.literal_eval(node)
