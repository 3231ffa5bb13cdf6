"""Audits of one conversation, for tests that ask which rules it breaks."""

from __future__ import annotations

from typing import Any, NamedTuple

import wire
from wire import C, S

import wsaudit

# Findings that a conversation of these tests has whatever it is about: it is cleartext and ends when its packets do.
ALWAYS = frozenset({"SEC-01"})


class Told(NamedTuple):
    """A finding as tests look at it."""

    at_fault: str
    verdict: str
    detail: str
    packet: int | None
    count: int


def judged(capture: bytes, *families: str, **options: Any) -> dict[str, Told]:
    """The findings of an audit by rule; of `families` only (beginnings of ids), when any are named."""
    report = wsaudit.audit(capture, **options).to_dict()
    return {
        each["rule"]: Told(each["at_fault"], each["verdict"], each["detail"], each["packet"], each["count"])
        for each in report["findings"]
        if each["rule"] not in ALWAYS and (not families or each["rule"].startswith(families))
    }


def heads(request: bytes, response: bytes | None, **how: Any) -> bytes:
    """A capture of one handshake and of a clean end, if it was accepted."""
    conversation = wire.Conversation(**how).open().send(C, request)
    if response is not None:
        conversation.send(S, response).ack(C)
        if response.startswith(b"HTTP/1.1 101"):
            conversation.close(S, 1000).close(C, 1000)
    return conversation.fin(S).fin(C).pcap()


def handshake(request: wire.Headers = wire.UNCHANGED, response: wire.Headers = wire.UNCHANGED, **how: Any) -> bytes:
    """A capture of an accepted handshake. `how`: target, method, version of the request; status, key."""
    key = how.pop("key", wire.KEY)
    status = how.pop("status", "101 Switching Protocols")
    target = how.pop("target", "/")
    asked = wire.request(target, {"Sec-WebSocket-Key": key, **request}, **how)
    return heads(asked, wire.response(status, response, key=key))
