"""Cells of NAS-Bench-101 as graphs: live parts, channels, and which of them are the same cell.

Vertex 0 is the input, the last one the output, and each between them has an operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")
CONV3X3, CONV1X1, MAXPOOL = range(3)
MAX_VERTICES = 7
MAX_INNER = MAX_VERTICES - 2
MAX_EDGES = 9


@dataclass(frozen=True)
class Cell:
    """A directed graph without cycles.

    Args:
        operations: of the vertices between input and output, an index of ``OPERATIONS`` each.
        sources: of each of them, then of the output: the earlier vertices it reads, ascending.
    """

    operations: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...]

    @property
    def num_edges(self) -> int:
        """Edges, those to dead vertices too."""
        return sum(map(len, self.sources))

    @property
    def output(self) -> int:
        """The number of the output vertex."""
        return len(self.operations) + 1


def on_path(cell: Cell) -> set[int]:
    """The vertices that lie on a path from input to output."""
    reached = {0}
    for vertex, sources in enumerate(cell.sources, start=1):
        if reached & set(sources):
            reached.add(vertex)
    used = {cell.output}
    for vertex in range(cell.output, 0, -1):
        if vertex in used:
            used.update(cell.sources[vertex - 1])
    return reached & used


@lru_cache(maxsize=1 << 16)
def live(cell: Cell) -> Cell | None:
    """The cell without the vertices that lie on no path from input to output; None without one."""
    kept = sorted(on_path(cell))
    if cell.output not in kept:
        return None
    number = {vertex: place for place, vertex in enumerate(kept)}
    return Cell(
        tuple(cell.operations[vertex - 1] for vertex in kept[1:-1]),
        tuple(
            tuple(number[source] for source in cell.sources[vertex - 1] if source in number)
            for vertex in kept[1:]
        ),
    )


@lru_cache(maxsize=1 << 16)
def canonical(cell: Cell) -> Cell:
    """The same for all cells whose live parts are isomorphic, and one of them.

    Of all orders of the vertices in which every edge leads onwards it is that with the smallest
    sources, then operations: at most 5! of them.

    Raises:
        ValueError: no path leads from input to output.
    """
    known = live(cell)
    if known is None:
        raise ValueError("no path leads from the input to the output")
    orders = permutations(range(1, known.output))
    return min(filter(None, (_reordered(known, order) for order in orders)), key=_sort_key)


def _sort_key(cell: Cell) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    return cell.sources, cell.operations


def _reordered(cell: Cell, order: tuple[int, ...]) -> Cell | None:
    """The cell with its inner vertices in another order; None where an edge would lead back."""
    number = {0: 0} | {vertex: place for place, vertex in enumerate(order, start=1)}
    sources = []
    for place, vertex in enumerate((*order, cell.output), start=1):
        renumbered = tuple(sorted(number[source] for source in cell.sources[vertex - 1]))
        if renumbered[-1] >= place:
            return None
        sources.append(renumbered)
    operations = tuple(cell.operations[vertex - 1] for vertex in order)
    return Cell(operations, tuple(sources))


def channels(cell: Cell, outputs: int) -> tuple[int, ...]:
    """Channels of the inner vertices of a live cell whose output has ``outputs``.

    Vertices that the output reads are laid side by side in it and share its channels, the first
    ones taking one more where they do not divide. Any other has as many as the widest vertex that
    reads it, which adds up what it reads.
    """
    joined = [vertex for vertex in cell.sources[-1] if vertex > 0]
    widths = dict.fromkeys(range(1, cell.output), 0)
    for place, vertex in enumerate(joined):
        each, rest = divmod(outputs, len(joined))
        widths[vertex] = each + (place < rest)
    for vertex in range(cell.output - 1, 0, -1):
        if vertex not in joined:
            readers = range(vertex + 1, cell.output)
            widths[vertex] = max(
                widths[reader] for reader in readers if vertex in cell.sources[reader - 1]
            )
    return tuple(widths.values())
