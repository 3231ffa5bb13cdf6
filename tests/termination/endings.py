"""Audits of hand-built conversations, for tests about how and why they ended."""

from __future__ import annotations

from typing import Any, NamedTuple

import wire
from wire import C, S

import wsaudit

CHROMIUM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


class Ending(NamedTuple):
    """One connection's end as tests look at it."""

    kind: str
    how: str | None
    by: str | None
    cause: str
    confidence: float
    evidence: str
    others: dict[str, float]
    initiator: str | None
    client: tuple[int | None, bool | None, bool]
    server: tuple[int | None, bool | None, bool]
    notes: tuple[str | None, str | None]


def talk(port: int = 40000, address: str = "10.0.0.1", server: str = "10.0.0.2", **how: Any) -> wire.Conversation:
    """A connection that is open and has been used."""
    headers = how.pop("headers", wire.UNCHANGED)
    answer = how.pop("answer", wire.UNCHANGED)
    conversation = wire.Conversation(client=(address, port), server=(server, 80), **how)
    return conversation.open().upgrade("/chat", headers, answer).text(C, "hi").text(S, "hello").ack(C)


def ending(conversation: wire.Conversation, **options: Any) -> Ending:
    """How the only connection of a conversation ended."""
    (found,) = endings([conversation], **options)
    return found


def endings(conversations: list[wire.Conversation], **options: Any) -> list[Ending]:
    """How each of several connections ended, in the order of their first packets."""
    return [read(each) for each in report(conversations, **options)["connections"]]


def report(conversations: list[wire.Conversation], **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = wsaudit.audit(wire.pcap(wire.merge(*conversations)), **options).to_dict()
    return found


def read(connection: dict[str, Any]) -> Ending:
    end, told = connection["termination"], connection["reported"]
    reports = [(told[side]["code"], told[side]["was_clean"], told[side]["certain"]) for side in ("client", "server")]
    return Ending(
        end["class"],
        end["how"],
        end["by"],
        end["cause"],
        end["confidence"],
        "; ".join(end["evidence"]),
        {each["cause"]: each["confidence"] for each in end["alternatives"]},
        connection["close"]["initiator"],
        reports[0],
        reports[1],
        (told["client"]["deviation"], told["server"]["deviation"]),
    )


def gone(conversation: wire.Conversation, side: int) -> wire.Conversation:
    """`side` leaves: FIN, the other's FIN, the last ACK."""
    return conversation.fin(side).fin(1 - side).ack(side)
