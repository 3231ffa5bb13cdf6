"""Heartbeats that are messages: recognised by payload, subprotocol and pace, and paired with their answers."""

from __future__ import annotations

from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit

EIO = "/socket.io/?EIO=4&transport=websocket"


def opened(target: str = "/", protocol: str | None = None) -> wire.Conversation:
    headers = {"Sec-WebSocket-Protocol": protocol} if protocol else {}
    return wire.Conversation().open().upgrade(target, headers, headers)


def beating(conversation: wire.Conversation, side: int, beat: bytes, answer: bytes | None, seconds: float, **how: Any) -> Any:
    """Three beats; `heartbeat.application` of the report."""
    opcode = how.get("opcode", 1)
    for _ in range(3):
        conversation.wait(seconds).frame(side, opcode, beat)
        if answer is not None:
            conversation.frame(1 - side, opcode, answer)
    return application(conversation)


def application(conversation: wire.Conversation) -> Any:
    (connection,) = wsaudit.audit(wire.pcap(conversation.packets)).to_dict()["connections"]
    return connection["heartbeat"]["application"]


@pytest.mark.parametrize(
    ("target", "protocol", "side", "beat", "answer", "opcode", "kind"),
    [
        (EIO, None, S, b"2", b"3", 1, "engine.io"),
        (EIO.replace("4", "3"), None, C, b"2", b"3", 1, "engine.io"),
        ("/", "graphql-transport-ws", S, b'{"type":"ping"}', b'{"type": "pong"}', 1, "graphql-transport-ws"),
        ("/", "graphql-ws", S, b'{"type":"ka"}', None, 1, "graphql-ws"),
        ("/", "v12.stomp", C, b"\n", None, 1, "stomp"),
        ("/", None, S, b"h", None, 1, "sockjs"),
        ("/", None, S, b'{"type":6}\x1e', None, 1, "signalr"),
        ("/", "mqtt", C, b"\xc0\0", b"\xd0\0", 2, "mqtt"),
        ("/", None, C, b'{"op": "ping"}', b'{"op": "pong"}', 1, "json"),
        ("/", None, C, b"ping", b"pong", 1, "text"),
        ("/", None, C, b"are you there?", None, 1, "constant"),
    ],
)
def test_known_heartbeats(
    target: str, protocol: str | None, side: int, beat: bytes, answer: bytes | None, opcode: int, kind: str
) -> None:
    found = beating(opened(target, protocol), side, beat, answer, 25, opcode=opcode)
    assert found["kind"] == kind
    assert found["side"] == ("client", "server")[side]
    assert found["count"] == 3
    assert found["interval"] == pytest.approx(25, abs=0.1)
    assert found["answered"] is (None if answer is None else True)


def test_a_message_of_the_agreed_protocol_is_a_beat_at_once() -> None:
    assert application(opened(EIO).text(S, "2"))["answered"] is False
    assert application(opened().text(S, "2")) is None


def test_what_repeats_fast_is_talk() -> None:
    assert beating(opened(), C, b"ping", b"pong", 0.2) is None


def test_an_unknown_message_has_to_be_steady() -> None:
    conversation = opened()
    for seconds in (5, 9, 30, 7):
        conversation.wait(seconds).text(C, "go on")
    assert application(conversation) is None


def test_binary_is_not_text() -> None:
    assert beating(opened(EIO), S, b"2", b"3", 25, opcode=2)["kind"] == "constant"


def test_an_answer_in_other_words() -> None:
    """Nobody can tell whether what came after the beat was its answer."""
    conversation = opened()
    for number in range(3):
        conversation.wait(10).text(C, "ping").text(S, f"I have been here for {number} x 10 seconds, and will be for some time")
    assert application(conversation)["answered"] is None
