"""The report as flat tables: which columns, of which type and unit, and where in the JSON contract each value comes from.

CSV and Parquet are written from these definitions, and the documentation's table of columns is printed from them, so the three
cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsaudit.report import story
from wsaudit.report.printable import printable
from wsaudit.report.redact import ReportLike

if TYPE_CHECKING:
    import pandas

Record = dict[str, Any]
Kind = str
"""One of "int", "float", "bool", "text", "word" (one of few), "time" (RFC 3339 UTC text with nanoseconds), "texts" (a list)."""


@dataclass(frozen=True)
class Column:
    """A column: `path` leads to its value in the JSON contract, `about` says unit or meaning."""

    name: str
    kind: Kind
    path: tuple[str, ...]
    about: str

    def value(self, record: Record) -> Any:
        """The column's value in one record; None where any step of the path is missing."""
        found: Any = record
        for key in self.path:
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found


@dataclass(frozen=True)
class Table:
    """A table: its columns and where its records come from."""

    name: str
    columns: tuple[Column, ...]
    records: Callable[[ReportLike], Iterable[Record]]

    def rows(self, report: ReportLike) -> Iterator[list[Any]]:
        """The rows, one value per column, in the order of the report."""
        for record in self.records(report):
            yield [column.value(record) for column in self.columns]


def column(name: str, kind: Kind, about: str = "", path: str = "") -> Column:
    """A column whose path is written with dots; without one it is the column's name."""
    return Column(name, kind, tuple((path or name).split(".")), about)


def per_side(name: str, kind: Kind, about: str, path: str) -> Iterator[Column]:
    """The same column for client and server: `{}` in name, meaning and path stands for the side."""
    for side in ("client", "server"):
        yield column(name.format(side), kind, about.format(side), path.format(side))


CONNECTIONS = Table(
    "connections",
    (
        column("id", "int", "1, 2, ... in order of the first packet"),
        column("websocket", "text", "confirmed or probable"),
        *per_side("{}_address", "text", "IP address of the {}", "{}.address"),
        *per_side("{}_port", "int", "TCP port of the {}", "{}.port"),
        column("transport", "text", "tcp or tls"),
        column("http", "text", "1.1 or 2"),
        column("http2_stream", "int"),
        column("tls_version", "text", path="tls.version"),
        column("tls_cipher", "text", path="tls.cipher"),
        column("tls_sni", "text", path="tls.sni"),
        column("tls_alpn", "text", path="tls.alpn"),
        column("tls_decrypted", "bool", path="tls.decrypted"),
        column("input", "int", "position in inputs, from 0"),
        column("first_packet", "int", "number within its input, from 1"),
        column("last_packet", "int", "number within its input, from 1"),
        column("started", "time"),
        column("ended", "time", "empty while open"),
        column("duration", "float", "seconds"),
        column("handshake", "text", "accepted, refused, invalid, unanswered or not-captured", "handshake.outcome"),
        column("status", "int", "HTTP status", "handshake.status"),
        column("target", "text", "request target, redacted", "handshake.target"),
        column("host", "text", path="handshake.host"),
        column("origin", "text", path="handshake.origin"),
        column("user_agent", "text", path="handshake.user_agent"),
        column("server_header", "text", path="handshake.server"),
        column("subprotocols_offered", "texts", path="handshake.subprotocols_offered"),
        column("subprotocol", "text", path="handshake.subprotocol"),
        column("extensions", "texts", path="handshake.extensions"),
        column("handshake_latency", "float", "seconds", "handshake.latency"),
        column("auth", "texts", "kinds of credentials seen, never their values"),
        *(
            one
            for kind in ("text", "binary", "continuation", "close", "ping", "pong", "reserved")
            for one in per_side(f"{{}}_{kind}_frames", "int", "frames sent by the {}", f"frames.{{}}.{kind}")
        ),
        *per_side("{}_text_messages", "int", "messages sent by the {}", "messages.{}.text"),
        *per_side("{}_binary_messages", "int", "messages sent by the {}", "messages.{}.binary"),
        *per_side("{}_bytes", "int", "bytes of messages by the {}, uncompressed", "messages.{}.bytes"),
        *per_side("{}_wire_bytes", "int", "bytes of payload by the {} on the wire", "messages.{}.wire_bytes"),
        *per_side("{}_close_code", "int", "code in the Close frame of the {}", "close.{}.code"),
        *per_side("{}_close_reason", "text", "reason in the Close frame of the {}, redacted", "close.{}.reason"),
        *per_side("{}_close_lost", "bool", "whether bytes of the Close frame of the {} were lost, and its code", "close.{}.lost"),
        *per_side("{}_close_packet", "int", "packet of the Close frame of the {}", "close.{}.packet"),
        *per_side("{}_close_time", "time", "time of the Close frame of the {}", "close.{}.time"),
        column("close_initiator", "text", "client, server or both", "close.initiator"),
        *per_side("{}_reported_code", "int", "what the API of the {} reported", "reported.{}.code"),
        *per_side("{}_was_clean", "bool", "wasClean at the {}", "reported.{}.was_clean"),
        *per_side("{}_reported_certain", "bool", "whether that follows from the standard for sure", "reported.{}.certain"),
        *per_side("{}_deviation", "text", "how the library of the {} is known to differ", "reported.{}.deviation"),
        column("class", "text", "what happened on the wire", "termination.class"),
        column("how", "text", "how the transport ended", "termination.how"),
        column("by", "text", "who ended the transport first", "termination.by"),
        column("cause", "text", "why, as inferred", "termination.cause"),
        column("confidence", "float", "0 to 1", "termination.confidence"),
        column("evidence", "texts", "the facts behind the cause", "termination.evidence"),
        column("confirm", "text", "what to look at to be sure", "termination.confirm"),
        *per_side("{}_pings", "int", "pings by the {}", "heartbeat.pings.{}"),
        *per_side("{}_pings_unanswered", "int", "pings by the {} without a Pong", "heartbeat.unanswered.{}"),
        column("ping_interval", "float", "seconds", "heartbeat.interval"),
        column("ping_rtt_p50", "float", "seconds", "heartbeat.rtt.p50"),
        column("ping_rtt_p99", "float", "seconds", "heartbeat.rtt.p99"),
        column("longest_silence", "float", "seconds", "heartbeat.longest_silence"),
        column("idle_any", "float", "seconds without any byte at the end", "idle.any"),
        *per_side("idle_{}", "float", "seconds without a byte by the {} at the end", "idle.{}"),
        column("idle_data", "float", "seconds without a data frame at the end", "idle.data"),
        column("retransmissions", "int", path="network.retransmissions"),
        column("out_of_order", "int", path="network.out_of_order"),
        column("zero_window", "int", path="network.zero_window"),
        column("conflicts", "int", "segments captured twice, differently", "network.conflicts"),
        column("duplicates", "int", "packets captured twice, as mirror ports do", "network.duplicates"),
        column("complete", "bool", "whether the capture has all of it", "evidence.complete"),
        column("midstream", "bool", "whether its start is missing", "evidence.midstream"),
        column("gaps", "int", path="evidence.gaps"),
        column("truncated_packets", "int", path="evidence.truncated_packets"),
    ),
    lambda report: report.iter_connections(),
)

FINDINGS = Table(
    "findings",
    (
        column("rule", "text"),
        column("name", "text", "the fault in words"),
        column("verdict", "text", "violation, non-strict, informational or unverifiable"),
        column("severity", "text", "error, warning or info"),
        column("at_fault", "text", "client, server, intermediary or capture"),
        column("connection", "int", "id in connections"),
        column("direction", "text", "sender of the bytes judged"),
        column("input", "int", "position in inputs, from 0"),
        column("packet", "int"),
        column("last_packet", "int"),
        column("time", "time"),
        column("offset", "int", "byte in that side's stream"),
        column("count", "int", "occurrences folded into this one"),
        column("detail", "text"),
        column("reference", "text"),
        column("fingerprint", "text", "the same for the same fault in any capture"),
    ),
    lambda report: report.findings,
)

INCIDENTS = Table(
    "incidents",
    (
        column("kind", "text"),
        column("server", "text"),
        column("from", "time"),
        column("to", "time"),
        column("connection_count", "int"),
        column("cause", "text"),
        column("confidence", "float", "0 to 1"),
        column("detail", "text"),
        column("confirm", "text", "what to look at to be sure"),
    ),
    lambda report: ({**incident, "connection_count": len(incident.get("connections") or [])} for incident in report.incidents),
)

INCIDENT_CONNECTIONS = Table(
    "incident_connections",
    (column("incident", "int", "row in incidents, from 0"), column("connection", "int", "id in connections")),
    lambda report: (
        {"incident": number, "connection": connection}
        for number, incident in enumerate(report.incidents)
        for connection in incident.get("connections") or []
    ),
)

NOTICES = Table(
    "notices",
    (column("input", "int", "position in inputs, from 0"), column("packet", "int"), column("text", "text")),
    lambda report: report.notices,
)

INPUTS = Table(
    "inputs",
    (
        column("path", "text"),
        column("format", "text"),
        column("packets", "int"),
        column("bytes", "int"),
        column("first_time", "time"),
        column("last_time", "time"),
        column("truncated", "bool"),
        column("notices", "texts"),
    ),
    lambda report: report.inputs,
)

TABLES = (CONNECTIONS, FINDINGS, INCIDENTS, INCIDENT_CONNECTIONS, NOTICES, INPUTS)


INT64 = range(-(2**63), 2**63)
LONGEST = 65_536
"""Characters of one text."""
PANDAS = {
    "int": "Int64",
    "float": "float64",
    "bool": "boolean",
    "text": "string",
    "time": "datetime64[ns, UTC]",
    "texts": "object",
}


def typed(value: Any, kind: Kind) -> Any:
    """One value as typed storage takes it: times as nanoseconds since the epoch, text printable and therefore valid UTF-8.

    What does not fit a 64-bit integer, a timestamp included, becomes None: pandas and Arrow have no wider type.
    """
    if value is None:
        return None
    if kind == "text":
        return printable(str(value), LONGEST)
    if kind == "texts":
        return [printable(str(one), LONGEST) for one in value]
    if kind == "time":
        value = story.nanoseconds(value)
    return value if kind in {"float", "bool"} or value in INT64 else None


def data_frame(table: Table, report: ReportLike) -> pandas.DataFrame:
    """A table as a pandas DataFrame, a column per Column, with the dtypes of PANDAS; unknown is NA or NaT."""
    import pandas as pd

    rows = list(table.rows(report))
    series = {}
    for number, one in enumerate(table.columns):
        values = [typed(row[number], one.kind) for row in rows]
        if one.kind == "time":
            series[one.name] = pd.Series(pd.to_datetime(pd.array(values, dtype="Int64"), unit="ns", utc=True))
        else:
            series[one.name] = pd.Series(values, dtype=PANDAS[one.kind])
    return pd.DataFrame(series)


def connections_frame(report: ReportLike) -> pandas.DataFrame:
    """`connections` as a DataFrame."""
    return data_frame(CONNECTIONS, report)


def findings_frame(report: ReportLike) -> pandas.DataFrame:
    """`findings` as a DataFrame."""
    return data_frame(FINDINGS, report)


def incidents_frame(report: ReportLike) -> pandas.DataFrame:
    """`incidents` as a DataFrame."""
    return data_frame(INCIDENTS, report)


INTRODUCTION = """# The tables of a report

The same columns in three forms: `wsaudit audit -f csv -o FOLDER`, `-f parquet -o FOLDER`, and the DataFrames of
`wsaudit.audit(...)`.
Unknown is an empty cell, null or NA, never a guess. What came from traffic is made printable (`\\x1b` for an escape character).

| type | CSV | Parquet | pandas |
|---|---|---|---|
| int | number | int64 | Int64 |
| float | number | double | float64 |
| bool | true, false | bool | boolean |
| text | text; an apostrophe before what could be a formula | string | string |
| time | RFC 3339, UTC, nanoseconds | timestamp[ns, UTC] | datetime64[ns, UTC] |
| texts | joined by "; " | list of strings | object (lists) |
| word | | | category |

`frames` and `messages` are DataFrames only, and of `wsaudit.audit(..., frames=True)`.
"""


def describe_tables() -> str:
    """The columns of every table as a Markdown document: docs/tables.md."""
    from wsaudit.report.frames import FRAME_COLUMNS, MESSAGE_COLUMNS

    tables = [(table.name, table.columns) for table in TABLES] + [("frames", FRAME_COLUMNS), ("messages", MESSAGE_COLUMNS)]
    lines = [INTRODUCTION]
    for name, columns in tables:
        lines += [f"## {name}", "", "| column | type | unit or meaning |", "|---|---|---|"]
        lines += [f"| `{one.name}` | {one.kind} | {one.about} |" for one in columns]
        lines.append("")
    return "\n".join(lines)
