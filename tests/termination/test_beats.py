"""Endings after a heartbeat of the application had no answer (terminations.md T20), and near misses."""

from __future__ import annotations

import wire
from termination.endings import Ending, ending, gone
from wire import C, S

EIO = "/socket.io/?EIO=4&transport=websocket"


def socket_io(*, answers: int, wait: float, by: int = S, close: bool = False) -> Ending:
    """Engine.IO 4: the server beats three times, every 25 s; `wait` seconds after the last beat `by` leaves."""
    conversation = wire.Conversation().open().upgrade(EIO).text(S, '0{"sid":"x"}').text(C, "40").ack(S)
    for number in range(3):
        conversation.wait(25).text(S, "2").ack(C)
        if number < answers:
            conversation.text(C, "3").ack(S)
    conversation.wait(wait)
    if close:
        conversation.close(by).close(1 - by)
    return ending(gone(conversation, by))


def test_the_server_gives_up_when_its_patience_ends() -> None:
    found = socket_io(answers=2, wait=20)
    assert found.cause == "keepalive-timeout"
    assert found.confidence >= 0.8
    assert "engine.io heartbeat of the server" in found.evidence
    assert "socket.io-4" in found.evidence


def test_it_may_say_goodbye() -> None:
    """The browser answers the Close though its page answers nothing."""
    found = socket_io(answers=2, wait=20, close=True)
    assert found.cause == "keepalive-timeout"
    assert "socket.io-4" in found.evidence


def test_an_answered_beat_is_no_reason() -> None:
    found = socket_io(answers=3, wait=20)
    assert found.cause != "keepalive-timeout"
    assert "keepalive-timeout" not in found.others


def test_there_was_still_time_to_answer() -> None:
    found = socket_io(answers=2, wait=0.1)
    assert found.cause != "keepalive-timeout"
    assert "keepalive-timeout" not in found.others


def test_the_other_side_left() -> None:
    assert socket_io(answers=2, wait=20, by=C).cause != "keepalive-timeout"


def test_several_beats_without_an_answer() -> None:
    """The patience counts from the first of them."""
    conversation = wire.Conversation().open().upgrade("/", {}, {}).text(C, "hi").text(S, "hello").ack(C)
    for number in range(6):
        conversation.wait(5).text(C, "ping").ack(S)
        if number < 3:
            conversation.text(S, "pong").ack(C)
    found = ending(gone(conversation.wait(5), C))
    assert found.cause == "keepalive-timeout"
    assert "of the client had waited 15.01 s" in found.evidence


def mqtt(wait: float, beats: int = 3, by: int = S) -> Ending:
    """A client that asks the broker every 10 s whether it is there; `wait` seconds after the last time `by` leaves."""
    agreed = {"Sec-WebSocket-Protocol": "mqtt"}
    conversation = wire.Conversation().open().upgrade("/mqtt", agreed, agreed)
    conversation.binary(C, b"\x10\x0c").binary(S, b"\x20\x02").ack(C)
    for _ in range(beats):
        conversation.wait(10).binary(C, b"\xc0\x00").binary(S, b"\xd0\x00").ack(C)
    return ending(gone(conversation.wait(wait), by))


def test_a_broker_gives_up_after_one_and_a_half_intervals() -> None:
    found = mqtt(15.03)
    assert (found.cause, found.confidence) == ("keepalive-timeout", 0.75)
    assert "mqtt heartbeats of the client had come every 10.00 s; now nothing had come for 15.0" in found.evidence


def test_the_next_beat_was_not_due_yet() -> None:
    assert mqtt(12.4).cause == "abrupt-exit"


def test_one_beat_is_no_rhythm() -> None:
    assert mqtt(15.4, beats=1).cause == "abrupt-exit"


def test_who_fell_silent_did_not_give_up_for_it() -> None:
    assert "keepalive-timeout" not in mqtt(15.4, by=C).others


def test_a_client_says_goodbye_to_a_server_whose_pings_no_longer_come() -> None:
    """Socket.IO's client waits for pingInterval and pingTimeout, then sends a Close without a code."""
    conversation = wire.Conversation().open().upgrade(EIO).text(S, '0{"sid":"x"}').text(C, "40").ack(S)
    for _ in range(3):
        conversation.wait(25).text(S, "2").text(C, "3").ack(S)
    found = ending(conversation.wait(45).close(C).ack(S).wait(3).rst(S))
    assert found.cause == "keepalive-timeout"
    assert "engine.io heartbeats of the server had come every 25.00 s" in found.evidence
