"""Pictures that come out alike everywhere, and the same bytes again from the same figure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmark.records.files import write_atomically

# Fonts and sizes do not depend on a user's matplotlibrc; text in PDFs stays text.
_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "hatch.linewidth": 0.8,
    "pdf.fonttype": 42,
    "savefig.dpi": 150.0,
}


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with this project's fonts and sizes, and leave matplotlib's settings as they were."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure atomically, in the format that ``path`` ends with.

    Raises:
        UserError: the folder cannot be written to.
    """
    with own_style():
        write_atomically(path, partial(_save, figure))


def _save(figure: Figure, path: Path) -> None:
    """Save without the date and versions that would make equal figures differ."""
    kind = path.suffix.removeprefix(".")
    metadata = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None}
    figure.savefig(path, format=kind, metadata=metadata)
