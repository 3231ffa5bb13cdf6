"""One connection as an entry of the JSON report (report.md, "connections")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wsaudit.kernel import mode
from wsaudit.kernel.connection import Connection
from wsaudit.model import (
    CLIENT,
    SECOND,
    SERVER,
    SIDES,
    WHO,
    ApplicationBeat,
    Close,
    Reported,
    Termination,
    address,
    packet_number,
    timestamp,
)

ClosingFacts = Callable[[Termination, tuple[Close | None, Close | None], Sequence[tuple[int, int]]], tuple[str, ...]]
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


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / SECOND


def named(names: tuple[str, ...], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


def endpoint(end: tuple[bytes, int]) -> dict[str, Any]:
    return {"address": address(end[0]), "port": end[1]}


def frames_dict(counts: tuple[int, ...]) -> dict[str, Any]:
    text, binary, continuation, close, ping, pong, reserved = counts
    return {
        "text": text,
        "binary": binary,
        "continuation": continuation,
        "close": close,
        "ping": ping,
        "pong": pong,
        "reserved": reserved,
    }


def messages_dict(counts: tuple[int, ...]) -> dict[str, Any]:
    text, binary, size, wire_size, largest = counts
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


def connection_dict(number: int, made: Connection, closing_facts: ClosingFacts) -> dict[str, Any]:
    """The entry. `closing_facts`: what says how a closing handshake went, for an end that keeps no sentences of its own."""
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
        "tls": None if made.tls is None else named(TLS_NAMES, made.tls),
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
        "frames": {"client": frames_dict(detail.frames[CLIENT]), "server": frames_dict(detail.frames[SERVER])},
        "messages": {"client": messages_dict(detail.messages[CLIENT]), "server": messages_dict(detail.messages[SERVER])},
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
        "idle": named(IDLE_NAMES, [seconds(silence) for silence in detail.idle]),
        "network": named(NETWORK_NAMES, detail.network),
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
