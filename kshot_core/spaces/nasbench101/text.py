"""Cells of NAS-Bench-101 as text: the space's own, and the matrices that the benchmark has.

The space's text names each inner vertex's operation and the vertices it reads, then those that the
output reads: ``conv3x3~0|maxpool3x3~0+1|output~1+2``. The benchmark's is a dictionary of an
adjacency matrix (``module_adjacency`` or ``matrix``) and operations (``module_operations`` or
``ops``), as its query returns one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from kshot_core.space import compact
from kshot_core.spaces.nasbench101.cell import MAX_EDGES, MAX_VERTICES, OPERATIONS, Cell, live

_VERTEX = re.compile(r"([^~|]*)~(\d*(?:\+\d+)*)", re.ASCII)
_PUBLISHED = {
    "conv3x3-bn-relu": "conv3x3",
    "conv1x1-bn-relu": "conv1x1",
    "maxpool3x3": "maxpool3x3",
}
_EXAMPLE = "conv3x3~0|maxpool3x3~0+1|output~1+2"


def written(cell: Cell) -> str:
    """The space's text of a cell."""
    names = [OPERATIONS[operation] for operation in cell.operations] + ["output"]
    return "|".join(
        f"{name}~{'+'.join(map(str, sources))}"
        for name, sources in zip(names, cell.sources, strict=True)
    )


def read(text: str) -> Cell:
    """A cell, from the space's text or the benchmark's.

    Raises:
        ValueError: neither, a graph with a cycle or with too many vertices or edges, an operation
            that there is not, or no path from input to output.
    """
    plain = compact(text)
    cell = _read_dictionary(plain) if plain.startswith("{") else _read_vertices(plain)
    return checked(cell)


def checked(cell: Cell) -> Cell:
    """The cell. Raises ``ValueError`` where it is none of the benchmark's."""
    if cell.output + 1 > MAX_VERTICES:
        raise ValueError(f"a cell has at most {MAX_VERTICES} vertices, got {cell.output + 1}")
    if cell.num_edges > MAX_EDGES:
        raise ValueError(f"a cell has at most {MAX_EDGES} edges, got {cell.num_edges}")
    if live(cell) is None:
        raise ValueError(f"no path leads from the input to the output of {written(cell)}")
    return cell


def from_matrix(matrix: Sequence[Sequence[int]], operations: Sequence[str]) -> Cell:
    """The cell of an adjacency matrix and its vertices' operations, ``input`` and ``output`` too.

    Raises:
        ValueError: they are not as the benchmark has them; see ``read``.
    """
    num = len(matrix)
    if num < 2 or any(len(row) != num for row in matrix) or len(operations) != num:
        raise ValueError(
            "a matrix has as many rows, columns and operations as the cell has vertices, got "
            f"{num} rows of {sorted({len(row) for row in matrix})} and {len(operations)} operations"
        )
    if any(entry not in (0, 1) for row in matrix for entry in row):
        raise ValueError("a matrix has an entry 1 for an edge and 0 for none, got another")
    if operations[0] != "input" or operations[-1] != "output":
        raise ValueError(
            "the first vertex is input and the last output, "
            f"got {operations[0]!r} and {operations[-1]!r}"
        )
    names = [_PUBLISHED.get(name, name) for name in operations[1:-1]]
    edges = [(s, t) for s, row in enumerate(matrix) for t, entry in enumerate(row) if entry]
    _refuse_backward(edges, num)
    sources = tuple(tuple(s for s, t in edges if t == vertex) for vertex in range(1, num))
    return checked(Cell(_numbered(names), sources))


def _numbered(names: Sequence[str]) -> tuple[int, ...]:
    for name in names:
        if name not in OPERATIONS:
            raise ValueError(f"an operation is one of {', '.join(OPERATIONS)}, got {name[:40]!r}")
    return tuple(map(OPERATIONS.index, names))


def _refuse_backward(edges: Sequence[tuple[int, int]], num: int) -> None:
    """Raise ``ValueError`` for edges that lead to no later vertex."""
    backward = [(source, target) for source, target in edges if source >= target]
    if not backward:
        return
    left = set(range(num))
    inside = list(edges)
    # What nothing leads to, or what leads nowhere, lies on no cycle.
    while free := left - ({s for s, _ in inside} & {t for _, t in inside}):
        left -= free
        inside = [(s, t) for s, t in inside if s in left and t in left]
    if left:
        raise ValueError(f"the graph has a cycle through the vertices {sorted(left)}")
    raise ValueError(
        f"vertices stand in an order in which every edge leads onwards, got {backward[0]}"
    )


def _read_vertices(text: str) -> Cell:
    matches = [_VERTEX.fullmatch(part) for part in text.split("|")]
    if not all(matches) or not text.rpartition("|")[2].startswith("output~"):
        raise ValueError(f"a NAS-Bench-101 cell reads {_EXAMPLE}, got {text[:60]!r}")
    parts = [(match[1], match[2]) for match in matches if match]
    num = len(parts) + 1
    if num > MAX_VERTICES:
        raise ValueError(f"a cell has at most {MAX_VERTICES} vertices, got {num}")
    sources = [sorted({int(one) for one in listed.split("+") if one}) for _, listed in parts]
    edges = [(source, target) for target, row in enumerate(sources, start=1) for source in row]
    operations = _numbered([name for name, _ in parts[:-1]])
    for source, _ in edges:
        if source >= num - 1:
            raise ValueError(f"vertices that can be read are 0..{num - 2} here, got {source}")
    _refuse_backward(edges, num)
    return Cell(operations, tuple(map(tuple, sources)))


def _read_dictionary(text: str) -> Cell:
    """Read as a Python literal, of which nothing is run."""
    try:
        given = ast.literal_eval(text)
        matrix = given.get("module_adjacency", given.get("matrix"))
        operations = given.get("module_operations", given.get("ops"))
        rows = [[int(entry) for entry in row] for row in matrix]
        names = [str(name) for name in operations]
    except (SyntaxError, ValueError, TypeError, AttributeError, MemoryError, RecursionError):
        raise ValueError(
            "a cell in the benchmark's words is {'module_adjacency': [[0, 1], [0, 0]], "
            f"'module_operations': ['input', 'output']}}, got {text[:60]!r}"
        ) from None
    return from_matrix(rows, names)
