"""What the rules about control frames, Pings and Pongs say, and what they leave alone."""

from __future__ import annotations

import pytest

import wsaudit
from tests.rules.talks import CHROME, C, Case, S, Talk, assert_fires, assert_silent, judged, name, talk, told, wire

OLD = {"Sec-WebSocket-Extensions": "x-webkit-deflate-frame"}


def late_pong(seconds: float) -> bytes:
    return talk().ping(S, b"1").wait(seconds).pong(C, b"1").bye()


def many(count: int, seconds: float) -> bytes:
    """This many Pings, evenly over this time."""
    conversation = talk(step=0)
    for number in range(count):
        conversation.ping(S, b"%d" % number).pong(C, b"%d" % number).wait(seconds / (count - 1))
    return conversation.bye()


def idle_server(interval: float, *, messages: bool = False) -> bytes:
    """Two connections to one server: one dies after 60 s of silence, one has a heartbeat of this interval, of Pings or of
    messages."""
    dying = Talk(client=("10.0.0.1", 40001)).open().upgrade("/chat").text(C, "y").text(S, "x").ack(C).wait(60).fin(S).fin(C)
    beating = Talk(client=("10.0.0.1", 40002)).open().upgrade("/chat")
    for number in range(4):
        if messages:
            beating.text(C, "ping").text(S, "pong").wait(interval)
        else:
            beating.ping(C, b"%d" % number).pong(S, b"%d" % number).wait(interval)
    beating.close(C, 1000).close(S, 1000).fin(S).fin(C)
    return wire.pcap(wire.merge(dying, beating))


FIRING: list[Case] = [
    ("CT-01", "client", talk().ping(C, bytes(126)).bye(), "Ping frame of 126 bytes"),
    ("CT-01", "server", talk().pong(S, bytes(70_000)).bye(), "Pong frame of 70,000 bytes"),
    ("CT-02", "client", talk(OLD, OLD).ping(C, rsv=wire.RSV1).bye(), "RSV1"),
    ("PP-01", "client", talk().ping(S, b"1").ack(C).wait(20).text(C, "still here").bye(), "the client left a Ping without"),
    ("PP-01", "server", talk().ping(C, b"1").wait(3).ping(C, b"2").ack(S).wait(20).text(S, "x").bye(), "left 2 Pings"),
    ("PP-02", "client", late_pong(4), "a Pong came 4.0 s after its Ping"),
    ("PP-03", "client", talk().ping(S, b"1").pong(C, b"").ack(S).wait(20).bye(), "another body"),
    ("PP-04", "client", talk().ping(S, b"1").ping(S, b"2").pong(C, b"2").pong(C, b"1").bye(), "older Ping"),
    ("PP-05", "client", talk().ping(S, b"1").pong(C, b"1").pong(C, b"1").bye(), "answered before"),
    ("PP-06", "client", talk().pong(C, b"a").wait(1).pong(C, b"b").bye(), "answer no Ping"),
    ("PP-07", "server", talk().text(C, "x").wait(61).text(S, "y").bye(), "silent for 61 s; neither side pings"),
    ("PP-07", "server", talk().ping(C, b"1").pong(S, b"1").wait(70).ping(C, b"2").pong(S, b"2").bye(), "only the client pings"),
    ("PP-09", "server", talk().close(S, 1000).ping(S).close(C, 1000).fin(S).pcap(), "Ping after its own Close"),
    ("PP-10", "server", many(200, 10), "200 Pings within 10.0 s"),
    ("PP-11", "client", talk(CHROME).ping(C).pong(S).bye(), "User-Agent"),
]
NEAR: list[tuple[str, bytes]] = [
    ("CT-01", talk().ping(C, bytes(125)).pong(S, bytes(125)).bye()),
    ("CT-01", talk().close(C, 1000, bytes(124)).fin(S).pcap()),  # CL-21's
    ("CT-02", talk(OLD, OLD).text(C, "x", rsv=wire.RSV1).bye()),
    ("PP-01", talk().ping(S, b"1").ping(S, b"2").ack(C).wait(1).pong(C, b"2").wait(20).bye()),  # one answer for both
    ("PP-01", talk().ping(S, b"1").ack(C).wait(20).pcap()),  # nothing was captured afterwards
    ("PP-01", talk().ping(S, b"1").ack(C).wait(1).bye()),
    ("PP-01", talk().close(C, 1000).ping(S, b"1").ack(C).wait(20).close(S, 1000).fin(S).pcap()),
    ("PP-01", talk().ping(S, b"1").wait(20).segment(C, ack=1, flags=wire.RST).pcap()),  # it never arrived
    ("PP-02", late_pong(0.9)),
    ("PP-03", talk().ping(S, b"1").pong(C, b"").pong(C, b"1").wait(20).bye()),
    ("PP-03", talk().pong(C, b"").wait(20).bye()),
    ("PP-04", talk().ping(S, b"1").ping(S, b"2").pong(C, b"1").pong(C, b"2").bye()),
    ("PP-05", talk().ping(S, b"1").pong(C, b"1").ping(S, b"1").pong(C, b"1").bye()),
    ("PP-06", talk().pong(C, b"a").ping(S, b"1").pong(C, b"1").bye()),
    ("PP-07", talk().text(C, "x").wait(59).text(S, "y").bye()),
    ("PP-07", talk().ping(S, b"1").pong(C, b"1").wait(61).ping(S, b"2").pong(C, b"2").bye()),
    ("PP-09", talk().ping(S).pong(C).close(S, 1000).pong(S).close(C, 1000).fin(S).pcap()),
    ("PP-10", many(200, 60)),
    ("PP-10", many(99, 1)),
    ("PP-11", talk(CHROME).ping(S).pong(C).bye()),
    ("PP-11", talk({"User-Agent": "Python/3.12 websockets/15.0"}).ping(C).pong(S).bye()),
]


@pytest.mark.parametrize(("rule", "at_fault", "capture", "words"), FIRING, ids=name)
def test_fires(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    assert_fires(rule, at_fault, capture, words)


@pytest.mark.parametrize(("rule", "capture"), NEAR, ids=name)
def test_near_misses(rule: str, capture: bytes) -> None:
    assert_silent(rule, capture)


def test_a_wrong_pong_is_told_once() -> None:
    assert told(judged(talk().ping(S, b"1").pong(C, b"").ack(S).wait(20).bye())) == ["PP-03 client"]


def test_a_gap_may_hide_the_answer() -> None:
    conversation = talk().ping(S, b"1").pong(C, b"1").drop().ack(S)
    for _ in range(20):
        conversation.text(S, "x").ack(C)
    capture = conversation.text(C, "later").wait(20).text(C, "and later").bye()
    assert {each.verdict for each in judged(capture) if each.rule == "PP-01"} <= {"unverifiable"}


COMPARING: list[Case] = [
    ("PP-08", "client", idle_server(55), "Pings every 55 s where connections to this server die after 60 s"),
    ("PP-08", "client", idle_server(55, messages=True), "text heartbeats every 55 s where connections to this server die"),
]
NEAR_COMPARING = [("PP-08", idle_server(20)), ("PP-08", idle_server(20, messages=True))]


@pytest.mark.parametrize(("rule", "at_fault", "capture", "words"), COMPARING, ids=name)
def test_a_heartbeat_is_compared_with_the_idle_limit(rule: str, at_fault: str, capture: bytes, words: str) -> None:
    (found,) = [each for each in wsaudit.audit(capture).to_dict()["findings"] if each["rule"] == rule]
    assert (found["at_fault"], found["verdict"], found["connection"]) == (at_fault, "informational", 2)
    assert words in found["detail"]


@pytest.mark.parametrize(("rule", "capture"), NEAR_COMPARING, ids=name)
def test_a_fast_heartbeat_is_fine(rule: str, capture: bytes) -> None:
    assert rule not in {each["rule"] for each in wsaudit.audit(capture).to_dict()["findings"]}
