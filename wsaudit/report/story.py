"""What a report says in words: the sentences, names and groupings that text, HTML and Markdown share, so that they tell the
same story.

Nothing here walks all connections: at 50,000 of them the first screen has to appear at once. The summary, the incidents and the
findings say
nearly everything; a handful of connections is looked up as examples.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from wsaudit.report.groups import RuleGroup
from wsaudit.report.printable import printable
from wsaudit.report.redact import ReportLike

Record = dict[str, Any]

CLASSES = {
    "closed": "both sides sent a Close frame",
    "close-unanswered": "one Close frame, no answer, then the transport ended",
    "dropped": "the transport ended without any Close frame",
    "refused": "the handshake got another answer than an acceptance",
    "failed": "no usable answer to the handshake",
    "ongoing": "still open when the capture ended",
    "unknown": "the capture lost the evidence",
}
"""Termination classes in the order of reports, with what each means."""

CAUSES = {
    "normal": "normal closure",
    "going-away": "going away",
    "protocol-error": "protocol error",
    "invalid-data": "invalid data",
    "message-too-big": "message too big",
    "policy": "policy",
    "unauthorized": "unauthorized",
    "internal-error": "internal error",
    "restart": "restart or deploy",
    "overload": "overload",
    "bad-gateway": "bad gateway",
    "application": "application's own code",
    "keepalive-timeout": "keepalive timeout",
    "idle-timeout": "idle timeout",
    "lifetime-limit": "lifetime limit",
    "flow-forgotten": "flow forgotten by a middlebox",
    "slow-consumer": "slow consumer",
    "endpoint-killed": "endpoint killed",
    "abrupt-exit": "abrupt exit",
    "network-loss": "network loss",
    "middlebox-reset": "reset by a middlebox",
    "tls-failure": "TLS failure",
    "handshake-refused": "handshake refused",
    "handshake-invalid": "handshake invalid",
    "connect-failed": "connection failed",
    "peer-silent": "Close never answered",
    "none": "still open",
    "unknown": "unknown",
}
"""The vocabulary of causes in words."""

SEVERITIES = ("error", "warning", "info")
NOT_ENDED = frozenset({"ongoing", "refused", "failed", "unknown"})
"""Classes that the summary's `abnormal.of` does not count: no session ended, or nobody saw how."""
UNREMARKABLE = frozenset({"normal", "none", "going-away"})
EXAMPLE_SEARCH = 500
"""Connections looked at, at most, for examples when the summary names none."""


def cause_words(cause: str | None) -> str:
    """A cause in words."""
    return CAUSES.get(cause or "unknown", (cause or "unknown").replace("-", " "))


def code_words(code: str) -> str:
    """The name of a close code as the summary writes it: "1000", "empty", "none", "unknown"."""
    from wsaudit.registry.close_codes import MAX_CODE, describe

    if code.isdecimal():
        return describe(int(code)) if int(code) <= MAX_CODE else "no close code"
    return {"empty": "a Close without a code", "none": "no Close frame", "unknown": "cannot be told"}.get(code, code)


def code_order(code: str) -> tuple[int, int | str]:
    """Sort key: numbers first, then "empty", "none", "unknown"."""
    return (0, int(code)) if code.isdecimal() else (1, code)


def many(count: int, noun: str, plural: str = "") -> str:
    """ "1 connection", "2 connections", "1,204 queries"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def percent(rate: float) -> str:
    """A share with one decimal: "14.8 %"; never 0.0 % for something and never 100.0 % for not quite all."""
    if 0 < rate < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if 0.999 < rate < 1 else f"{rate * 100:.1f} %"


def clock(time: str | None, digits: int = 3) -> str:
    """The time of day of an RFC 3339 time: "14:02:11.204"."""
    if not time or "T" not in time:
        return "?"
    return time.split("T")[1].rstrip("Z")[: 8 + (digits + 1 if digits else 0)]


def seconds(value: float | None) -> str:
    """A duration for people: "40 ms", "61.2 s", "5 min 12 s", "2 h 03 min"."""
    if value is None:
        return "?"
    if value < 1:
        return f"{value * 1000:.3g} ms" if value * 1000 < 999.5 else "1 s"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def nanoseconds(time: str) -> int:
    """An RFC 3339 UTC time as integer nanoseconds since the epoch."""
    import datetime

    whole, _, fraction = time.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 10**9 + int((fraction + "000000000")[:9])


def packet_words(record: Record) -> str:
    """ "packet 1,204", or nothing when the packet is not known."""
    return f"packet {record['packet']:,}" if record.get("packet") else ""


def notice_texts(report: ReportLike) -> list[str]:
    """All notices, those of an input first, each with its packet."""
    found = [text for entry in report.inputs for text in entry.get("notices") or []]
    return found + [": ".join(filter(None, (packet_words(one), one.get("text") or ""))) for one in report.notices]


def captures_words(report: ReportLike) -> str:
    """The captures as a command line may name them: all of them when they are few, else "CAPTURE..."."""
    import shlex

    paths = [shlex.quote(printable(str(entry["path"]))) for entry in report.inputs]
    return " ".join(paths) if len(paths) <= 2 else "CAPTURE..."


def endpoint(end: Record) -> str:
    """ "10.0.0.5:43486", "[2001:db8::9]:80"."""
    address = str(end.get("address"))
    return f"[{address}]:{end.get('port')}" if ":" in address else f"{address}:{end.get('port')}"


# The most specific first: Edge also says that it is Chrome.
PRODUCTS = ("Edg", "OPR", "SamsungBrowser", "Electron", "Firefox", "FxiOS", "CriOS", "Chrome")
AGENTS = rf"\b({'|'.join(PRODUCTS)})/(\d+)"


def short_agent(agent: str | None) -> str:
    """A User-Agent's distinguishing product: "Chrome/156", "okhttp/4.9.3"."""
    if not agent:
        return "no User-Agent"
    products = dict(re.findall(AGENTS, agent[:1000])) if agent.startswith("Mozilla/") else {}
    for product in PRODUCTS:
        if product in products:
            return f"{product}/{products[product]}"
    safari = re.search(r"Version/(\d+)[\d.]* .*Safari", agent[:1000])
    return f"Safari/{safari[1]}" if safari else agent.split(" (")[0]


def verdict(report: ReportLike) -> list[str]:
    """The verdict in sentences, the most important one first."""
    summary = report.summary
    if not summary["connections"]:
        return ["No WebSocket connection was found."]
    abnormal = summary.get("abnormal") or {"count": 0, "of": 0}
    sentences = [_ends_sentence(abnormal["count"], abnormal["of"], summary.get("terminations") or {})]
    explained = abnormal.get("in_incidents", 0)
    if explained:
        those = "all of them" if explained == abnormal["count"] else f"{explained:,} of them"
        who = "One incident explains" if len(report.incidents) == 1 else "Incidents explain"
        sentences.append(f"{who} {those}.")
    elif abnormal["count"] and abnormal.get("causes"):
        known = [group for group in abnormal_groups(report) if group.cause != "unknown"]
        if known:
            share = (
                "All"
                if known[0].count == abnormal["count"]
                else "Most"
                if 2 * known[0].count > abnormal["count"]
                else "The largest part"
            )
            sentences.append(f"{share} of them by {known[0].words} ({known[0].count:,}), as far as can be inferred.")
    if summary.get("refused"):
        sentences.append(f"{many(summary['refused'], 'handshake')} {'was' if summary['refused'] == 1 else 'were'} refused.")
    violations = [group for group in report.groups if group.verdict == "violation"]
    broken = {number for group in violations for number in group.connections}
    if broken:
        faults: Counter[str] = sum((group.faults for group in violations), Counter())
        sentences.append(
            f"{many(len(broken), 'connection')} broke the protocol, mostly by fault of the {faults.most_common(1)[0][0]}."
            if len(faults) > 1
            else f"{many(len(broken), 'connection')} broke the protocol, by fault of the {next(iter(faults))}."
        )
    return sentences


def _ends_sentence(abnormal: int, ended: int, kinds: dict[str, int]) -> str:
    """`ended`: connections that were captured completely; `kinds`: of all, how many ended in which way."""
    if not ended:
        partly = sum(count for kind, count in kinds.items() if kind not in NOT_ENDED)
        if not partly:
            return "No connection ended within the capture."
        none = "which was not" if partly == 1 else "none of which was"
        return f"{many(partly, 'connection')} ended within the capture, {none} captured completely."
    if not abnormal:
        return (
            "The one connection that ended, ended normally." if ended == 1 else f"All {ended:,} ended connections ended normally."
        )
    if ended == 1:
        return "The one connection that ended, ended abnormally."
    return f"{abnormal:,} of {ended:,} ended connections ended abnormally ({percent(abnormal / ended)})."


class CauseGroup:
    """The abnormal ends that one cause explains, with a worked example."""

    def __init__(self, cause: str, count: int) -> None:
        self.cause = cause
        self.count = count
        self.example: Record | None = None

    @property
    def words(self) -> str:
        """The cause in words."""
        return cause_words(self.cause)


def is_abnormal(connection: Record) -> bool:
    """Whether a connection counts as an abnormal end: established, seen completely, and 1006 at either end."""
    if (
        connection["websocket"] != "confirmed"
        or connection["termination"]["class"] in NOT_ENDED
        or not connection["evidence"]["complete"]
    ):
        return False
    return any((connection["reported"].get(side) or {}).get("code") == 1006 for side in ("client", "server"))


def is_worth_a_look(connection: Record) -> bool:
    """Whether a connection has a story: everything but an orderly end and a connection that is still open."""
    return connection["termination"]["class"] not in ("closed", "ongoing") or is_abnormal(connection)


def abnormal_groups(report: ReportLike, examples: bool = False) -> list[CauseGroup]:
    """Abnormal ends by cause, the most frequent first; `unknown` last.

    The summary's `abnormal.causes` ([{"cause", "count", "example"}], example a connection id) says it exactly; without it one
    gets the causes of all ends but the unremarkable ones, with examples from a bounded search.
    """
    abnormal = report.summary.get("abnormal") or {}
    if "causes" in abnormal:
        groups = [CauseGroup(entry["cause"], entry["count"]) for entry in abnormal["causes"]]
        if examples:
            for group, entry in zip(groups, abnormal["causes"], strict=True):
                if entry.get("example"):
                    group.example = report.connection(entry["example"] - 1)
    else:
        counts = report.summary.get("causes") or {}
        groups = [CauseGroup(cause, count) for cause, count in counts.items() if cause not in UNREMARKABLE]
        if examples:
            _find_examples(report, groups)
            groups = [group for group in groups if group.example]
    return sorted(groups, key=lambda group: (group.cause == "unknown", -group.count, group.cause))


def _find_examples(report: ReportLike, groups: list[CauseGroup]) -> None:
    missing = {group.cause: group for group in groups}
    likely = [number for incident in report.incidents for number in (incident.get("connections") or [])[:1]]
    for number in [*likely, *range(1, min(report.connection_count(), EXAMPLE_SEARCH) + 1)]:
        if not missing:
            return
        if report.is_abnormal(number - 1):
            connection = report.connection(number - 1)
            group = missing.pop(connection["termination"]["cause"], None)
            if group:
                group.example = connection


def rule_groups(report: ReportLike, verdicts: tuple[str, ...] = ("violation", "non-strict")) -> list[RuleGroup]:
    """Findings by rule, the worst first: by verdict, severity, then connections touched."""
    order = {name: position for position, name in enumerate(SEVERITIES)}
    return sorted(
        (group for group in report.groups if group.verdict in verdicts),
        key=lambda group: (verdicts.index(group.verdict), order.get(group.severity, 9), -len(group.connections), group.rule),
    )


def incident_words(incident: Record) -> str:
    """What happened to whom: "mass abrupt end: 30 connections to 10.0.0.9:8080"."""
    legs = incident.get("other_legs") or 0  # other sides of a proxy, not connections to that server
    count = len(incident.get("connections") or []) - legs
    server = f" to {incident['server']}" if incident.get("server") else ""
    others = f" and {many(legs, 'other leg')} of these" if legs else ""
    return f"{str(incident.get('kind', 'incident')).replace('-', ' ')}: {many(count, 'connection')}{server}{others}"


def probability_words(record: Record) -> str:
    """The inferred cause of a connection or incident, with its runners-up: "endpoint killed, confidence 0.86; or restart or
    deploy, 0.31"."""
    if not record.get("cause"):
        return ""
    words = cause_words(record["cause"])
    if record.get("confidence"):
        words += f", confidence {record['confidence']:.2f}"
    for other in record.get("alternatives") or []:
        words += f"; or {cause_words(other['cause'])}, {other['confidence']:.2f}"
    return words


def probable_words(count: int) -> str:
    """What the report says of connections that nobody could look into."""
    one = count == 1
    return (
        f"{many(count, 'more connection')} may have been {'a WebSocket' if one else 'WebSockets'}, but nobody could look inside: "
        f"encrypted without keys, or never established. {'It is' if one else 'They are'} counted in no other figure."
    )


def tls_words(report: ReportLike) -> str:
    """How many TLS connections there were, how many could be opened, and why the others stayed closed; empty without TLS."""
    seen = report.summary.get("seen") or {}
    count, opened = seen.get("tls_connections") or 0, seen.get("tls_opened") or 0
    if not count:
        return ""
    from wsaudit.tls.facts import FAILURES, REASONS

    words = f"{many(count, 'TLS connection')}: {opened:,} opened, {count - opened:,} not"
    reasons = seen.get("tls_why_not") or {}
    if not reasons:
        return words + "."
    told = {REASONS.get(name) or FAILURES.get(name) or name: number for name, number in reasons.items()}
    if len(told) == 1:
        return f"{words}: {next(iter(told))}."
    return f"{words}: {', '.join(f'{number:,} ({reason})' for reason, number in told.items())}."


def seen_instead(report: ReportLike) -> list[str]:
    """Why there may be no WebSocket connection in the report: what the capture held, and what would help."""
    seen = report.summary.get("seen") or {}
    packets = sum(entry.get("packets") or 0 for entry in report.inputs)
    if not packets:
        return ["The capture holds no packet."]
    facts = [
        f"{many(packets, 'packet')}, {many(seen.get('tcp_flows') or 0, 'TCP connection')}, "
        f"{many(seen.get('udp_packets') or 0, 'UDP packet')}."
    ]
    ports = sorted((seen.get("ports") or {}).items(), key=lambda item: -item[1])
    if ports:
        facts.append(
            "Server ports: "
            + ", ".join(f"{port} ({count:,})" for port, count in ports[:8])
            + (f" and {len(ports) - 8} more." if len(ports) > 8 else ".")
        )
    if seen.get("http_requests"):
        none = "which did not ask" if seen["http_requests"] == 1 else "none of which asked"
        facts.append(f"{many(seen['http_requests'], 'HTTP request')}, {none} for an upgrade to WebSocket.")
    if seen.get("tls_without_keys"):
        facts.append(
            f"{many(seen['tls_without_keys'], 'TLS connection')} without keys: what is inside cannot be seen. "
            "A key log (SSLKEYLOGFILE) given with --keylog opens them."
        )
    elif seen.get("tls_connections"):
        facts.append(f"{many(seen['tls_connections'], 'TLS connection')}, decrypted: no WebSocket inside.")
    if not seen.get("tcp_flows"):
        facts.append(
            "Without TCP there is no WebSocket to see: was it the right interface, and the right capture filter?"
            + (" QUIC (HTTP/3 over UDP) is not read." if seen.get("udp_packets") else "")
        )
    return facts
