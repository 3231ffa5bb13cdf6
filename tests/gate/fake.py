"""A small synthetic report and a small rule catalogue, with exactly what a test puts in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from wsaudit.report.fingerprint import fingerprint
from wsaudit.report.rulebook import Rulebook, RuleInfo
from wsaudit.report.story import is_abnormal

RULES = (
    RuleInfo(
        "CL-16",
        "client-closes-tcp-first",
        "SHOULD",
        "warning",
        "client",
        "RFC 6455 §7.1.1",
        "Client closed TCP first",
        "wait",
        "ports",
        "wait",
    ),
    RuleInfo(
        "FR-01",
        "unmasked-client-frame",
        "MUST",
        "error",
        "client",
        "RFC 6455 §5.1",
        "Client frame without mask",
        "mask",
        "proxies",
        "mask",
    ),
    RuleInfo("FR-02", "masked-server-frame", "MUST", "error", "server", "RFC 6455 §5.1", "Server frame with mask"),
    RuleInfo("HS-C14", "browser-without-origin", "INFO", "info", "client", "RFC 6455 §4.1", "No Origin"),
    RuleInfo("HS-S05", "wrong-accept", "MUST", "error", "server", "RFC 6455 §4.2.2", "Accept does not match the key"),
)
BOOK = Rulebook(RULES)


class Report:
    """The interface of a report over ready-made dicts."""

    def __init__(self, connections: list[dict[str, Any]], findings: list[dict[str, Any]], inputs: list[dict[str, Any]]) -> None:
        self._connections = connections
        self.findings = findings
        self.inputs = inputs
        self.incidents: list[dict[str, Any]] = []
        self.notices: list[dict[str, Any]] = []
        self.summary = summarize(connections, findings)

    def connection_count(self) -> int:
        return len(self._connections)

    def connection(self, index: int) -> dict[str, Any]:
        return self._connections[index]

    def is_abnormal(self, index: int) -> bool:
        return is_abnormal(self._connections[index])

    def iter_findings(self) -> Iterator[dict[str, Any]]:
        return iter(self.findings)

    def iter_connections(self) -> Iterator[dict[str, Any]]:
        yield from self._connections

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "wsaudit.report/1",
            "tool": {"name": "wsaudit", "version": "0"},
            "inputs": self.inputs,
            "summary": self.summary,
            "connections": self._connections,
            "findings": self.findings,
            "incidents": [],
            "notices": [],
        }


def connection(
    number: int,
    *,
    path: str | None = "/chat",
    host: str = "chat.example:8080",
    code: int | None = 1000,
    ended: str | None = None,
    latency: float = 0.01,
    rtt: float | None = 0.01,
    largest: int | None = 100,
    texts: int = 3,
    websocket: str = "confirmed",
    certain: bool = True,
) -> dict[str, Any]:
    """A connection that the server closed with `code`; with no code it was dropped and both ends report 1006."""
    close = None if code is None else {"code": code, "reason": "", "packet": 20, "time": "2026-03-01T14:01:07.000000000Z"}
    told = {"code": 1006 if code is None else code, "was_clean": code is not None, "certain": certain}
    message = {"text": texts, "binary": 0, "bytes": 300, "wire_bytes": 300, **({} if largest is None else {"largest": largest})}
    return {
        "id": number,
        "websocket": websocket,
        "handshake": {"outcome": "accepted", "target": path, "host": host, "latency": latency},
        "close": {"client": close, "server": close, "initiator": "server"},
        "reported": {"client": told, "server": told},
        "termination": {
            "class": ended or ("dropped" if code is None else "closed"),
            "cause": "normal" if code else "abrupt-exit",
        },
        "heartbeat": {"rtt": {"p50": rtt, "p99": rtt}},
        "messages": {"client": message, "server": dict(message)},
    }


def finding(
    rule: str = "FR-01",
    number: int | None = 1,
    *,
    path: str | None = "/chat",
    detail: str = "text frame of 5 bytes without a masking key",
    verdict: str = "violation",
    severity: str | None = None,
    packet: int = 9,
    count: int = 1,
    source: int = 0,
) -> dict[str, Any]:
    """A finding of one of RULES about connection `number`."""
    info = BOOK.rules[rule]
    return {
        "rule": rule,
        "name": info.name,
        "verdict": verdict,
        "severity": severity or info.severity,
        "at_fault": info.at_fault,
        "connection": number,
        "direction": "client",
        "packet": packet,
        "last_packet": packet,
        "time": None,
        "offset": 412,
        "count": count,
        "detail": detail,
        "reference": info.reference,
        "input": source,
        "fingerprint": fingerprint(rule, "client", info.at_fault, path),
    }


def report(
    findings: list[dict[str, Any]] | None = None,
    connections: list[dict[str, Any]] | None = None,
    *,
    paths: tuple[str, ...] = ("traffic.pcap",),
) -> Report:
    """Two clean connections and `findings`, unless told otherwise."""
    inputs = [
        {
            "path": path,
            "format": "pcap",
            "packets": 60,
            "bytes": 9000,
            "first_time": None,
            "last_time": None,
            "truncated": False,
            "notices": [],
        }
        for path in paths
    ]
    return Report([connection(1), connection(2)] if connections is None else connections, findings or [], inputs)


def summarize(connections: list[dict[str, Any]], findings: list[dict[str, Any]]) -> dict[str, Any]:
    """The summary of the contract."""
    confirmed = [each for each in connections if each["websocket"] == "confirmed"]
    classes = Counter(each["termination"]["class"] for each in confirmed)
    codes = {
        side: dict(Counter(str((each["close"][side] or {}).get("code", "none")) for each in confirmed))
        for side in ("client", "server")
    }
    told = {side: dict(Counter(str(each["reported"][side]["code"]) for each in confirmed)) for side in ("client", "server")}
    ended = sum(count for name, count in classes.items() if name != "ongoing")
    abnormal = sum(each["reported"]["client"]["code"] == 1006 for each in confirmed)
    return {
        "connections": len(confirmed),
        "accepted": len(confirmed),
        "refused": 0,
        "ongoing": classes["ongoing"],
        "probable": len(connections) - len(confirmed),
        "close_codes": codes,
        "reported_codes": told,
        "terminations": dict(classes),
        "causes": dict(Counter(each["termination"]["cause"] for each in confirmed)),
        "findings": dict(Counter(each["rule"] for each in findings)),
        "verdicts": dict(Counter(each["verdict"] for each in findings)),
        "abnormal": {"count": abnormal, "of": ended, "rate": abnormal / ended if ended else None},
    }
