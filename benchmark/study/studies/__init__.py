"""The studies, each in a file of its own: written down before its runs."""

from __future__ import annotations

from benchmark.study.definition import Study
from benchmark.study.studies import (
    best,
    budget,
    codes,
    default,
    figure7,
    figure8,
    figure9,
    five_spaces,
    macro,
    protocol,
    recipe,
    table1,
    table2,
    table3,
    table4,
    table5,
    table6,
    table8,
    table9,
)

STUDIES: dict[str, Study] = {
    "table9": table9.STUDY,
    "table4": table4.STUDY,
    "default": default.STUDY,
    "codes": codes.STUDY,
    "recipe": recipe.STUDY,
    "protocol": protocol.STUDY,
    "budget": budget.STUDY,
    "macro": macro.STUDY,
    "five_spaces": five_spaces.STUDY,
    "best": best.STUDY,
    "table1": table1.STUDY,
    "table2": table2.STUDY,
    "table3": table3.STUDY,
    "table5": table5.STUDY,
    "table6": table6.STUDY,
    "table8": table8.STUDY,
    "figure7": figure7.STUDY,
    "figure8": figure8.STUDY,
    "figure9": figure9.STUDY,
}
