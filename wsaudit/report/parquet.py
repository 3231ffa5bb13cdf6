"""The report as a folder of Parquet files, one per table: typed, with UTC timestamps of nanoseconds, for DuckDB, pandas, Polars
and Spark.

Needs pyarrow (`pip install "wsaudit[parquet]"`). Rows are written in groups, so memory does not grow with the report.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from wsaudit.errors import UsageError
from wsaudit.report.redact import ReportLike
from wsaudit.report.tables import TABLES, Table, typed

GROUP = 10_000
"""Rows per row group."""


def write_parquet(report: ReportLike, folder: Path) -> list[Path]:
    """Writes `folder`/<table>.parquet for each table, making the folder when there is none. Returns the files' paths.

    Raises UsageError without pyarrow, OSError when a file cannot be written.
    """
    try:
        from pyarrow import parquet
    except ImportError:
        raise UsageError('Parquet needs pyarrow: pip install "wsaudit[parquet]"') from None
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in TABLES:
        path = folder / f"{table.name}.parquet"
        with parquet.ParquetWriter(path, schema_of(table), compression="zstd") as writer:
            rows = table.rows(report)
            while group := list(islice(rows, GROUP)):
                writer.write_table(arrow_table(table, group))
        paths.append(path)
    return paths


def schema_of(table: Table) -> Any:
    """The Arrow schema of a table, each field's unit or meaning in its metadata."""
    import pyarrow as pa

    types = {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "text": pa.string(),
        "time": pa.timestamp("ns", tz="UTC"),
        "texts": pa.list_(pa.string()),
    }
    return pa.schema(
        [pa.field(one.name, types[one.kind], metadata={"about": one.about} if one.about else None) for one in table.columns]
    )


def arrow_table(table: Table, rows: list[list[Any]]) -> Any:
    """Rows as an Arrow table."""
    import pyarrow as pa

    schema = schema_of(table)
    arrays = []
    for number, column in enumerate(table.columns):
        values = [typed(row[number], column.kind) for row in rows]
        arrays.append(pa.array(values, type=schema.field(number).type))
    return pa.Table.from_arrays(arrays, schema=schema)
