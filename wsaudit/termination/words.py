"""The sentences of the evidence, and what to look at to be sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsaudit.kernel.party import CloseFrame
from wsaudit.model import BOTH, PACKET_MASK, SECOND, SIDES, Close

if TYPE_CHECKING:
    from wsaudit.termination.wire import Wire

CONFIRM = {
    "normal": None,
    "going-away": "the sender's log: shutdown, deploy or page navigation at that time",
    "protocol-error": "the findings of this connection name the frame; the log of the side that sent the Close has its complaint",
    "invalid-data": "the findings of this connection name the message; the log of the side that sent the Close has its complaint",
    "message-too-big": "the receiver's message size limit (max_size, maxPayload...) against the largest message sent",
    "policy": "the log of the side that sent the Close: which policy; its reason text, if any",
    "unauthorized": "the server's authentication log; the lifetime of the token the client came with",
    "internal-error": "the sender's application log: an exception at that time",
    "restart": "the sender's service manager or deploy log at that time",
    "overload": "the sender's load and connection limits at that time",
    "bad-gateway": "the gateway's log: its upstream at that time",
    "application": "the application's own list of close codes",
    "keepalive-timeout": "why the peer did not answer: its CPU, event loop and network at that time; the sender's ping settings",
    "idle-timeout": "the idle and tunnel timeouts of every hop between the two; ping more often than the shortest of them",
    "lifetime-limit": "the maximum connection age of every hop and of the session's token",
    "flow-forgotten": "the idle timeouts of load balancers, NAT and firewalls on the way; ping more often than the shortest",
    "slow-consumer": "what the receiver was busy with: a blocked event loop, a slow disk or database; the sender's queue limit",
    "endpoint-killed": "the journal of that host around that time: out of memory, signals, crashes, a restarted container",
    "abrupt-exit": "the application's log on that side: it closed the socket, or its process ended, without a Close",
    "network-loss": "a capture at the other end; interface, Wi-Fi, VPN and routing logs of that time",
    "middlebox-reset": "firewall and intrusion prevention logs; a capture on the other side of it",
    "tls-failure": "the TLS settings of both sides: certificate, name, versions, cipher suites",
    "handshake-refused": "the access log of whoever answered: the status and, behind a proxy, the upstream it asked",
    "handshake-invalid": "what answered: a proxy that does not forward Upgrade, another service on that port",
    "connect-failed": "is the service listening on that port, and does a firewall let the client in",
    "peer-silent": "the silent side: a blocked event loop, a handler that never returns, a library that ignores Close",
    "none": None,
    "unknown": "a capture without losses, or one taken nearer to the endpoints",
}


def close_fact(close: CloseFrame | Close, side: int, packet: int) -> str:
    """A Close of `side` in one sentence."""
    if close.lost:
        return f"{SIDES[side]} sent a Close in packet {packet & PACKET_MASK}: its code was not captured"
    code = "without a code" if close.code is None else close.code
    if close.reason:
        return f"{SIDES[side]} sent Close {code} {reason_text(close)!r} in packet {packet & PACKET_MASK}"
    return f"{SIDES[side]} sent Close {code} in packet {packet & PACKET_MASK}"


def reason_text(close: CloseFrame | Close) -> str:
    return close.reason.decode("utf-8", "backslashreplace")


def end_fact(end: Wire) -> str:
    """The end of the transport in one sentence."""
    number = end.packet & PACKET_MASK
    if end.how == "capture-end":
        return "the capture ends before the connection does"
    if end.how == "silent":
        if end.silent is None:
            return f"no packet after number {number}, no FIN and no RST"
        return f"{SIDES[end.silent]} repeated its bytes until packet {number}; none were acknowledged"
    what = "an RST" if end.how == "rst" else "FIN"
    if end.goodbye is not None:
        first, other = SIDES[end.goodbye.side], SIDES[1 - end.goodbye.side]
        where = end.goodbye.packet & PACKET_MASK
        return f"{first} ended TLS first, with close_notify in packet {where}; {other} ended TCP with {what} in packet {number}"
    if end.unseen:
        return f"{SIDES[end.by or 0]} ended TCP first, with a FIN that was not captured: packet {number} tells of it"
    if end.by == BOTH:
        return f"both sides sent {what} without waiting for the other, first in packet {number}"
    return f"{SIDES[end.by or 0]} ended TCP first, with {what} in packet {number}"


def seconds(ns: int) -> str:
    """A duration as people say it."""
    value = ns / SECOND
    if value < 1:
        return f"{value * 1000:.{0 if value >= 0.01 else 1}f} ms"
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"
