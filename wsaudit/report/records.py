"""What an audit found, in the shapes of the JSON report (`wsaudit.report/1`), built when asked for.

Rows stay compact until a renderer wants them: 50,000 connections as dictionaries would be twenty times their size.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wsaudit.collector import patient
from wsaudit.engine import CUT_FLOWS, Audit, Input, Notice
from wsaudit.kernel.compare import by_first_packet
from wsaudit.kernel.compare import kinds as kinds_of
from wsaudit.kernel.compare import number as numbered
from wsaudit.kernel.connection import Connection
from wsaudit.model import CLIENT, SERVER, SIDES, VERDICTS, Close, Finding, packet_input, packet_number, timestamp
from wsaudit.options import Options
from wsaudit.report.fingerprint import fingerprint
from wsaudit.report.groups import RuleGroup
from wsaudit.rows import connection_dict, plain_get_rows
from wsaudit.together import Together

if TYPE_CHECKING:
    from wsaudit.rules.rule import Rule

SCHEMA = "wsaudit.report/1"
CLOSED_TLS = "tls_closed "  # and the reason: how the engine counts them
NO_SESSION = ("refused", "failed")


class Records:
    """Everything an audit found, as the records that every renderer reads. `options` are those it was made with."""

    def __init__(self, audit: Audit, options: Options) -> None:
        self.options = options
        self.audit = audit
        with patient():
            self.compare(audit, options)

    def compare(self, audit: Audit, options: Options) -> None:
        """Put the parts in order, and find what only shows when connections are compared."""
        from wsaudit.rules.judge import Judge
        from wsaudit.termination.incidents import find_incidents
        from wsaudit.termination.probable import with_failed_connects

        capture_end = max((entry.last_time or 0 for entry in audit.inputs), default=0)
        self.rows: list[Connection] = with_failed_connects(audit.connections, audit.failed_connects, capture_end)
        self.rows += plain_get_rows(self.rows, audit.plain_gets)
        self.rows = by_first_packet(self.rows)
        self.starts = numbered(self.rows)
        connections = Together(self.rows)
        findings = audit.findings.copy()
        findings.extend(Judge(options).report(connections, audit.findings))
        self.judged = findings.in_order()
        last_times = [entry.last_time or 0 for entry in audit.inputs]
        self.incidents: list[dict[str, Any]] = find_incidents(connections, options.signatures, last_times)

    # -- parts of the contract -------------------------------------------------------------

    @cached_property
    def inputs(self) -> list[dict[str, Any]]:
        """One entry per capture, in the order of their first packets; what could not be read comes last."""
        return [input_dict(entry) for entry in self.audit.inputs]

    @cached_property
    def notices(self) -> list[dict[str, Any]]:
        """What limits the evidence, by input and packet."""
        left_out = [Notice(0, 0, text) for text in self.audit.left_out()]
        ordered = sorted([*self.audit.notices, *self.audit.limit_hits, *left_out, *self.cut_flows_notice])
        return [{"input": n.input, "packet": n.packet or None, "text": n.text} for n in ordered]

    @cached_property
    def cut_flows(self) -> dict[int, int]:
        """Flows that could not be looked into, by how many bytes of what they carried a packet has at most."""
        seen = self.audit.seen
        return {int(name.removeprefix(CUT_FLOWS)): seen[name] for name in seen if name.startswith(CUT_FLOWS)}

    @property
    def cut_flows_notice(self) -> tuple[Notice, ...]:
        """A snap length must not make connections vanish without a word. Of all shards together: hence not the engine's."""
        flows = sum(self.cut_flows.values())
        if not flows:
            return ()
        many = "1 flow" if flows == 1 else f"{flows} flows"
        kept = max(self.cut_flows)
        size = f", to {kept} bytes of what TCP carries at most," if kept else ""
        text = f"{many} could not be looked into: the capture cut the packets{size} where an opening handshake may have been"
        return (Notice(0, 0, text),)

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """All findings, by connection and packet."""
        return list(self.iter_findings())

    def iter_findings(self) -> Iterator[dict[str, Any]]:
        """The same one by one: 70,000 at once take 60 MB."""
        return map(self.finding, self.judged)

    @cached_property
    def groups(self) -> list[RuleGroup]:
        """The same by rule and verdict, without building them."""
        groups = []
        for found, connections, faults in self.judged.groups(self.starts).values():
            first = self.finding(found)
            groups.append(
                RuleGroup(found.rule, first["name"], found.verdict, first["severity"], first, connections, Counter(faults))
            )
        return groups

    def finding(self, found: Finding) -> dict[str, Any]:
        """One finding in the contract's shape."""
        rule, verdict, at_fault, sender, key, (packet, time, offset), last_packet, count, detail = found
        known = self.catalogue[rule]
        side = SIDES[sender]
        number = self.number_of(key)
        return {
            "rule": rule,
            "name": known.name,
            "verdict": verdict,
            "severity": self.severity(found),
            "at_fault": at_fault,
            "connection": number,
            "direction": side,
            "input": packet_input(packet),
            "packet": packet_number(packet) or None,
            "last_packet": packet_number(last_packet or packet) or None,
            "time": timestamp(time),
            "offset": offset,
            "count": count,
            "detail": detail,
            "reference": known.reference,
            "fingerprint": fingerprint(rule, side, at_fault, self.rows[number - 1].target if number else None),
        }

    def number_of(self, key: int) -> int | None:
        """The id of the connection with this first packet; where two opening handshakes shared a TCP connection, the later
        one's."""
        number = bisect_right(self.starts, key)
        return number if number and self.starts[number - 1] == key else None

    def severity(self, found: Finding) -> str:
        """Of the rule, or what the policy makes of it; what cannot be verified never counts as more than information."""
        if found.verdict == "unverifiable":
            return "info"
        return self.options.severities.get(found.rule) or self.catalogue[found.rule].severity

    @cached_property
    def catalogue(self) -> dict[str, Rule]:
        """The rules by id; loaded late, but not looked up by an import for each finding, which took a third of its time."""
        from wsaudit.rules.rule import CATALOGUE

        return CATALOGUE

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Counts over the confirmed connections; `probable` and `seen` are about the rest."""
        codes: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        told: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        kinds: Counter[str] = Counter()
        causes: Counter[str] = Counter()
        connections = abnormal = ended = accepted = refused = 0
        for row, times in kinds_of(self.rows):
            if row.probable:
                continue
            connections += times
            end = row.termination
            kinds[end.kind] += times
            causes[end.cause] += times
            accepted += times * (row.outcome == "accepted")
            refused += times * (end.kind == "refused")
            for side in (CLIENT, SERVER):
                close = row.close[side]
                codes[side][close_name(close)] += times
                reported = end.reported[side]
                if end.kind != "ongoing" and (reported.code is not None or end.kind not in NO_SESSION):
                    nothing = "none" if reported.certain else "unknown"  # a page that is gone is told nothing
                    told[side][nothing if reported.code is None else str(reported.code)] += times
            ended += times * counts_as_ended(row)
            abnormal += times * ended_abnormally(row)
        members = {number for incident in self.incidents for number in incident["connections"]}
        verdicts: Counter[str] = Counter()
        counted: Counter[str] = Counter()
        for group in self.groups:
            verdicts[group.verdict] += group.faults.total()
            counted[group.rule] += group.faults.total()
        return {
            "connections": connections,
            "accepted": accepted,
            "refused": refused,
            "ongoing": kinds["ongoing"],
            "probable": len(self.rows) - connections,
            "close_codes": {SIDES[side]: ordered_codes(codes[side]) for side in (CLIENT, SERVER)},
            "reported_codes": {SIDES[side]: ordered_codes(told[side]) for side in (CLIENT, SERVER)},
            "terminations": dict(sorted(kinds.items(), key=by_count)),
            "causes": dict(sorted(causes.items(), key=by_count)),
            "findings": dict(sorted(counted.items())),
            "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS},
            "abnormal": {
                "count": abnormal,
                "of": ended,
                "rate": round(abnormal / ended, 4) if ended else None,
                "in_incidents": sum([ended_abnormally(self.rows[number - 1]) for number in members]),
            },
            "seen": self.seen,
        }

    @cached_property
    def seen(self) -> dict[str, Any]:
        """What was in the captures beside WebSockets: the answer to "why does it find nothing?"."""
        packets, seen = self.audit.packets, self.audit.seen
        return {
            "ports": {
                str(port): count for port, count in sorted(self.audit.ports.items(), key=lambda item: (-item[1], item[0]))[:10]
            },
            "tls_connections": seen["tls_connections"],
            "tls_opened": seen["tls_opened"],
            "tls_without_keys": seen["tls_connections"] - seen["tls_opened"],
            "tls_why_not": {name.removeprefix(CLOSED_TLS): seen[name] for name in sorted(seen) if name.startswith(CLOSED_TLS)},
            "http_requests": seen["http_requests"],
            "cut_flows": sum(self.cut_flows.values()),
            "tcp_flows": seen["flows"] + sum(self.audit.ports.values()),
            "tcp_packets": packets["tcp"],
            "udp_packets": packets["udp"],
            "other_packets": packets["other"],
        }

    def connection_count(self) -> int:
        return len(self.rows)

    def connection(self, index: int) -> dict[str, Any]:
        """One connection in the contract's shape; `index` from 0, in order of id."""
        return connection_dict(index + 1, self.rows[index])

    def is_abnormal(self, index: int) -> bool:
        return ended_abnormally(self.rows[index])

    def iter_connections(self) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(self.rows, 1):
            yield connection_dict(number, row)

    def to_dict(self) -> dict[str, Any]:
        """The whole JSON report as one dictionary."""
        from wsaudit import __version__

        return {
            "schema": SCHEMA,
            "tool": {"name": "wsaudit", "version": __version__},
            "inputs": self.inputs,
            "summary": self.summary,
            "connections": list(self.iter_connections()),
            "findings": self.findings,
            "incidents": self.incidents,
            "notices": self.notices,
        }

    @property
    def unread(self) -> list[Input]:
        """Inputs of which nothing could be read."""
        return [entry for entry in self.audit.inputs if entry.error is not None]


def close_name(close: Close | None) -> str:
    """A Close frame as the summary counts it: its code, "empty" (it has none), "unknown" (lost to the capture) or "none"."""
    if close is None:
        return "none"
    if close.code is not None:
        return str(close.code)
    return "unknown" if close.lost else "empty"


def counts_as_ended(row: Connection) -> bool:
    """Was a session captured from its beginning to its end?"""
    return row.complete and not row.probable and row.termination.kind not in ("ongoing", "refused", "failed", "unknown")


def ended_abnormally(row: Connection) -> bool:
    """Was at least one end told 1006 of such a session?"""
    client, server = row.termination.reported
    return counts_as_ended(row) and 1006 in (client.code, server.code)


def by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def ordered_codes(codes: Counter[str]) -> dict[str, int]:
    return dict(sorted(codes.items(), key=lambda item: (not item[0].isdigit(), item[0])))


def input_dict(entry: Input) -> dict[str, Any]:
    return {
        "path": entry.path,
        "format": entry.format,
        "packets": entry.packets,
        "bytes": entry.bytes,
        "first_time": timestamp(entry.first_time),
        "last_time": timestamp(entry.last_time),
        "truncated": entry.truncated,
        "notices": list(entry.notices),
        "error": entry.error,
    }
