"""The report as a folder of CSV files, one per table: for spreadsheets and everything that reads RFC 4180.

UTF-8, a header line, empty for unknown, lists joined by "; ". A text that a spreadsheet could take for a formula gets a leading
apostrophe (`printable.csv`); numbers stay numbers, the negative ones too.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from wsaudit.report import printable
from wsaudit.report.redact import ReportLike
from wsaudit.report.tables import TABLES


def write_csv(report: ReportLike, folder: Path) -> list[Path]:
    """Writes `folder`/<table>.csv for each table, making the folder when there is none. Returns the files' paths. Raises
    OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in TABLES:
        path = folder / f"{table.name}.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(column.name for column in table.columns)
            writer.writerows(map(cell, row) for row in table.rows(report))
        paths.append(path)
    return paths


def cell(value: Any) -> str | int | float:
    """One value as CSV holds it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return value
    return printable.csv("; ".join(map(str, value)) if isinstance(value, list) else str(value))
