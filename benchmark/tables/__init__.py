"""The paper's tables, each in a file of its own, rebuilt from records."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.tables import table4, table7, table9
from benchmark.tables._render import Table, as_text, to_csv, to_latex, to_markdown

__all__ = ["TABLES", "Table", "as_text", "to_csv", "to_latex", "to_markdown"]

TABLES: Mapping[str, Table] = {
    "table9": table9.TABLE,
    "table4": table4.TABLE,
    "table7": table7.TABLE,
}
