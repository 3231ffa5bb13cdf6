"""A connection's history → its compact row, and the row → the report's JSON shape (report.md, "connections")."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wsaudit.http.upgrade import Handshake, auth_kinds
from wsaudit.kernel.connection import Connection
from wsaudit.kernel.details import pack_history, pack_last
from wsaudit.kernel.packed import Packer
from wsaudit.kernel.party import CloseFrame, Party
from wsaudit.kernel.streams import Flow
from wsaudit.model import (
    CLIENT,
    SECOND,
    SERVER,
    SIDES,
    WHO,
    ApplicationBeat,
    Close,
    Detail,
    PlainGet,
    Reported,
    Termination,
    address,
    packet_number,
    timestamp,
)
from wsaudit.session import Session
from wsaudit.termination.closing import closing_facts

if TYPE_CHECKING:
    from wsaudit.termination import Explainer
    from wsaudit.tls.facts import TlsFacts
    from wsaudit.tls.tunnel import TlsTunnel

Closes = tuple[Close | None, Close | None]
Facts = tuple[object, ...]
TLS_NAMES = ("version", "cipher", "sni", "alpn", "decrypted", "why_not")
IDLE_NAMES = ("any", "client", "server", "data")
NETWORK_NAMES = ("retransmissions", "out_of_order", "zero_window", "conflicts", "duplicates")
OPCODE_NAMES = (
    "continuation",
    "text",
    "binary",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "close",
    "ping",
    "pong",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
    "reserved",
)
ENDED_WELL = ("closed", "ongoing", "refused")


def row(session: Session, termination: Termination, end_time: int) -> Connection:
    """What the report keeps of a connection. `end_time`: of the first FIN or RST, or of the last packet."""
    client, server = session.client, session.server
    flow = session.flow
    swapped = client.stream is not flow.a
    complete = not (client.gaps or server.gaps or client.stream.truncated or server.stream.truncated)
    found = Connection(
        session.first_packet, session.started, session.ended, *endpoints(flow, swapped),
        packed(session, end_time, termination.kind), False, "tcp", session.http,
    )  # fmt: skip
    if session.tls is not None:
        found.transport = "tls"
        found.tls = tls_facts(session.tls)
    if session.handshake is not None:
        add_handshake(found, session.handshake)
    if client.closes or server.closes:
        found.close = said(*words_of(client.close), *words_of(server.close))
    found.termination = termination
    found.end_time = end_time
    found.midstream = session.midstream
    found.complete = complete and not session.midstream and found.outcome != "not-captured"
    found.packed_keys = client.frames.mask_keys()
    if session.notices:
        found.notices = tuple(session.notices)
    return found


def packed(session: Session, end_time: int, kind: str) -> bytes:
    """model.Detail of a connection, packed."""
    client, server = session.client, session.server
    packer = Packer()
    sizes = message_bytes(client), message_bytes(server)
    pack_history(packer, client, server, session.last_packet, session.flow.silence, end_time, session.in_tls, sizes)
    if kind in ENDED_WELL:
        packer.add(0)
    else:
        pack_last(packer, client, server)
    for number in session.heartbeat().as_numbers():
        packer.add(number)
    return packer.taken()


# Servers, kinds of TLS and Closes of one kind are few, and rows are many: one object for all that are equal.


@lru_cache(4096)
def said(
    code_c: int | None, reason_c: bytes | None, lost_c: bool, code_s: int | None, reason_s: bytes | None, lost_s: bool
) -> Closes:
    """What the first Closes of client and server said. Reason None: there was no Close."""
    client = None if reason_c is None else Close(code_c, reason_c, lost_c)
    return client, None if reason_s is None else Close(code_s, reason_s, lost_s)


def words_of(close: CloseFrame | None) -> tuple[int | None, bytes | None, bool]:
    return (None, None, False) if close is None else (close.code, close.reason, close.lost)


@lru_cache(4096)
def server_at(address: bytes, port: int) -> tuple[bytes, int]:
    return address, port


@lru_cache(4096)
def shared(facts: Facts) -> Facts:
    return facts


def endpoints(flow: Flow, swapped: int) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Client and server; `swapped`: the client is the flow's side b."""
    if swapped:
        return (flow.address_b, flow.port_b), server_at(flow.address_a, flow.port_a)
    return (flow.address_a, flow.port_a), server_at(flow.address_b, flow.port_b)


def tls_facts(facts: TlsFacts) -> Facts:
    return shared((facts.version, facts.cipher, facts.sni, facts.alpn, facts.decrypted, facts.why_not))


def add_handshake(found: Connection, handshake: Handshake) -> None:
    found.outcome = handshake.outcome
    found.status = handshake.status
    found.target = handshake.target
    found.host = handshake.host
    found.origin = handshake.origin
    found.user_agent = handshake.user_agent
    found.server_header = handshake.server_header
    found.key = handshake.key
    found.subprotocols_offered = handshake.subprotocols_offered
    found.subprotocol = handshake.subprotocol
    if handshake.extensions_lines:
        found.extensions = extension_names(handshake.extensions_lines)
    found.latency = handshake.latency_ns
    if handshake.request is not None:
        found.auth = auth_kinds(handshake.request)


@lru_cache(256)
def extension_names(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.split(";")[0].strip() for line in lines for part in line.split(","))


def message_bytes(party: Party) -> int:
    """Bytes of its complete messages after inflation; -1: not all could be inflated."""
    frames, inflation = party.frames, party.inflation
    if inflation is not None and inflation.messages:
        return -1 if inflation.unverifiable else frames.message_bytes - frames.deflated_bytes + inflation.bytes
    return -1 if frames.deflated_messages else frames.message_bytes


def closed_tls_row(flow: Flow, client: int, tunnel: TlsTunnel, ongoing: bool, explain: Explainer) -> Connection | None:
    """A TLS connection that nobody could look into, if it may have been a WebSocket (report.md, `probable`)."""
    found = explain.closed_tls(flow, client, tunnel, ongoing)
    if found is None:
        return None
    termination, end_time, outcome = found
    gaps = flow.a.gap_count + flow.b.gap_count
    detail = Detail(flow.last_packet, silence=flow.silence, gaps=gaps)
    ends = endpoints(flow, client)
    made = Connection(flow.first_packet, flow.first_time, flow.last_time, *ends, detail.pack())
    made.probable = True
    made.transport = "tls"
    made.http = None
    made.outcome = outcome
    made.tls = tls_facts(tunnel.facts)
    made.termination = termination
    made.end_time = end_time
    made.complete = False
    return made


def plain_get_rows(rows: list[Connection], gets: list[PlainGet]) -> list[Connection]:
    """GETs without an upgrade to a path that others asked for a WebSocket: perhaps the upgrade was lost on the way (report.md,
    `probable`)."""
    if not gets:
        return []
    asked = {(row.server, path_of(row.target)) for row in rows if row.target is not None and not row.probable}
    known = {(row.client, row.server) for row in rows}
    found = []
    for get in gets:
        if (get.server, path_of(get.target)) not in asked or (get.client, get.server) in known:
            continue
        made = Connection(get.first_packet, get.started, get.ended, get.client, get.server, Detail(get.last_packet).pack())
        made.probable = True
        made.outcome = "refused"
        made.status, made.target, made.host, made.user_agent = get.status, get.target, get.host, get.user_agent
        made.latency = get.ended - get.started
        made.complete = False
        made.termination = Termination(
            "refused",
            cause="handshake-refused",
            confidence=0.5,
            evidence=(
                f"GET without Upgrade in packet {packet_number(get.first_packet)}, answered {get.status}",
                "others asked the same path of this server for a WebSocket",
            ),
            confirm="whether a proxy in front of the client's side removed Upgrade and Connection",
        )
        found.append(made)
    return found


def path_of(target: str | None) -> str:
    return (target or "").partition("?")[0]


# -- JSON -------------------------------------------------------------


def seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / SECOND


def endpoint(end: tuple[bytes, int]) -> dict[str, Any]:
    return {"address": address(end[0]), "port": end[1]}


def frames_dict(text: int, binary: int, continuation: int, close: int, ping: int, pong: int, reserved: int) -> dict[str, Any]:
    return {
        "text": text,
        "binary": binary,
        "continuation": continuation,
        "close": close,
        "ping": ping,
        "pong": pong,
        "reserved": reserved,
    }


def messages_dict(text: int, binary: int, size: int, wire_size: int, largest: int) -> dict[str, Any]:
    return {"text": text, "binary": binary, "bytes": None if size < 0 else size, "wire_bytes": wire_size, "largest": largest}


def close_dict(close: Close | None, place: tuple[int, int]) -> dict[str, Any] | None:
    if close is None:
        return None
    return {
        "code": close.code,
        "reason": close.reason.decode("utf-8", "backslashreplace"),
        "lost": close.lost,
        "packet": packet_number(place[0]),
        "time": timestamp(place[1]),
    }


def reported_dict(reported: Reported) -> dict[str, Any]:
    return {"code": reported.code, "was_clean": reported.was_clean, "certain": reported.certain, "deviation": reported.deviation}


def application_dict(beat: ApplicationBeat | None) -> dict[str, Any] | None:
    if beat is None:
        return None
    return {
        "kind": beat.kind,
        "side": SIDES[beat.side],
        "interval": seconds(beat.interval),
        "count": beat.count,
        "answered": beat.answered,
        "last": timestamp(beat.last),
    }


def connection_dict(number: int, made: Connection) -> dict[str, Any]:
    """One entry of `connections` in the JSON report."""
    end = made.termination
    detail = made.detail
    heartbeat = detail.heartbeat
    return {
        "id": number,
        "websocket": "probable" if made.probable else "confirmed",
        "client": endpoint(made.client),
        "server": endpoint(made.server),
        "transport": made.transport,
        "http": made.http,
        "http2_stream": None,
        "tls": None if made.tls is None else dict(zip(TLS_NAMES, made.tls, strict=True)),
        "input": made.first_packet >> 40,
        "first_packet": packet_number(made.first_packet),
        "last_packet": packet_number(detail.last_packet),
        "started": timestamp(made.started),
        "ended": timestamp(made.ended),
        "duration": (made.ended - made.started) / SECOND,
        "handshake": {
            "outcome": made.outcome,
            "status": made.status,
            "target": made.target,
            "host": made.host,
            "origin": made.origin,
            "user_agent": made.user_agent,
            "server": made.server_header,
            "subprotocols_offered": list(made.subprotocols_offered),
            "subprotocol": made.subprotocol,
            "extensions": list(made.extensions),
            "latency": seconds(made.latency),
        },
        "auth": list(made.auth),
        "frames": {"client": frames_dict(*detail.frames[CLIENT]), "server": frames_dict(*detail.frames[SERVER])},
        "messages": {"client": messages_dict(*detail.messages[CLIENT]), "server": messages_dict(*detail.messages[SERVER])},
        "close": {
            "client": close_dict(made.close[CLIENT], detail.closes[CLIENT]),
            "server": close_dict(made.close[SERVER], detail.closes[SERVER]),
            "initiator": None if end.initiator is None else WHO[end.initiator],
        },
        "reported": {"client": reported_dict(end.reported[CLIENT]), "server": reported_dict(end.reported[SERVER])},
        "termination": {
            "class": end.kind,
            "how": end.how,
            "by": None if end.by is None else WHO[end.by],
            "cause": end.cause,
            "confidence": round(end.confidence, 2),
            "evidence": list(closing_facts(end, made.close, detail.closes) if end.evidence is None else end.evidence),
            "alternatives": [{"cause": cause, "confidence": round(weight, 2)} for cause, weight in end.alternatives],
            "confirm": end.confirm,
            "cloudflare": None if end.cloudflare is None else {"reason": end.cloudflare[0], "source": end.cloudflare[1]},
        },
        "heartbeat": {
            "pings": {"client": heartbeat.pings[CLIENT], "server": heartbeat.pings[SERVER]},
            "unanswered": {"client": heartbeat.unanswered[CLIENT], "server": heartbeat.unanswered[SERVER]},
            "interval": seconds(heartbeat.interval),
            "rtt": {"p50": seconds(heartbeat.rtt_p50), "p99": seconds(heartbeat.rtt_p99)},
            "longest_silence": seconds(detail.silence),
            "application": application_dict(heartbeat.application),
        },
        "idle": dict(zip(IDLE_NAMES, map(seconds, detail.idle), strict=True)),
        "network": dict(zip(NETWORK_NAMES, detail.network, strict=True)),
        "evidence": {
            "complete": made.complete,
            "midstream": made.midstream,
            "gaps": detail.gaps,
            "truncated_packets": detail.truncated_packets,
        },
        "last_frames": [
            {
                "time": timestamp(time),
                "packet": packet_number(packet),
                "side": SIDES[side],
                "type": OPCODE_NAMES[shape & 15],
                "fin": shape & 0x80 != 0,
                "length": length,
            }
            for time, packet, side, shape, length in detail.last_frames
        ],
        "notices": list(made.notices),
    }
