"""The report as one HTML file that anyone can open: no network, no dependency, readable without script, explorable with it.

Three parts. The template draws everything that is said at once: verdict, timeline, distributions, incidents, lanes, rules, the
worst connections. The data island holds every connection and the details of the abnormal ones, in columns with a table of
strings, deflated: 10,000 connections stay far below 2 MB. The script unpacks it into a table to sort, filter and search, and into
the drill-down.

The page carries a Content-Security-Policy that allows this very script and this very style by their hashes and nothing else. Text
from traffic reaches the page through `printable` and autoescape, and the script through `textContent` alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, TextIO

from wsaudit.report import charts, story
from wsaudit.report.printable import html as safe
from wsaudit.report.redact import ReportLike

Record = dict[str, Any]

MOST_ROWS = 100_000
"""Connections in the table. A browser still sorts these at once; who has more has JSON and Parquet."""
MOST_DETAILS = 20_000
"""Abnormal connections with ladder and evidence."""
WORST = 40
WORST_PER_CAUSE = 5
MOST_EXAMPLES = 12
"""Occurrences of one rule in the static part; the script shows the others."""

COLUMNS = (
    "id",
    "start",
    "end",
    "duration",
    "client",
    "client_port",
    "server",
    "server_port",
    "target",
    "agent",
    "class",
    "how",
    "by",
    "cause",
    "confidence",
    "sent_client",
    "sent_server",
    "reason_client",
    "reason_server",
    "told_client",
    "told_server",
    "transport",
    "status",
    "messages_client",
    "messages_server",
    "bytes_client",
    "bytes_server",
    "input",
    "first_packet",
    "last_packet",
    "abnormal",
    "probable",
)


def write_html(report: ReportLike, stream: TextIO) -> None:
    """Writes the HTML report to a text stream (to be encoded as UTF-8)."""
    stream.write(render_html(report))


def render_html(report: ReportLike) -> str:
    """The HTML report as a str, without lone surrogates."""
    from jinja2 import Environment
    from markupsafe import Markup

    style, script, template = (asset(name) for name in ("report.css", "report.js", "report.html.j2"))
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        safe_text=lambda value: safe(str(value)),
        cause=story.cause_words,
        code=story.code_words,
        clock=story.clock,
        seconds=story.seconds,
        endpoint=lambda value: safe(story.endpoint(value)),
        percent=lambda value: f"{value:.2f}%",
        dashes=lambda value: str(value).replace("-", " "),
    )
    survey = take_survey(report)
    sources = f"script-src {digest(script)}; style-src {digest(style)}; img-src data:"
    page = {
        "policy": f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'",
        # Our own files, from the package: the only text on the page that is not escaped.
        "style": Markup(style),
        "script": Markup(script),
        "data": Markup(pack(survey.island)),
    }
    return environment.from_string(template).render(page | view(report, survey))


def asset(name: str) -> str:
    """One of the page's parts, from the package."""
    return (resources.files("wsaudit.report") / "assets" / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def digest(text: str) -> str:
    """The source expression by which a Content-Security-Policy knows an inline element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def pack(island: Record) -> str:
    """The data island: JSON, deflated, in base64, which also keeps `</script>` and every other surprise out of the markup."""
    text = json.dumps(island, ensure_ascii=True, separators=(",", ":"))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(deflate.compress(text.encode()) + deflate.flush()).decode()


class Strings:
    """Each text once; rows hold its number. Number 0 is "nothing"."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}

    def add(self, value: Any) -> int:
        """The number of a value's printable text."""
        text = "" if value is None else safe(str(value))
        return self.numbers.setdefault(text, len(self.numbers))


@dataclass
class Survey:
    """What one pass over the connections found: the data island, the time axis, the worst connections."""

    island: Record = field(default_factory=dict)
    ends: list[charts.End] = field(default_factory=list)
    worst: list[Record] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)
    rows_left_out: int = 0
    details_left_out: int = 0


def take_survey(report: ReportLike) -> Survey:
    """Reads every connection once."""
    survey, strings = Survey(), Strings()
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    details: Record = {}
    shown: Counter[str] = Counter()
    for connection in report.iter_connections():
        abnormal = story.is_abnormal(connection)
        ending = connection["termination"]
        survey.causes[ending["cause"]] += abnormal
        end = charts.End(
            connection["id"],
            connection["client"]["address"],
            connection["client"]["port"],
            ending["class"],
            moment(connection["started"]) or moment(connection["ended"]) or 0,
            None if ending["class"] == "ongoing" else moment(connection["ended"]),
            abnormal,
        )
        if connection["websocket"] == "confirmed":
            survey.ends.append(end)
        if len(columns["id"]) >= MOST_ROWS:
            survey.rows_left_out += 1
            continue
        for name, value in row(connection, end, strings).items():
            columns[name].append(value)
        worth = story.is_worth_a_look(connection)
        if worth:
            if len(details) < MOST_DETAILS:
                details[str(connection["id"])] = detail(connection)
            else:
                survey.details_left_out += 1
        if worth and shown[ending["cause"]] < WORST_PER_CAUSE:
            shown[ending["cause"]] += 1
            survey.worst.append(connection)
    survey.worst.sort(key=lambda one: (-survey.causes[one["termination"]["cause"]], one["termination"]["cause"], one["id"]))
    del survey.worst[WORST:]
    rules, findings = compact_findings(report.findings, strings)
    survey.island = {
        "columns": columns,
        "details": details,
        "rules": rules,
        "findings": findings,
        "incidents": [incident.get("connections") or [] for incident in report.incidents],
        "causes": story.CAUSES,
        "inputs": [safe(str(entry["path"])) for entry in report.inputs],
        "captures": story.captures_words(report),
        "addresses": not getattr(report, "pseudonymized", False),
        "strings": list(strings.numbers),
    }
    return survey


def moment(time: str | None) -> int | None:
    """An RFC 3339 time in nanoseconds; None for what is not known."""
    return story.nanoseconds(time) if time else None


def row(connection: Record, end: charts.End, strings: Strings) -> Record:
    """One connection's cells in the data island; times in milliseconds since the epoch."""
    add = strings.add
    ending, handshake = connection["termination"], connection.get("handshake") or {}
    cells: Record = {
        "id": connection["id"],
        "start": round(end.started / 1e6, 3),
        "end": None if end.ended is None else round(end.ended / 1e6, 3),
        "duration": connection.get("duration"),
        "target": add(handshake.get("target")),
        "agent": add(handshake.get("user_agent")),
        "class": add(ending["class"]),
        "how": add(ending.get("how")),
        "by": add(ending.get("by")),
        "cause": add(ending.get("cause")),
        "confidence": ending.get("confidence"),
        "transport": add(connection.get("transport")),
        "status": handshake.get("status"),
        "input": connection.get("input") or 0,
        "first_packet": connection.get("first_packet"),
        "last_packet": connection.get("last_packet"),
        "abnormal": int(end.abnormal),
        "probable": int(connection["websocket"] == "probable"),
    }
    for side in ("client", "server"):
        close = connection["close"].get(side)
        told = connection["reported"].get(side) or {}
        messages = (connection.get("messages") or {}).get(side) or {}
        cells[side], cells[f"{side}_port"] = add(connection[side]["address"]), connection[side]["port"]
        cells[f"sent_{side}"] = add(sent_name(close))
        cells[f"reason_{side}"] = add((close or {}).get("reason"))
        cells[f"told_{side}"] = add(told_name(told.get("code"), ending["class"]))
        cells[f"messages_{side}"] = (messages.get("text") or 0) + (messages.get("binary") or 0)
        cells[f"bytes_{side}"] = messages.get("bytes")
    return cells


def sent_name(close: Record | None) -> str | int:
    """The Close frame of a side as the summary's close codes write it."""
    if close is None:
        return "none"
    code: int | None = close["code"]
    return code if code is not None else "unknown" if close.get("lost") else "empty"


def told_name(code: int | None, kind: str) -> str | int:
    """What an API was told, as the summary counts it: nobody was told anything while a connection is open or when none came
    about."""
    if code is not None:
        return code
    return "" if kind in ("ongoing", "refused", "failed") else "unknown"


def detail(connection: Record) -> Record:
    """What the drill-down shows of one connection beyond its row."""
    ending = connection["termination"]
    tls, beat, idle = connection.get("tls") or {}, connection.get("heartbeat") or {}, connection.get("idle") or {}
    start = moment(connection["started"]) or 0
    facts = {
        "Host": (connection.get("handshake") or {}).get("host"),
        "TLS": " ".join(str(tls[key]) for key in ("version", "cipher") if tls.get(key)) or tls.get("why_not"),
        "Silent at the end": story.seconds(idle["any"]) if idle.get("any") is not None else None,
        "Heartbeat": f"every {beat['interval']:g} s" if beat.get("interval") else None,
        "Unanswered pings": ", ".join(f"{n} by the {side}" for side, n in (beat.get("unanswered") or {}).items() if n),
        "Retransmissions": (connection.get("network") or {}).get("retransmissions") or None,
        "Note": "; ".join(told["deviation"] for told in connection["reported"].values() if told and told.get("deviation")),
    }
    return {
        "evidence": [safe(fact, 400) for fact in ending.get("evidence") or []],
        "others": [[other["cause"], other["confidence"]] for other in ending.get("alternatives") or []],
        "confirm": safe(ending.get("confirm") or "", 600),
        "facts": {name: safe(str(value)) for name, value in facts.items() if value},
        "frames": [frame_cells(frame, start) for frame in connection.get("last_frames") or []],
    }


def frame_cells(frame: Record, start: int) -> list[Any]:
    """One frame of a ladder: seconds since the start, packet, 1 for the server's side, label, length."""
    label = str(frame["type"]) + (f" {frame['code']}" if frame.get("code") else "") + ("" if frame.get("fin", True) else " …")
    since = round(((moment(frame["time"]) or start) - start) / 1e9, 6)
    return [since, frame["packet"], int(frame["side"] == "server"), safe(label), frame["length"]]


def compact_findings(findings: Iterable[Record], strings: Strings) -> tuple[list[Record], list[list[Any]]]:
    """The rules that were met and their findings as rows: rule number, connection, packet, last packet, count, detail, input,
    offset."""
    rules: dict[tuple[str, str], int] = {}
    heads: list[Record] = []
    rows = []
    for finding in findings:
        key = (finding["rule"], finding["verdict"])
        if key not in rules:
            rules[key] = len(rules)
            heads.append(
                {
                    name: safe(str(finding.get(name) or ""))
                    for name in ("rule", "name", "verdict", "severity", "at_fault", "reference")
                }
            )
        rows.append(
            [
                rules[key],
                finding["connection"],
                finding["packet"],
                finding["last_packet"],
                finding.get("count", 1),
                strings.add(finding.get("detail")),
                finding.get("input", 0),
                finding.get("offset"),
            ]
        )
    return heads, rows


def view(report: ReportLike, survey: Survey) -> Record:
    """What the template shows."""
    times = [story.nanoseconds(entry[key]) for entry in report.inputs for key in ("first_time", "last_time") if entry.get(key)]
    times += [time for one in survey.ends for time in (one.started, one.ended) if time]
    timed = [one for one in report.incidents if one.get("from") and one.get("to")]
    bursts = [(story.nanoseconds(one["from"]), story.nanoseconds(one["to"])) for one in timed]
    return {
        "report": report,
        "summary": report.summary,
        "verdict": story.verdict(report),
        "calm": not (report.summary.get("abnormal") or {}).get("count"),
        "seen": story.seen_instead(report) if not report.summary["connections"] else [],
        "packets": sum(entry.get("packets") or 0 for entry in report.inputs),
        "first_time": min((entry["first_time"] for entry in report.inputs if entry.get("first_time")), default=None),
        "last_time": max((entry["last_time"] for entry in report.inputs if entry.get("last_time")), default=None),
        "timeline": charts.timeline(survey.ends, min(times), max(times), bursts) if survey.ends and times else None,
        "lanes": burst_lanes(survey, timed, bursts),
        "classes": [(name, words, report.summary["terminations"].get(name, 0)) for name, words in story.CLASSES.items()],
        "codes": code_table(report.summary),
        "causes": [(cause, count) for cause, count in survey.causes.most_common() if count],
        "rules": rule_panels(report),
        "incidents": [(one, story.incident_words(one), story.probability_words(one)) for one in report.incidents],
        "notices": story.notice_texts(report),
        "worst": survey.worst,
        "rows_left_out": survey.rows_left_out,
        "details_left_out": survey.details_left_out,
        "filter_of": lambda connection: wireshark_filter(connection, not getattr(report, "pseudonymized", False)),
    }


def burst_lanes(survey: Survey, incidents: list[Record], bursts: list[tuple[int, int]]) -> charts.Lanes | None:
    """Lanes around the incident with most connections; without incidents around the second with most abnormal ends."""
    if bursts:
        biggest = max(range(len(incidents)), key=lambda number: len(incidents[number].get("connections") or []))
        return charts.lanes(survey.ends, bursts[biggest], incidents[biggest].get("connections") or [])
    burst = charts.biggest_burst(survey.ends)
    return charts.lanes(survey.ends, burst) if burst else None


CODE_COLUMNS = (
    ("close_codes", "client", "sent_client", "sent by client"),
    ("close_codes", "server", "sent_server", "sent by server"),
    ("reported_codes", "client", "told_client", "client was told"),
    ("reported_codes", "server", "told_server", "server was told"),
)


def code_table(summary: Record) -> Record:
    """Close codes: a row per code; a column per side for the wire, and one for what its API was told."""
    columns = [summary.get(table, {}).get(side, {}) for table, side, _, _ in CODE_COLUMNS]
    names = sorted({name for column in columns for name in column}, key=story.code_order)
    most = max((count for column in columns for count in column.values()), default=1)
    rows = [
        (
            name,
            [
                (CODE_COLUMNS[number][2], column.get(name, 0), 100 * column.get(name, 0) / most)
                for number, column in enumerate(columns)
            ],
        )
        for name in names
    ]
    return {"heads": [head for *_, head in CODE_COLUMNS], "rows": rows}


def rule_panels(report: ReportLike) -> list[Record]:
    """The rules that were broken, each with its explanation from the catalogue and its first occurrences."""
    from wsaudit.report.rulebook import rulebook

    examples: dict[tuple[str, str], list[Record]] = {}
    totals: Counter[tuple[str, str]] = Counter()
    for finding in report.findings:
        key = finding["rule"], finding["verdict"]
        found = examples.setdefault(key, [])
        totals[key] += 1
        if len(found) < MOST_EXAMPLES:
            found.append(finding)
    numbers = {key: number for number, key in enumerate(examples)}
    book = rulebook()
    panels = []
    for group in story.rule_groups(report, ("violation", "non-strict", "informational", "unverifiable")):
        key = group.rule, group.verdict
        panels.append(
            {
                "group": group,
                "number": numbers[key],
                "examples": examples[key],
                "info": book.get(group.rule),
                "total": totals[key],
            }
        )
    return panels


def wireshark_filter(connection: Record, addresses: bool = True) -> str:
    """A display filter for one connection. Both ends by address and port, and its packet numbers, since a port may be used again;
    only the packet numbers when the addresses of the report are pseudonyms."""
    parts = []
    if addresses:
        for side in ("client", "server"):
            end = connection[side]
            parts.append(f"{'ipv6' if ':' in end['address'] else 'ip'}.addr == {end['address']} && tcp.port == {end['port']}")
    first, last = connection.get("first_packet"), connection.get("last_packet")
    if first and last:
        parts.append(f"frame.number >= {first} && frame.number <= {last}")
    return safe(" && ".join(parts), 400)
