"""The JSON report, schema `wsaudit.report/1`: the contract that other programs read.

One connection, finding and incident per line: `grep` and `diff` work on it, and 50,000 connections need no tree in memory. Pure
ASCII, so that lone surrogates and direction marks from traffic reach nobody's terminal unescaped.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from itertools import islice
from json.encoder import encode_basestring_ascii
from typing import Any, TextIO

import orjson

from wsaudit.report.redact import ReportLike

SCHEMA = "wsaudit.report/1"
BATCH = 256
"""Records written at once: few enough to stay small, enough that the stream's own cost does not count."""

SECTION, ESCAPED_SECTION = "§".encode(), b"\\u00a7"

# Records are fresh and no cycles: looking for some took a tenth of the time.
escape = json.JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode


def escaped(error: UnicodeError) -> tuple[str, int]:
    """Characters that are not ASCII, as JSON writes them then: an error handler for encoding."""
    assert isinstance(error, UnicodeEncodeError)
    return encode_basestring_ascii(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error("wsaudit.json", escaped)


def encode(record: Any) -> str:
    """A record as one line. orjson takes a tenth of the time, but leaves what is not ASCII as it is; and it does not take lone
    surrogates and numbers of more than 64 bits. Such lines the standard library writes."""
    try:
        line = orjson.dumps(record)
    except TypeError:
        return escape(record)
    if 0x7F in line:  # the one control character that orjson does not escape
        line = line.replace(b"\x7f", b"\\u007f")
    if not line.isascii():
        line = line.replace(SECTION, ESCAPED_SECTION)  # every finding has one, and most have nothing else
    if not line.isascii():
        line = line.decode().encode("ascii", "wsaudit.json")
    return line.decode("ascii")


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
