"""A synthetic report in the shape of the JSON contract: for tests of the renderers, without captures or engine."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from wsaudit.report.groups import RuleGroup
from wsaudit.report.story import is_abnormal

HOSTILE = {
    "html": "</script><script>alert(1)</script><img src=x onerror=alert(2)>",
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "bidi": "abc\u202etxt.exe\u2066\u200b\ufeff",
    "nul": "a\x00b\nnext\r\tline",
    "surrogate": "lone \ud800 \udfff end",
    "formula": '=HYPERLINK("http://evil.example","x")',
    "markdown": "| @someone `code` [x](javascript:alert(1)) <b> ```",
    "template": "{{ 7*7 }} {% raw %} ${x}",
}
START = 1_772_373_667_000_000_000  # 2026-03-01T14:01:07Z


def rfc3339(ns: int) -> str:
    whole = datetime.datetime.fromtimestamp(ns // 10**9, datetime.UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"


class FakeReport:
    """The interface the renderers use, over ready-made dicts; counts how many connection dicts were asked for."""

    def __init__(
        self,
        connections: list[dict[str, Any]],
        findings: list[dict[str, Any]],
        incidents: list[dict[str, Any]],
        notices: list[dict[str, Any]],
        inputs: list[dict[str, Any]],
        summary: dict[str, Any],
    ) -> None:
        self._connections = connections
        self.findings = findings
        self.incidents = incidents
        self.notices = notices
        self.inputs = inputs
        self.summary = summary
        self.built = 0

    @property
    def groups(self) -> list[RuleGroup]:
        return group_findings(self.findings)

    def iter_findings(self) -> Iterator[dict[str, Any]]:
        return iter(self.findings)

    def connection_count(self) -> int:
        return len(self._connections)

    def connection(self, index: int) -> dict[str, Any]:
        self.built += 1
        return self._connections[index]

    def is_abnormal(self, index: int) -> bool:
        return is_abnormal(self._connections[index])

    def iter_connections(self) -> Iterator[dict[str, Any]]:
        for index in range(len(self._connections)):
            yield self.connection(index)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "wsaudit.report/1",
            "tool": {"name": "wsaudit", "version": "0.1.0"},
            "inputs": self.inputs,
            "summary": self.summary,
            "connections": self._connections,
            "findings": self.findings,
            "incidents": self.incidents,
            "notices": self.notices,
        }


def counts(**numbers: int) -> dict[str, int]:
    kinds = ("text", "binary", "continuation", "close", "ping", "pong", "reserved")
    return {kind: numbers.get(kind, 0) for kind in kinds}


USER_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    "okhttp/4.9.3",
    "Python/3.12 websockets/16.0",
    None,
)
ENDINGS = (  # weight, class, how, by, cause, confidence, client code, server code, told client, told server
    (60, "closed", "fin", "server", "normal", 0.98, 1000, 1000, 1000, 1000),
    (12, "closed", "fin", "client", "going-away", 0.95, 1001, 1001, 1001, 1001),
    (4, "closed", "fin", "server", "unauthorized", 0.9, 4401, 4401, 4401, 4401),
    (3, "closed", "fin", "server", "protocol-error", 0.9, None, 1002, 1002, 1006),
    (5, "dropped", "fin", "server", "idle-timeout", 0.84, None, None, 1006, 1006),
    (3, "dropped", "silent", "client", "network-loss", 0.7, None, None, 1006, 1006),
    (2, "dropped", "rst", "client", "abrupt-exit", 0.55, None, None, 1006, 1006),
    (3, "close-unanswered", "fin", "server", "keepalive-timeout", 0.88, None, 1011, 1011, 1006),
    (4, "refused", "fin", "server", "handshake-refused", 0.97, None, None, 1006, None),
    (1, "failed", "rst", "server", "connect-failed", 0.9, None, None, 1006, None),
    (3, "ongoing", "capture-end", None, "none", 1.0, None, None, None, None),
)
EVIDENCE = {
    "idle-timeout": [
        "no frame for 60.02 s before the FIN",
        "server sent FIN in packet {p} without a Close frame",
        "4 other connections ended after the same silence",
    ],
    "network-loss": [
        "client's last 3 segments were never acknowledged",
        "retransmitted 6 times, delays doubling, until packet {p}",
    ],
    "abrupt-exit": ["client sent RST in packet {p} with a text frame half received"],
    "keepalive-timeout": [
        "server pinged in packet {p}, no Pong came back",
        "server sent Close 1011 'keepalive ping timeout' 20.0 s later",
    ],
    "protocol-error": ["client sent an unmasked frame in packet {p}", "server answered with Close 1002 0.4 ms later"],
    "endpoint-killed": [
        "server sent FIN in packet {p} without a Close frame",
        "29 other connections to this server ended within 40 ms",
    ],
    "handshake-refused": ["server answered 403 in packet {p}"],
    "connect-failed": ["server answered the SYN with RST in packet {p}"],
}
CONFIRM = {
    "idle-timeout": "the proxy's idle limit on 10.0.0.9: nginx proxy_read_timeout, load balancer idle timeout (60 s)",
    "network-loss": "the client's Wi-Fi or VPN log; the same user came back from another port?",
    "abrupt-exit": "the client's crash log at this time",
    "keepalive-timeout": "the client's main thread at this time: blocked, or the device asleep?",
    "protocol-error": "the client's WebSocket library and version",
    "endpoint-killed": "process exits on 10.0.0.9 around 14:02:11 (journal, OOM killer)",
    "handshake-refused": "the server's access log for this request",
    "connect-failed": "is the service listening on this port?",
}
REASONS = {
    1000: "",
    1001: "going away",
    4401: "token expired: Bearer eyJhbGciOi.eyJzdWIi.c2ln",
    1002: "incorrect masking",
    1011: "keepalive ping timeout",
}


def make_connection(
    identity: int, ending: tuple[Any, ...], start: int, duration: float, rng: random.Random, packet: int
) -> dict[str, Any]:
    _, cls, how, by, cause, confidence, client_code, server_code, told_client, told_server = ending
    end = start + int(duration * 1e9)
    outcome = {"refused": "refused", "failed": "unanswered"}.get(cls, "accepted")
    texts = rng.randint(1, 400) if outcome == "accepted" else 0

    def close(code: int | None, offset: int) -> dict[str, Any] | None:
        time = rfc3339(end - 20_000_000)
        return code and {"code": code, "reason": REASONS[code], "lost": False, "packet": packet + offset, "time": time}

    def told(code: int | None) -> dict[str, Any]:
        return {
            "code": code,
            "was_clean": None if code is None else code != 1006,
            "certain": cause != "network-loss",
            "deviation": None,
        }

    abnormal = cls in ("dropped", "close-unanswered", "failed", "refused") or 1006 in (told_client, told_server)
    frames = [
        {
            "time": rfc3339(end - 30_000_000_000 + i * 5_000_000_000),
            "packet": packet - 9 + i,
            "side": "server" if i % 3 else "client",
            "type": "text" if i % 2 else "ping",
            "fin": True,
            "length": 20 + i * 37,
        }
        for i in range(5)
    ]
    if server_code or client_code:
        frames.append(
            {
                "time": rfc3339(end - 20_000_000),
                "packet": packet,
                "side": "server" if server_code else "client",
                "type": "close",
                "fin": True,
                "length": 2,
                "code": server_code or client_code,
            }
        )
    return {
        "id": identity,
        "websocket": "confirmed",
        "client": {"address": f"10.0.{identity % 7}.{identity % 250 + 1}", "port": 40000 + identity % 20000},
        "server": {"address": "10.0.0.9" if identity % 5 else "2001:db8::9", "port": 8080},
        "transport": "tcp" if identity % 4 else "tls",
        "http": "1.1",
        "http2_stream": None,
        "tls": None
        if identity % 4
        else {
            "version": "TLS 1.3",
            "cipher": "TLS_AES_128_GCM_SHA256",
            "sni": "chat.example",
            "alpn": "http/1.1",
            "decrypted": True,
            "why_not": None,
        },
        "input": 0,
        "first_packet": packet - 30,
        "last_packet": packet + 2,
        "started": rfc3339(start),
        "ended": None if cls == "ongoing" else rfc3339(end),
        "duration": duration,
        "handshake": {
            "outcome": outcome,
            "status": 101 if outcome == "accepted" else 403 if cls == "refused" else None,
            "target": f"/chat?token=s3cret{identity}&room=7",
            "host": "chat.example",
            "origin": "https://chat.example",
            "user_agent": USER_AGENTS[identity % len(USER_AGENTS)],
            "server": "nginx",
            "subprotocols_offered": ["graphql-ws"],
            "subprotocol": None,
            "extensions": ["permessage-deflate"],
            "latency": 0.0123,
        },
        "auth": ["query"],
        "frames": {
            "client": counts(text=texts, close=int(client_code is not None), pong=4),
            "server": counts(text=texts * 2, ping=4),
        },
        "messages": {
            "client": {"text": texts, "binary": 0, "bytes": texts * 40, "wire_bytes": texts * 30},
            "server": {"text": texts * 2, "binary": 0, "bytes": texts * 80, "wire_bytes": texts * 60},
        },
        "close": {
            "client": close(client_code, 1),
            "server": close(server_code, 0),
            "initiator": by if client_code or server_code else None,
        },
        "reported": {"client": told(told_client), "server": told(told_server)},
        "termination": {
            "class": cls,
            "how": how,
            "by": by,
            "cause": cause,
            "confidence": confidence,
            "evidence": [fact.format(p=packet) for fact in EVIDENCE.get(cause, [f"{by} sent Close in packet {packet}"])],
            "alternatives": [{"cause": "unknown", "confidence": 0.2}] if abnormal else [],
            "confirm": CONFIRM.get(cause),
            "cloudflare": None,
        },
        "heartbeat": {
            "pings": {"client": 0, "server": 4},
            "unanswered": {"client": 0, "server": int(cause == "keepalive-timeout")},
            "interval": 20.0,
            "rtt": {"p50": 0.011, "p99": 0.02},
            "longest_silence": 20.1,
        },
        "idle": {"any": 0.02, "client": 1.0, "server": 0.02, "data": 5.0},
        "network": {"retransmissions": rng.randint(0, 3), "out_of_order": 0, "zero_window": 0, "conflicts": 0, "duplicates": 0},
        "evidence": {"complete": True, "midstream": False, "gaps": 0, "truncated_packets": 0},
        "last_frames": frames if abnormal else [],
    }


FINDINGS = (
    (
        "FR-01",
        "unmasked-client-frame",
        "violation",
        "error",
        "client",
        "text frame of 5 bytes without a masking key",
        "RFC 6455 §5.1",
    ),
    (
        "PP-01",
        "ping-not-answered",
        "violation",
        "error",
        "client",
        "Ping in packet {p} was not answered in 20.0 s",
        "RFC 6455 §5.5.2",
    ),
    (
        "CL-16",
        "client-closes-tcp-first",
        "non-strict",
        "warning",
        "client",
        "client sent FIN 0.2 ms before the server",
        "RFC 6455 §7.1.1",
    ),
    ("HS-C14", "browser-without-origin", "informational", "info", "intermediary", "no Origin header", "RFC 6455 §4.1"),
    ("TX-01", "invalid-utf8", "unverifiable", "warning", "capture", "text message touches a gap of 1,460 bytes", "RFC 6455 §8.1"),
)


def make_finding(index: int, connection: dict[str, Any]) -> dict[str, Any]:
    rule, name, verdict, severity, fault, detail, reference = FINDINGS[index % len(FINDINGS)]
    packet = connection["first_packet"] + 9
    return {
        "rule": rule,
        "name": name,
        "verdict": verdict,
        "severity": severity,
        "at_fault": fault,
        "connection": connection["id"],
        "direction": "client",
        "packet": packet,
        "last_packet": packet + 4,
        "time": connection["started"],
        "offset": 412,
        "count": 1 + index % 3,
        "detail": detail.format(p=packet),
        "reference": reference,
        "fingerprint": f"{index:08x}",
        "input": 0,
    }


def summarize(
    connections: list[dict[str, Any]], findings: list[dict[str, Any]], incidents: list[dict[str, Any]]
) -> dict[str, Any]:
    codes: dict[str, Counter[str]] = {"client": Counter(), "server": Counter()}
    reported: dict[str, Counter[str]] = {"client": Counter(), "server": Counter()}
    classes: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    abnormal = explained = ended = 0
    members = {number for incident in incidents for number in incident["connections"]}
    for connection in connections:
        if connection["websocket"] == "probable":
            continue
        classes[connection["termination"]["class"]] += 1
        causes[connection["termination"]["cause"]] += 1
        kind = connection["termination"]["class"]
        for side in ("client", "server"):
            close = connection["close"][side]
            codes[side]["none" if close is None else str(close["code"])] += 1
            code = connection["reported"][side]["code"]
            if kind != "ongoing" and (code is not None or kind not in ("refused", "failed")):
                reported[side]["unknown" if code is None else str(code)] += 1
        if kind not in ("ongoing", "refused", "failed", "unknown") and connection["evidence"]["complete"]:
            ended += 1
            if 1006 in [connection["reported"][side]["code"] for side in ("client", "server")]:
                abnormal += 1
                explained += connection["id"] in members
    return {
        "connections": len(connections),
        "accepted": len(connections) - classes["refused"] - classes["failed"],
        "refused": classes["refused"],
        "ongoing": classes["ongoing"],
        "probable": 0,
        "close_codes": {side: dict(found) for side, found in codes.items()},
        "reported_codes": {side: dict(found) for side, found in reported.items()},
        "terminations": dict(classes),
        "causes": dict(causes),
        "findings": dict(Counter(finding["rule"] for finding in findings)),
        "verdicts": dict(Counter(finding["verdict"] for finding in findings)),
        "abnormal": {
            "count": abnormal,
            "of": ended,
            "rate": abnormal / ended if ended else None,
            "in_incidents": explained,
        },
        "seen": {"ports": {}, "tls_connections": 0, "tls_without_keys": 0, "http_requests": 0, "tcp_flows": 0, "udp_packets": 0},
    }


def make_report(size: int = 240, *, burst: int = 30, seed: int = 7, hostile: bool = True) -> FakeReport:
    """`size` connections over about five minutes, `burst` of them ended by one incident, findings on every 9th."""
    rng = random.Random(seed)
    weights = [ending[0] for ending in ENDINGS]
    connections = []
    killed = (0, "dropped", "fin", "server", "endpoint-killed", 0.86, None, None, 1006, 1006)
    for identity in range(1, size + 1):
        start = START + int(324e9 * identity / (size + 1))
        ending = rng.choices(ENDINGS, weights)[0]
        duration = 60.02 if ending[4] == "idle-timeout" else rng.uniform(0.2, 90)
        if identity <= burst:
            ending, duration = killed, (64.2 + 0.0013 * identity) - (start - START) / 1e9
        connections.append(make_connection(identity, ending, start, max(duration, 0.1), rng, 200 * identity))
    if size >= 100:
        for number in range(28):  # who was dropped comes back, a second later, from another port
            back = connections[47 + number]
            shift = START + 64_300_000_000 + 45_000_000 * number
            back["client"]["address"] = connections[number]["client"]["address"]
            back["duration"] = max(back["duration"], 5.0)
            back["started"] = rfc3339(shift)
            if back["ended"]:
                back["ended"] = rfc3339(shift + int(back["duration"] * 1e9))
    if hostile and size > 60:
        for number, text in enumerate(HOSTILE.values()):
            victim = connections[burst + number]
            victim["handshake"].update(user_agent=text, host=text, target="/" + text, origin=text)
            victim["close"]["server"] = {"code": 4000, "reason": text, "packet": 5, "time": victim["started"]}
    findings = [make_finding(number, connection) for number, connection in enumerate(connections[::9])]
    incidents = []
    if burst and size >= burst:
        incidents.append(
            {
                "kind": "mass-abrupt-end",
                "server": "10.0.0.9:8080",
                "from": rfc3339(START + 64_204_000_000),
                "to": rfc3339(START + 64_244_000_000),
                "connections": list(range(1, burst + 1)),
                "cause": "endpoint-killed",
                "confidence": 0.86,
                "alternatives": [{"cause": "restart", "confidence": 0.31}],
                "detail": "all that were open on that server; 28 clients came back within 1.2 s, no jitter",
                "confirm": "process exits on 10.0.0.9 around 14:02:11 (journal, OOM killer)",
            }
        )
    notices = [{"input": 0, "packet": 77, "text": "packet cut to 96 bytes by the capture"}]
    inputs = [
        {
            "path": "incident.pcap",
            "format": "pcap",
            "packets": 200 * size,
            "bytes": 18231 * size,
            "first_time": rfc3339(START),
            "last_time": rfc3339(START + 324_000_000_000),
            "truncated": False,
            "notices": [],
        }
    ]
    return FakeReport(connections, findings, incidents, notices, inputs, summarize(connections, findings, incidents))


def make_empty(**seen: Any) -> FakeReport:
    """A capture without a WebSocket connection, with what was seen instead."""
    report = make_report(0, burst=0)
    report.inputs[0].update(packets=120, bytes=18231)
    report.summary["seen"].update(seen)
    return report


def group_findings(findings: Iterable[dict[str, Any]]) -> list[RuleGroup]:
    """The groups of findings in the JSON report's shape, in the order in which they begin."""
    groups: dict[tuple[str, str], RuleGroup] = {}
    for finding in findings:
        key = (finding["rule"], finding["verdict"])
        if key not in groups:
            words = (finding["rule"], finding["name"], finding["verdict"], finding["severity"])
            groups[key] = RuleGroup(*words, finding, set(), Counter())
        groups[key].faults[finding["at_fault"]] += 1
        if finding["connection"]:
            groups[key].connections.add(finding["connection"])
    return list(groups.values())
