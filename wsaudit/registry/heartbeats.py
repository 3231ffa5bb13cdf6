"""Heartbeats, and goodbyes, of applications by their payload."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from wsaudit.registry.loader import Entry, entries, read

TEXT, BINARY = 1, 2


class MessageBeat(NamedTuple):
    """A short message that serves as a heartbeat, and the one that answers it (None: nobody does).

    `subprotocols` and `target` (part of the request's target) name where this payload is a heartbeat for certain; `keepalives`
    the signatures with its usual interval and timeout.
    """

    name: str
    opcode: int
    payload: bytes
    answer: bytes | None
    subprotocols: tuple[str, ...]
    target: str | None
    keepalives: tuple[str, ...]

    def is_at_home(self, subprotocol: str | None, target: str | None) -> bool:
        """Is it a heartbeat for certain in a connection with this subprotocol and request target?"""
        return subprotocol in self.subprotocols or (self.target is not None and self.target in (target or ""))


def message_beats(opcode: int, payload: bytes) -> tuple[MessageBeat, ...]:
    """The heartbeats that have this payload, those of a named protocol first."""
    return _known("heartbeat").get((opcode, compact(payload)), ())


def goodbye(opcode: int, payload: bytes, subprotocol: str | None, target: str | None) -> str | None:
    """What a protocol calls this message when it says that the sender is done; None when it does not."""
    known = _known("goodbye").get((opcode, compact(payload)), ())
    return next((each.name for each in known if each.is_at_home(subprotocol, target)), None)


def home_targets() -> tuple[str, ...]:
    """What is in the targets of protocols in which a message that comes once is a heartbeat, or a goodbye, for certain."""
    known = [beat for kind in ("heartbeat", "goodbye") for beats in _known(kind).values() for beat in beats]
    return tuple(sorted({beat.target for beat in known if beat.target is not None}))


def compact(payload: bytes) -> bytes:
    """JSON without blanks; anything else as it is."""
    return payload.replace(b" ", b"") if payload[:1] == b"{" else payload


@cache
def _known(kind: str) -> dict[tuple[int, bytes], tuple[MessageBeat, ...]]:
    found: dict[tuple[int, bytes], tuple[MessageBeat, ...]] = {}
    for entry in entries(read("heartbeats.toml"), kind, "heartbeats.toml"):
        beat = _beat(entry)
        entry.done()
        key = beat.opcode, beat.payload
        found[key] = (*found.get(key, ()), beat)
    return found


def _beat(entry: Entry) -> MessageBeat:
    is_hex = entry.has("hex")
    is_binary = entry.choice("kind", ("text", "binary"), "binary" if is_hex else "text") == "binary"
    answer = entry.optional_text("answer")
    payload = entry.text("hex" if is_hex else "text")
    return MessageBeat(
        entry.text("name"),
        BINARY if is_binary else TEXT,
        bytes.fromhex(payload) if is_hex else payload.encode(),
        None if answer is None else bytes.fromhex(answer) if is_hex else answer.encode(),
        entry.texts("subprotocols", ()),
        entry.optional_text("target"),
        entry.texts("keepalives", ()),
    )
