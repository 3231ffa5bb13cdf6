"""Connections to follow from the first byte on, and what the report says of them."""

from __future__ import annotations

from typing import Any

import wire
from wire import C, S

import wsaudit

PLAIN = wire.head("GET /page HTTP/1.1", {"Host": "example.com"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def rows(capture: bytes, **how: Any) -> list[dict[str, Any]]:
    document = wsaudit.audit(capture, **how).to_dict()
    assert not [notice for notice in document["notices"] if "internal error" in notice["text"]]
    found: list[dict[str, Any]] = document["connections"]
    return found


def talk_on(talk: wire.Conversation) -> wire.Conversation:
    """A little of everything, and an orderly end."""
    talk.text(C, "one").text(S, "two").ping(S, b"p").pong(C, b"p")
    return talk.close(C, 1000).close(S, 1000).fin(S).fin(C)


def whole(row: dict[str, Any]) -> bool:
    """Was `talk_on` seen entirely?"""
    counts = row["frames"]
    return bool(
        (counts["client"]["text"], counts["server"]["text"], counts["server"]["ping"], counts["client"]["pong"]) == (1, 1, 1, 1)
        and row["close"]["client"]["code"] == row["close"]["server"]["code"] == 1000
    )


def cut_talk(port: int = 40000, first: int = C, text: str = "a text of some length") -> wire.Conversation:
    """A connection whose every segment with something in it is longer than ten bytes."""
    talk = wire.Conversation(("10.0.0.1", port)).open().upgrade("/chat").text(first, text).text(1 - first, text * 9)
    return talk.ping(S, b"twelve bytes").pong(C, b"twelve bytes").close(C, 4001, "good bye").close(S, 4001, "good bye")
