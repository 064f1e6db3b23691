"""Figure 8: the codes of searched architectures at K = 2, 3 and 4."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.cli.errors import UserError
from benchmark.records.load import load_codes
from benchmark.records.load_searches import SEARCH_AGAIN
from benchmark.study.definition import Picture, Row, Study, StudyData, Table, of_row
from benchmark.study.figures.codes import draw_codes
from benchmark.study.studies import _search_sizes as sizes
from benchmark.views.style import FigureUnavailableError, panels, set_title

_COPIES = (2, 3, 4)


def _codes(data: StudyData, row: Row) -> NDArray[np.float32] | None:
    """Codes (A, K) of what the row's first search scored; None where there is none.

    Raises:
        UserError: the file is damaged.
    """
    searches = of_row(data.searches, row)
    if searches.empty:
        return None
    search = searches.sort_values("seed").iloc[0]
    codes = load_codes(Path(search["path"]), SEARCH_AGAIN)
    if "num_scored" in search and len(codes) != search["num_scored"]:
        raise UserError(
            f"{search['path']}/codes.npy should have a row for each of {search['num_scored']} "
            f"architectures, got {len(codes)}; {SEARCH_AGAIN}"
        )
    return codes


def _table(data: StudyData) -> pd.DataFrame:
    rows = []
    for row in data.rows:
        codes = _codes(data, row)
        found = [math.nan] * 4
        if codes is not None:
            deviation = codes.std(axis=0).mean()
            top = np.bincount(codes.argmax(axis=1), minlength=codes.shape[1]).max() / len(codes)
            found = [float(codes.min()), float(codes.max()), float(deviation), float(top)]
        names = ("lowest", "highest", "deviation", "top_copy")
        cells: dict[str, object] = dict(zip(names, found, strict=True))
        num = str(len(of_row(data.searches, row)))
        rows.append({"codes": row.label, **cells, "n": num})
    return pd.DataFrame(rows)


def _figure(data: StudyData) -> Figure:
    found = [(row, codes) for row in data.rows if (codes := _codes(data, row)) is not None]
    if not found:
        raise FigureUnavailableError("no search of this study is finished yet")
    drawing, axes = panels(len(found))
    for panel, (row, codes) in zip(axes, found, strict=True):
        draw_codes(panel, codes)
        set_title(panel, row.label, f"{len(codes):,} archs of a search")
    return drawing


def _answer(data: StudyData) -> str:
    table = _table(data)
    said = [
        f"{row['codes']} {row['lowest']:.2f} to {row['highest']:.2f}, standard deviation "
        f"{row['deviation']:.3f}"
        for _, row in table.iterrows()
        if row["n"] != "0"
    ]
    return f"Coefficients of one search each: {'; '.join(said)}." if said else "Not searched yet."


STUDY = Study(
    name="figure8",
    title="Codes of searched architectures (paper figure 8)",
    question="Does the simplex-net give different architectures different codes?",
    kind="search",
    rows=tuple(Row(f"K{K}", f"K = {K}", {"K": K}) for K in _COPIES),
    sizes={"tiny": sizes.tiny(), "cpu": sizes.cpu(), "paper": sizes.paper()},
    answer=_answer,
    tables=(
        Table(
            "figure8",
            "Coefficients of the codes",
            _table,
            decimals=3,
            labels={
                "deviation": "sd over archs",
                "top_copy": "commonest top",
            },
            notes=(
                "Commonest top: share of archs whose largest coefficient is the same copy.",
                "Of the architectures that the first search of a row scored.",
                "The paper's codes spread from .1 to .65 at K = 3 (its figure 6).",
            ),
        ),
    ),
    figures=(Picture("figure8", "Coefficients of each copy; the dotted line is 1/K.", _figure),),
)
