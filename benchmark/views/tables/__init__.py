"""The paper's tables, each in a file of its own, rebuilt from records."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.views.tables import (
    table1,
    table2,
    table3,
    table4,
    table5,
    table6,
    table7,
    table8,
    table9,
)
from benchmark.views.tables._render import Table, as_text, to_csv, to_latex, to_markdown

__all__ = ["TABLES", "Table", "as_text", "to_csv", "to_latex", "to_markdown"]

TABLES: Mapping[str, Table] = {
    "table9": table9.TABLE,
    "table4": table4.TABLE,
    "table7": table7.TABLE,
    "table1": table1.TABLE,
    "table2": table2.TABLE,
    "table3": table3.TABLE,
    "table5": table5.TABLE,
    "table6": table6.TABLE,
    "table8": table8.TABLE,
}
