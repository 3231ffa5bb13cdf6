"""The whole audit.

Invariant: any bytes give a report that can be written as JSON and as text, or an InputError; nothing else is raised, no
connection is lost to an internal error, and it takes less than a second.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

from fuzz import corpus
from fuzz.mutation import mutate_capture as mutate
from wsaudit.engine import run
from wsaudit.errors import InputError
from wsaudit.options import Options
from wsaudit.report.json_format import write_json
from wsaudit.report.records import Records
from wsaudit.report.redact import redacted
from wsaudit.report.text import render_text

OPTIONS = Options()

__all__ = ["mutate", "one_input", "seeds"]


def one_input(data: bytes) -> str:
    """Gives the JSON, for comparisons."""
    try:
        found = run([data], OPTIONS)
    except InputError as error:
        return str(error)
    records = Records(found, OPTIONS)
    report = redacted(records)
    stream = io.StringIO()
    write_json(report, stream)
    text = stream.getvalue()
    assert text.isascii()
    document = json.loads(text)
    assert len(document["connections"]) == len(records.rows) >= len(found.connections)
    starts = {(row.first_packet, row.client, row.server) for row in records.rows}
    packets = set(records.starts)
    assert len(starts) == len(packets), "two TCP connections with one first packet: findings could not tell them apart"
    assert not any("internal error" in notice["text"] for notice in document["notices"]), document["notices"]
    page = render_text(report)
    assert "\x1b" not in page
    return text


def seeds(folders: tuple[Path, ...]) -> list[bytes]:
    return corpus.capture_files(folders)
