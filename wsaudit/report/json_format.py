"""The JSON report, schema `wsaudit.report/1`: the contract that other programs read.

One connection, finding and incident per line: `grep` and `diff` work on it, and 50,000 connections need no tree in memory. Pure
ASCII, so that lone surrogates and direction marks from traffic reach nobody's terminal unescaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any, TextIO

import orjson

from wsaudit.report.redact import ReportLike

SCHEMA = "wsaudit.report/1"
BATCH = 256
"""Records written at once: few enough to stay small, enough that the stream's own cost does not count."""

# Records are fresh and no cycles: looking for some took a tenth of the time.
escape = json.JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode


def encode(record: Any) -> str:
    """A record as one line. orjson takes a tenth of the time, and leaves what is not ASCII as it is, or does not take it: lone
    surrogates, numbers of more than 64 bits. Such lines the standard library writes."""
    try:
        line = orjson.dumps(record)
    except TypeError:
        return escape(record)
    return line.decode("ascii") if line.isascii() else escape(record)


def write_json(report: ReportLike, stream: TextIO) -> None:
    """Writes the report to a text stream. Same report, same characters."""
    from wsaudit import __version__

    stream.write(f'{{"schema":{encode(SCHEMA)},\n"tool":{encode({"name": "wsaudit", "version": __version__})},\n')
    write_list(stream, "inputs", report.inputs)
    stream.write(f',\n"summary":{encode(report.summary)},\n')
    write_list(stream, "connections", report.iter_connections())
    for name, records in (("findings", report.iter_findings()), ("incidents", report.incidents), ("notices", report.notices)):
        stream.write(",\n")
        write_list(stream, name, records)
    stream.write("\n}\n")


def write_list(stream: TextIO, name: str, records: Iterable[dict[str, Any]]) -> None:
    """One key with a list, a line per record."""
    lines = (f",\n{encode(record)}" for record in records)
    first = next(lines, ",\n")[2:]
    stream.write(f'"{name}":[' + (f"\n{first}" if first else ""))
    while batch := "".join(islice(lines, BATCH)):
        stream.write(batch)
    stream.write("]")
